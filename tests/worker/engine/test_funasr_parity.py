"""The engine computes what FunASR computes: features, each streaming chunk, whole utterances, VAD segments."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.audio import AudioQueue
from asrpool_worker.engine.features import FilterBank, stack, stacked_count
from asrpool_worker.engine.messages import Samples, StreamOptions
from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.options import StepShape, check_options
from asrpool_worker.engine.paraformer.dims import (
    OFFLINE_GRAPH,
    STREAMING_GRAPH,
    offline_graph_sizes,
    read_dims,
    streaming_graph_sizes,
)
from asrpool_worker.engine.paraformer.offline_model import OfflineModel
from asrpool_worker.engine.paraformer.online_model import ChunkRow, OnlineModel
from asrpool_worker.engine.passes import OnlinePass
from asrpool_worker.engine.text import join, spoken
from asrpool_worker.engine.torch_backend import TorchBackend
from asrpool_worker.engine.vad.dims import GRAPH as VAD_GRAPH
from asrpool_worker.engine.vad.dims import graph_sizes as vad_graph_sizes
from asrpool_worker.engine.vad.dims import read_vad
from asrpool_worker.engine.vad.endpointer import Begin, Endpointer
from asrpool_worker.engine.vad.model import VadModel
from tests.worker.engine import model_dirs
from tests.worker.engine.conftest import babble
from tests.worker.engine.funasr_reference import auto_model

pytestmark = pytest.mark.model

BACKEND = TorchBackend("cpu", "float32", threads=1)


@dataclass(frozen=True)
class Reference:
    """FunASR's model and the same directory as the engine reads it."""

    auto: Any
    model: ModelDir


@pytest.fixture(scope="session")
def online_reference(random_online: Path) -> Reference:
    return Reference(auto_model(random_online), modeldir.read(random_online))


@pytest.fixture(scope="session")
def offline_reference(random_offline: Path) -> Reference:
    return Reference(auto_model(random_offline), modeldir.read(random_offline))


def online_model(model: ModelDir) -> OnlineModel:
    dims = read_dims(model, streaming=True)
    return OnlineModel(model, dims, BACKEND.load(model, STREAMING_GRAPH, streaming_graph_sizes(dims)), BACKEND.arrays)


def our_tokens(model: OnlineModel, shape: StepShape, samples: Samples) -> list[list[str]]:
    """The tokens of each chunk of a stream, and of its last one."""
    audio = AudioQueue(model.model.frontend)
    audio.push(samples, 0.0)
    while audio.unframed_samples:
        audio.frame_some()
    slot = model.acquire(shape)
    running = OnlinePass(model.model, model.dims, slot, 0)
    found = []
    while running.ready(audio):
        frames, overlap = running.chunk(audio.frames)
        found.append([model.model.tokens[number] for number in model.step([ChunkRow(slot, frames, final=False)])[0]])
        running.advance(overlap)
    last = running.last_chunk(audio)
    if last is not None:
        found.append([model.model.tokens[number] for number in model.step([ChunkRow(slot, last, final=True)])[0]])
    model.release(slot)
    return found


def funasr_texts(auto: Any, options: StreamOptions, samples: Samples) -> list[str]:
    """FunASR's text of each chunk; the end comes with what is left over, as from FunASR's server."""
    cache: dict[str, Any] = {}
    stride = options.chunk_size[1] * 960
    texts = []
    for begin in range(0, len(samples) // stride * stride + 1, stride):
        piece = samples[begin : begin + stride]
        final = len(piece) < stride
        result = auto.generate(
            input=piece,
            cache=cache,
            is_final=final,
            chunk_size=list(options.chunk_size),
            encoder_chunk_look_back=options.encoder_chunk_look_back,
            decoder_chunk_look_back=options.decoder_chunk_look_back,
        )
        texts.append(result[0]["text"])
    return texts


SHAPES = {
    "server default": ((5, 10, 5), 4, 1),
    "no look-back frames": ((0, 10, 5), 4, 1),
    "caches off": ((0, 10, 5), 0, 0),
    "small chunks": ((2, 4, 3), 3, 2),
    "first chunk longer than the key limit": ((8, 5, 4), 1, 1),
    "decoder memory longer than a chunk": ((0, 6, 2), 2, 4),
    "no look-ahead": ((5, 10, 0), 4, 1),
}


@pytest.mark.parametrize(("chunk_size", "encoder", "decoder"), SHAPES.values(), ids=SHAPES.keys())
@pytest.mark.parametrize("extra_samples", [0, 500, 960, 5000, 9599])
def test_streaming_tokens_are_funasrs(
    online_reference: Reference, chunk_size: tuple[int, int, int], encoder: int, decoder: int, extra_samples: int
) -> None:
    """Chunk by chunk and at every kind of stream end, the streaming step says what FunASR's model says."""
    options = StreamOptions(chunk_size=chunk_size, encoder_chunk_look_back=encoder, decoder_chunk_look_back=decoder)
    samples = np.concatenate(
        [babble(600 * 16 * chunk_size[1] // 10 * 7 / 16_000, seed=5), babble(1.0, seed=6)[:extra_samples]]
    )
    expected = funasr_texts(online_reference.auto, options, samples)
    found = our_tokens(online_model(online_reference.model), check_options(options), samples)
    assert ["".join(tokens).replace("<unk>", "") for tokens in found] == expected
    assert sum(len(tokens) for tokens in found) > 5


def test_chunks_without_a_token_leave_the_decoder_as_funasr_does(tmp_path: Path) -> None:
    """A model that seldom speaks: its decoder's caches keep what the last token left, over chunks that had none."""
    directory = model_dirs.write(tmp_path, model_dirs.paraformer_config(streaming=True), seed=1, token_bias=-3.5)
    options = StreamOptions(chunk_size=(0, 4, 2), encoder_chunk_look_back=4, decoder_chunk_look_back=2)
    model = modeldir.read(directory)
    auto = auto_model(directory)
    silent = 0
    for seed in range(3):
        samples = babble(12.0, seed=seed)
        expected = funasr_texts(auto, options, samples)
        found = our_tokens(online_model(model), check_options(options), samples)
        assert ["".join(tokens).replace("<unk>", "") for tokens in found] == expected
        first = next(index for index, tokens in enumerate(found) if tokens)
        silent += sum(not tokens for tokens in found[first:-1])
    assert silent > 10, "chunks without a token between chunks with one"


@pytest.mark.parametrize("seconds", [0.5, 1.234, 3.01])
@pytest.mark.parametrize("kind", ["asr", "vad"])
def test_features_are_funasrs(random_online: Path, random_vad: Path, kind: str, seconds: float) -> None:
    """Fed in odd pieces, the frames equal FunASR's online front end run over the whole stream, end included."""
    model = modeldir.read(random_online if kind == "asr" else random_vad)
    samples = babble(seconds, seed=7)
    bank = FilterBank(model.frontend)
    frames = np.concatenate([bank.push(piece) for piece in np.array_split(samples, 7)])
    found = stack(model.frontend, model.cmvn, frames, 0, stacked_count(model.frontend, len(frames), final=True))

    from funasr.frontends.wav_frontend import WavFrontendOnline

    frontend = WavFrontendOnline(cmvn_file=str(model.path / "am.mvn"), **model.config["frontend_conf"])
    cache: dict[str, Any] = {}
    pieces = [(samples[:4000], False), (samples[4000:], True)]
    outs = [
        frontend.forward(torch.from_numpy(piece)[None], torch.tensor([len(piece)]), cache=cache, is_final=final)[0]
        for piece, final in pieces
    ]
    expected = torch.cat([out[0] for out in outs if out.numel()]).numpy()
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_streaming_state_is_funasrs(online_reference: Reference) -> None:
    """Not only the tokens: after each chunk the integrator holds what FunASR's holds."""
    options = StreamOptions()
    samples = babble(4.2, seed=8)
    model = online_model(online_reference.model)
    audio = AudioQueue(model.model.frontend)
    audio.push(samples, 0.0)
    while audio.unframed_samples:
        audio.frame_some()
    slot = model.acquire(check_options(options))
    running = OnlinePass(model.model, model.dims, slot, 0)
    cache: dict[str, Any] = {}
    for number in range(7):
        frames, overlap = running.chunk(audio.frames)
        model.step([ChunkRow(slot, frames, final=False)])
        running.advance(overlap)
        online_reference.auto.generate(
            input=samples[number * 9600 : (number + 1) * 9600],
            cache=cache,
            is_final=False,
            chunk_size=[5, 10, 5],
            encoder_chunk_look_back=4,
            decoder_chunk_look_back=1,
        )
        state = model._pools[slot.shape]._state
        np.testing.assert_allclose(state["cif_alpha"][slot.number], cache["encoder"]["cif_alphas"][0, 0], atol=1e-4)
        np.testing.assert_allclose(state["cif_hidden"][slot.number], cache["encoder"]["cif_hidden"][0, 0], atol=2e-3)


def test_second_pass_is_funasrs_also_in_a_batch(offline_reference: Reference) -> None:
    """Utterances of different lengths in one padded batch get the tokens that FunASR gives each alone."""
    model = offline_reference.model
    dims = read_dims(model, streaming=False)
    offline = OfflineModel(model, dims, BACKEND.load(model, OFFLINE_GRAPH, offline_graph_sizes(dims)), BACKEND.arrays)
    utterances = [babble(seconds, seed) for seed, seconds in enumerate((0.3, 1.0, 2.37, 5.0, 3.0))]
    frames = []
    for samples in utterances:
        banked = FilterBank(model.frontend).push(samples)
        frames.append(
            stack(model.frontend, model.cmvn, banked, 0, stacked_count(model.frontend, len(banked), final=True))
        )
    together = offline.decode(frames)
    for utterance, result in zip(frames, together, strict=True):
        (alone,) = offline.decode([utterance])
        np.testing.assert_allclose(result.alphas, alone.alphas, atol=1e-5)
    found = [
        "".join(model.tokens[number] for number in result.token_ids if number > 2).replace("<unk>", "")
        for result in together
    ]
    expected = []
    for samples in utterances:
        result = offline_reference.auto.generate(input=samples)
        expected.append(result[0]["text"].replace(" ", "") if result else "")
    assert found == expected
    assert sum(map(len, found)) > 20


def test_vad_network_is_funasrs(random_vad: Path) -> None:
    """Two streams in one batch, in chunks of different lengths, score as FunASR scores each of them."""
    model = modeldir.read(random_vad)
    dims, times = read_vad(model)
    vad = VadModel(model, dims, times, BACKEND.load(model, VAD_GRAPH, vad_graph_sizes(dims)), BACKEND.arrays)
    encoder = auto_model(random_vad).model.encoder
    rng = np.random.default_rng(0)
    streams = [rng.normal(size=(length, dims.feature_size)).astype(np.float32) for length in (40, 33)]
    cuts = [(0, 7, 30, 40), (0, 12, 13, 33)]
    pasts = [vad.fresh_past(), vad.fresh_past()]
    found: list[list[np.ndarray]] = [[], []]
    for step in range(3):
        rows = [
            (stream[cut[step] : cut[step + 1]], past) for stream, cut, past in zip(streams, cuts, pasts, strict=True)
        ]
        for row, (silence, past) in enumerate(vad.step(rows)):
            found[row].append(silence)
            pasts[row] = past
    for stream, scores in zip(streams, found, strict=True):
        with torch.no_grad():
            expected = encoder(torch.from_numpy(stream)[None], cache={})[0, :, 0].numpy()
        np.testing.assert_allclose(np.concatenate(scores), expected, atol=1e-5)


class ScriptedScores(torch.nn.Module):
    """Stands where FunASR's network stands, and gives out a prepared P(silence) for each frame."""

    def __init__(self, silence: np.ndarray) -> None:
        super().__init__()
        self.silence = silence
        self.given = 0
        self.present = torch.nn.Parameter(torch.zeros(1))  # FunASR asks a model's parameters for its device

    def forward(self, feats: torch.Tensor, **_: object) -> torch.Tensor:
        scores = torch.from_numpy(self.silence[self.given : self.given + feats.shape[1]])
        self.given += feats.shape[1]
        return torch.stack([scores, 1.0 - scores], dim=-1)[None]


def scripted_silence(frames: int, seed: int) -> np.ndarray:
    """Stretches of speech and silence of many lengths, with some frames the other way about."""
    rng = np.random.default_rng(seed)
    pieces: list[float] = []
    while len(pieces) < frames:
        silent = rng.random() < 0.5
        pieces += [0.95 if silent != (rng.random() < 0.15) else 0.05 for _ in range(int(rng.integers(5, 140)))]
    return np.array(pieces[:frames], dtype=np.float32)


@pytest.mark.parametrize(
    "options",
    [{}, {"max_end_silence_time": 300}, {"max_single_segment_time": 2000}, {"lookback_time_start_point": 0}],
    ids=str,
)
def test_end_pointing_is_funasrs(tmp_path: Path, options: dict[str, int]) -> None:
    """For the same scores, utterances begin and end where FunASR's state machine puts them."""
    directory = model_dirs.write(tmp_path, model_dirs.vad_config(**options))
    _, times = read_vad(modeldir.read(directory))
    reference = auto_model(directory)
    seen = 0
    for seed in range(6):
        samples = babble(16.0, seed)
        silence = scripted_silence(1 + (len(samples) - 400) // 160, seed)
        reference.model.encoder = ScriptedScores(silence)
        limit = options.get("max_end_silence_time", 800)
        expected = reference.generate(input=samples, max_end_silence_time=limit, chunk_size=60_000)[0]["value"]
        endpointer = Endpointer(times)
        boundaries = endpointer.push(silence.tolist(), final=True)
        begins = [boundary.frame * 10 for boundary in boundaries if isinstance(boundary, Begin)]
        ends = [boundary.frame * 10 for boundary in boundaries if not isinstance(boundary, Begin)]
        assert [list(segment) for segment in zip(begins, ends, strict=True)] == expected
        seen += len(expected)
    assert seen > 10


WORDS = st.sampled_from(["打", "开", "灯", "三", "2", "wifi", "light", "it's", "a", "b", "i", "<unk>"])
PIECES = st.tuples(st.sampled_from(["hel@@", "wor@@"]), st.sampled_from(["lo", "ld"])).map(list)


@settings(deadline=None)
@given(st.lists(st.one_of(WORDS.map(lambda word: [word]), PIECES), max_size=8).map(lambda groups: list(chain(*groups))))
def test_texts_are_joined_as_funasr_joins_them(tokens: list[str]) -> None:
    """Chinese, words, pieces of words and spelled letters in any order."""
    from funasr.utils.postprocess_utils import sentence_postprocess

    assert join(spoken(tokens)) == sentence_postprocess(tokens)[0]
