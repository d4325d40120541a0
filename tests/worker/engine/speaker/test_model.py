"""CAM++ computes what FunASR computes, whatever else is in the batch, on both engines."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrpool_worker.engine import functions, modeldir
from asrpool_worker.engine.export import export_directory
from asrpool_worker.engine.onnx_backend import OnnxBackend
from asrpool_worker.engine.speaker import model as speaker_model
from asrpool_worker.engine.speaker.dims import read_dims
from asrpool_worker.engine.speaker.model import SpeakerModel, unit
from asrpool_worker.engine.speaker.network import SpeakerNetwork
from asrpool_worker.engine.speaker.windows import HOP_SAMPLES, WINDOW_FRAMES, WINDOW_SAMPLES
from asrpool_worker.errors import ModelError
from tests.worker.engine.conftest import babble
from tests.worker.engine.speaker import speaker_dirs
from tests.worker.engine.speaker.loading import TORCH, funasr_embedding, funasr_model, load

pytestmark = pytest.mark.model
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = speaker_dirs.write(tmp_path_factory.mktemp("speaker") / "campplus", speaker_dirs.config(), seed=1)
    export_directory(path)
    return path


@pytest.fixture(scope="module")
def reference(directory: Path) -> Any:
    return funasr_model(directory)


@pytest.fixture(scope="module", params=["torch", "onnx"])
def model(request: pytest.FixtureRequest, directory: Path) -> SpeakerModel:
    return load(directory, TORCH if request.param == "torch" else OnnxBackend("cpu", threads=1))


@pytest.mark.parametrize("seed", range(4))
def test_a_window_is_what_funasr_says(model: SpeakerModel, reference: Any, seed: int) -> None:
    window = babble(1.5, seed)
    expected = funasr_embedding(reference, window)
    assert np.linalg.norm(expected) > 0.1
    assert np.abs(model._windows([window])[0] - expected).max() < TOLERANCE
    assert np.abs(model.embed([window])[0] - unit(expected)).max() < TOLERANCE


def test_an_utterance_is_the_mean_of_its_windows_at_unit_length(model: SpeakerModel, reference: Any) -> None:
    samples = babble(3.0, 5)
    windows = [samples[first : first + WINDOW_SAMPLES] for first in (0, HOP_SAMPLES, 2 * HOP_SAMPLES)]
    expected = np.mean([funasr_embedding(reference, window) for window in windows], axis=0)
    (embedding,) = model.embed([samples])
    assert embedding.shape == (24,)
    assert np.linalg.norm(embedding) == pytest.approx(1.0, abs=1e-5)
    assert np.abs(embedding - expected / np.linalg.norm(expected)).max() < TOLERANCE


def test_real_widths(tmp_path: Path) -> None:
    """The sizes of the released model, once."""
    wide = {"embedding_size": 192, "growth_rate": 32, "bn_size": 4, "init_channels": 128}
    path = speaker_dirs.write(tmp_path, speaker_dirs.config(**wide), seed=2)
    window = babble(1.5, 9)
    expected = funasr_embedding(funasr_model(path), window)
    found = load(path)._windows([window, window])
    assert found.shape == (2, 192)
    assert np.abs(found - expected).max() < TOLERANCE * max(1.0, np.abs(expected).max())


@pytest.mark.parametrize("length", [9, 430], ids=["a few frames", "several segments"])
def test_the_network_is_funasrs_at_other_lengths(reference: Any, directory: Path, length: int) -> None:
    """No window that is served is as short, or has two segments; there small differences in the statistics would show."""
    frames = torch.randn(2, length, 80, generator=torch.Generator().manual_seed(3))
    network = functions.build(modeldir.read(directory)).module
    with torch.no_grad():
        (found,) = network(frames)
        expected = reference.model(frames)
    assert (found - expected).abs().max() < TOLERANCE


@cache
def _alone(path: Path, seed: int, hundredths: int) -> np.ndarray[Any, Any]:
    return load(path).embed([babble(hundredths / 100, seed)])[0]


@settings(max_examples=12, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 5), st.sampled_from((3, 80, 149, 151, 224, 310))), min_size=1, max_size=5)
)
def test_batched_is_alone(directory: Path, rows: list[tuple[int, int]]) -> None:
    together = load(directory).embed([babble(hundredths / 100, seed) for seed, hundredths in rows])
    for found, (seed, hundredths) in zip(together, rows, strict=True):
        assert np.abs(found - _alone(directory, seed, hundredths)).max() < TOLERANCE


def test_a_long_utterance_goes_through_in_pieces(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = load(directory)
    rows: list[int] = []
    run = model._graph

    def counted(inputs: Any) -> Any:
        rows.append(len(inputs["frames"]))
        return run(inputs)

    monkeypatch.setattr(model, "_graph", counted)
    samples = [babble(9.0, 1), babble(1.0, 2)]
    whole = model.embed(samples)
    monkeypatch.setattr(speaker_model, "MAX_WINDOWS", 5)
    pieces = model.embed(samples)
    assert rows == [12, 5, 5, 2]
    for one, other in zip(whole, pieces, strict=True):
        assert np.abs(one - other).max() < TOLERANCE


def test_both_engines_agree(directory: Path) -> None:
    samples = [babble(seconds, seed) for seed, seconds in enumerate((0.4, 1.5, 2.9))]
    theirs = load(directory, OnnxBackend("cpu", threads=1)).embed(samples)
    for ours, other in zip(load(directory).embed(samples), theirs, strict=True):
        assert np.abs(ours - other).max() < TOLERANCE


def test_two_runs_are_equal(model: SpeakerModel) -> None:
    samples = [babble(2.0, 1), babble(0.7, 2)]
    for one, other in zip(model.embed(samples), model.embed(samples), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("level", [0.0, 1.0], ids=["silence", "full scale"])
def test_degenerate_audio_has_an_embedding(model: SpeakerModel, level: float) -> None:
    (embedding,) = model.embed([np.full(16_000, level, np.float32)])
    assert np.isfinite(embedding).all()


def test_parameter_names_are_funasrs(reference: Any, directory: Path) -> None:
    """All of them: a name more or less on either side would load weights that are not there, or leave some out."""
    ours = SpeakerNetwork(read_dims(modeldir.read(directory))).state_dict()
    theirs = reference.model.state_dict()
    assert {name: tuple(t.shape) for name, t in ours.items()} == {name: tuple(t.shape) for name, t in theirs.items()}


def test_the_graph_takes_its_windows_only(directory: Path) -> None:
    """A window of another length would have other segments; the exported graph refuses it."""
    graph = OnnxBackend("cpu", threads=1).load(modeldir.read(directory), "speaker", {"frames": 80})
    with pytest.raises(Exception, match=str(WINDOW_FRAMES)):
        graph({"frames": np.zeros((1, WINDOW_FRAMES + 1, 80), np.float32)})


def test_missing_weights_are_named(tmp_path: Path) -> None:
    path = speaker_dirs.write(tmp_path, speaker_dirs.config())
    (path / speaker_dirs.WEIGHTS_NAME).write_bytes(b"weights")
    with pytest.raises(ModelError, match=r"campplus_cn_common\.bin"):
        functions.build(modeldir.read(path))
    (path / speaker_dirs.WEIGHTS_NAME).unlink()
    with pytest.raises(ModelError, match=r"model\.pt: missing"):
        functions.build(modeldir.read(path))
