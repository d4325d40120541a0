"""Texts and time stamps are FunASR's, with any number of hotwords, while FunASR runs alone what the engine runs in a batch."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.export import export_directory
from asrpool_worker.engine.onnx_backend import OnnxBackend
from asrpool_worker.engine.recogniser import OfflineRow, Recognised
from asrpool_worker.engine.seaco.dims import read_seaco
from asrpool_worker.engine.seaco.model import SeacoModel, load
from asrpool_worker.engine.seaco.network import SeacoPass
from asrpool_worker.engine.torch_backend import TorchBackend
from asrpool_worker.engine.weights import load_weights
from tests.worker.engine import model_dirs
from tests.worker.engine.conftest import babble
from tests.worker.engine.seaco import seaco_dirs

pytestmark = pytest.mark.model

CHARACTERS = model_dirs.TOKENS[3 : seaco_dirs.UNKNOWN]


def some_words(count: int, seed: int) -> tuple[str, ...]:
    """Hotwords of one to four characters."""
    rng = np.random.default_rng(seed)
    return tuple("".join(rng.choice(CHARACTERS, rng.integers(1, 5))) for _ in range(count))


def same(found: Recognised, expected: dict[str, Any]) -> None:
    """FunASR truncates times that it has in seconds, so they may be 1 ms less; and it lets the first token begin before 0."""
    assert list(found.tokens) == expected["text"].split()
    times = np.maximum(np.array(expected["timestamp"]).reshape(-1, 2), 0)
    np.testing.assert_allclose(np.array(found.times_ms).reshape(-1, 2), times, atol=1.0)


@pytest.fixture(scope="module")
def reference(seaco_directory: Path) -> Any:
    return seaco_dirs.funasr(seaco_directory)


def test_hotwords_decide_as_in_funasr(seaco: SeacoModel, reference: Any) -> None:
    """From none to more than FunASR's filter lets through, each row its own, in one batch: the text FunASR gives each alone."""
    lists = [(), *(some_words(count, count) for count in (1, 3, 49, 50, 51, 120, 300)), ("wifi", "开灯")]
    utterances = [babble(1.0 + 0.7 * number, seed=number) for number in range(len(lists))]
    rows = [
        OfflineRow(seaco_dirs.utterance(seaco.model, samples), hotwords=words)
        for samples, words in zip(utterances, lists, strict=True)
    ]
    changed = 0
    for samples, words, found in zip(utterances, lists, seaco.run(rows), strict=True):
        expected = reference.generate(input=samples, hotword=" ".join(words) or None)[0]
        same(found, expected)
        changed += reference.generate(input=samples)[0]["text"] != expected["text"]
    assert changed >= 6, "hotwords change what is said"


@pytest.mark.parametrize("count", [2, 80])
@pytest.mark.parametrize("weight", [0.0, 0.3, 0.8, 1.0])
def test_the_merge_is_funasrs_at_any_weight(seaco_directory: Path, reference: Any, count: int, weight: float) -> None:
    """Also where hotwords decide in part only, which FunASR's code can do but its users cannot ask for."""
    model = modeldir.read(seaco_directory)
    module = SeacoPass(read_seaco(model)).eval()
    load_weights(module, model.weights_path)
    generator = torch.Generator().manual_seed(count)
    frames, frame_mask = torch.randn(1, 60, 560, generator=generator), torch.ones(1, 60)
    tail_mask = torch.nn.functional.pad(torch.zeros(1, 60), (0, 1), value=1.0)
    words = torch.randint(3, 20, (count + 1, 4), generator=generator)
    words[0] = torch.tensor([1, 0, 0, 0])
    last = torch.full((count + 1,), 3)
    last[0] = 0
    present = torch.arange(count + 1)[None]
    with torch.no_grad():
        (found, *_) = module(
            frames,
            frame_mask,
            tail_mask,
            words,
            last,
            torch.zeros(0, 32),
            present,
            torch.ones(present.shape),
            torch.tensor([weight]),
        )
        embeds, _, _, counts, *_ = module.recognise(frames, frame_mask, tail_mask)
        encoded, _ = module.encoder(frames, frame_mask, None)
        listed = [*words[1:].tolist(), [1]]
        scores = reference.model._seaco_decode_with_ASF(
            encoded, torch.tensor([60]), embeds, counts, listed if weight else None, seaco_weight=weight
        )
    assert found.tolist() == scores.argmax(dim=-1).tolist()
    assert counts.item() > 5


@pytest.mark.parametrize("kind", ["cnn_blstm", "cnn"])
@pytest.mark.parametrize("shared", [False, True], ids=["own frames", "shared convolution"])
@pytest.mark.parametrize("engine", ["torch", "onnx"])
def test_time_stamps_are_funasrs(tmp_path: Path, kind: str, shared: bool, engine: str) -> None:
    """Each form of the time-stamp head, of a model without hotwords."""
    config = seaco_dirs.bicif_config()
    config["predictor_conf"] |= {"upsample_type": kind, "use_cif1_cnn": shared}
    directory = seaco_dirs.write(tmp_path, config, seed=6)
    if engine == "onnx":
        export_directory(directory)
    model = load(
        modeldir.read(directory), OnnxBackend("cpu", 1) if engine == "onnx" else TorchBackend("cpu", "float32", 1)
    )
    reference = seaco_dirs.funasr(directory)
    utterances = [babble(seconds, seed) for seed, seconds in enumerate((0.7, 6.0, 2.3, 4.0))]
    found = model.run([OfflineRow(seaco_dirs.utterance(model.model, samples)) for samples in utterances])
    for samples, result in zip(utterances, found, strict=True):
        same(result, reference.generate(input=samples)[0])
    lengths = {end - begin for result in found for begin, end in result.times_ms}
    assert len(lengths) > 5, "times that differ"


def test_audio_without_a_token_says_nothing(seaco_directory: Path, tmp_path: Path) -> None:
    """FunASR gives an empty list for it; here it is a row like any other."""
    quiet = tmp_path / "quiet"
    shutil.copytree(seaco_directory, quiet)
    weights = torch.load(quiet / "model.pt", weights_only=True)
    weights["predictor.cif_output.bias"].fill_(-100.0)
    torch.save(weights, quiet / "model.pt")
    model = load(modeldir.read(quiet), TorchBackend("cpu", "float32", 1))
    samples = babble(2.0, seed=1)
    frames = seaco_dirs.utterance(model.model, samples)
    assert seaco_dirs.funasr(quiet).generate(input=samples, hotword="开灯") in ([], [[]], [{"text": ""}])
    found = model.run([OfflineRow(frames, hotwords=("开灯",)), OfflineRow(frames)])
    assert [(result.tokens, result.times_ms) for result in found] == [((), ())] * 2
