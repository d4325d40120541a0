"""Training hears a stream exactly as FunASR's streaming inference decodes it.

The reference is FunASR's own code, chunk by chunk with its caches, on random weights.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch

from tinyasr import simulation, train_asr
from tinyasr.simulation import Chunking


@pytest.fixture(scope="module")
def model() -> Any:
    """Random weights, with a predictor that fires every few frames but not in every chunk."""
    model = train_asr.fresh(streaming=True).eval()
    torch.nn.init.constant_(model.predictor.cif_output.bias, -2.0)
    return model


def _stock(model: Any, features: torch.Tensor, chunking: Chunking) -> tuple[torch.Tensor, int]:
    """Log-probabilities from FunASR's forward_chunk, and in how many chunks a token fired."""
    cache: dict[str, Any] = {}
    model.init_cache(
        cache,
        chunk_size=[chunking.left, chunking.stride, chunking.right],
        encoder_chunk_look_back=chunking.encoder_look_back,
        decoder_chunk_look_back=chunking.decoder_look_back,
        encoder_conf={"output_size": model.encoder.output_size()},
        frontend_conf={"n_mels": 80, "lfr_m": 7},
    )
    chunks = torch.split(features, chunking.stride, dim=1)
    logits = []
    for number, chunk in enumerate(chunks):
        final = number == len(chunks) - 1
        encoded, length = model.encode_chunk(chunk.clone(), torch.tensor([chunk.shape[1]]), cache=cache)
        tokens, count, _, _ = model.calc_predictor_chunk(encoded, length, cache=cache, is_final=final)
        if int(count) > 0:
            scores, _ = model.cal_decoder_with_predictor_chunk(encoded, length, tokens, count, cache=cache)
            logits.append(scores[0, : int(count)])
    return torch.cat(logits), len(logits)


@pytest.mark.parametrize("frames", [38, 83, 91, 100])
@pytest.mark.parametrize(
    "chunking",
    [
        pytest.param(Chunking(5, 10, 5, 4, 1), id="look-back and look-ahead, as FunASR's clients"),
        pytest.param(Chunking(0, 10, 5, 4, 0), id="no chunk look-back, no decoder look-back"),
        pytest.param(Chunking(5, 10, 5, 0, 0), id="nothing kept of earlier chunks"),
    ],
)
def test_same_scores_as_funasr(model: Any, frames: int, chunking: Chunking) -> None:
    torch.manual_seed(frames)
    features = torch.randn(1, frames, 560)
    with torch.no_grad():
        expected, firing_chunks = _stock(model, features, chunking)
        # As many tokens as FunASR found, less the last one: what it makes of the tail threshold
        # at the end of a stream has no part in training, where the true count is known.
        lengths, count = torch.tensor([frames]), torch.tensor([len(expected) - 1])
        windows, valid, fires = simulation._cut(_embed(model, features), lengths, chunking)
        encoded = simulation._encode(model.encoder, windows, valid, chunking)
        alphas = (simulation._alphas(model.predictor, encoded, valid) * fires).flatten(1)
        memory = encoded.flatten(1, 2)
        tokens, fired = simulation._integrate(memory, alphas, count)
        mask = simulation._memory_mask(fired, count, valid, chunking)
        logits, _ = model.decoder(memory, torch.tensor([memory.shape[1]]), tokens, count, mask)
    assert firing_chunks > 1
    torch.testing.assert_close(logits.log_softmax(-1)[0], expected[:-1], rtol=0.0, atol=1e-4)


def test_padding_changes_nothing(model: Any) -> None:
    """An utterance gets the same logits alone as beside a longer one."""
    torch.manual_seed(3)
    chunking = Chunking(5, 10, 5, 4, 1)
    short, long = torch.randn(1, 57, 560), torch.randn(1, 94, 560)
    both = torch.cat([torch.nn.functional.pad(short, (0, 0, 0, 37)), long])
    with torch.no_grad():
        alone = simulation.forward(model, short, torch.tensor([57]), torch.tensor([9]), chunking, 0)
        beside = simulation.forward(model, both, torch.tensor([57, 94]), torch.tensor([9, 14]), chunking, 0)
    torch.testing.assert_close(beside.logits[:1, :9], alone.logits, rtol=0.0, atol=1e-4)
    torch.testing.assert_close(beside.alphas[:1, :57], alone.alphas, rtol=0.0, atol=1e-4)


def test_whole_utterance_is_what_the_offline_encoder_sees() -> None:
    """Without chunking the encoder's output is that of FunASR's own forward."""
    torch.manual_seed(4)
    model = train_asr.fresh(streaming=False).eval()
    features = torch.randn(1, 61, 560)
    lengths = torch.tensor([61])
    with torch.no_grad():
        expected, _, _ = model.encoder(features.clone(), lengths)
        outputs = simulation.forward(model, features, lengths, torch.tensor([7]), None, 0)
    torch.testing.assert_close(outputs.encoded, expected, rtol=0.0, atol=1e-4)


def _embed(model: Any, features: torch.Tensor) -> torch.Tensor:
    positions = simulation._positions(features.shape[1], features.shape[2], 0)
    embedded: torch.Tensor = features * model.encoder.output_size() ** 0.5 + positions
    return embedded
