"""The exported graph and the tensor function it was traced from agree, at lengths and batch sizes that were not traced."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.backend import Backend
from asrpool_worker.engine.export import export_directory
from asrpool_worker.engine.onnx_backend import OnnxBackend
from asrpool_worker.engine.options import StepShape
from asrpool_worker.engine.paraformer.dims import (
    OFFLINE_GRAPH,
    STREAMING_GRAPH,
    offline_graph_sizes,
    read_dims,
    streaming_graph_sizes,
)
from asrpool_worker.engine.paraformer.offline_model import OfflineModel
from asrpool_worker.engine.paraformer.online_model import ChunkRow, OnlineModel
from asrpool_worker.engine.torch_backend import TorchBackend
from asrpool_worker.engine.vad.dims import GRAPH as VAD_GRAPH
from asrpool_worker.engine.vad.dims import graph_sizes as vad_graph_sizes
from asrpool_worker.engine.vad.dims import read_vad
from asrpool_worker.engine.vad.model import VadModel
from asrpool_worker.errors import ModelError
from asrpool_worker.main import main
from tests.worker.engine import model_dirs

BACKENDS: list[Backend] = [TorchBackend("cpu", "float32", 1), OnnxBackend("cpu", 1)]
SHAPES = [
    StepShape(5, 10, 5, 4, 1),
    StepShape(0, 10, 5, 4, 1),
    StepShape(0, 4, 2, 0, 0),
    StepShape(3, 7, 0, 2, 3),
    StepShape(30, 60, 30, 1, 2),
]


def online_models(directory: Path) -> list[OnlineModel]:
    model = modeldir.read(directory)
    dims = read_dims(model, streaming=True)
    return [
        OnlineModel(model, dims, backend.load(model, STREAMING_GRAPH, streaming_graph_sizes(dims)), backend.arrays)
        for backend in BACKENDS
    ]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_streaming_step_agrees(random_online: Path, shape: StepShape) -> None:
    """Five sessions that begin at different steps: same tokens, and caches equal but for rounding, after every step."""
    torch_model, onnx_model = online_models(random_online)
    rng = np.random.default_rng(0)
    slots: list[list[object]] = [[], []]
    spoken = 0
    for step in range(6):
        if step < 5:
            for model, held in zip((torch_model, onnx_model), slots, strict=True):
                held.append(model.acquire(shape))
        final = step == 5
        length = shape.overlap + max(1, shape.stride // 2) if final else shape.frames
        frames = [rng.normal(size=(length, torch_model.dims.feature_size)).astype(np.float32) for _ in slots[0]]
        outs = [
            model.step([ChunkRow(slot, row, final) for slot, row in zip(held, frames, strict=True)])  # type: ignore[arg-type]
            for model, held in zip((torch_model, onnx_model), slots, strict=True)
        ]
        assert outs[0] == outs[1]
        spoken += sum(map(len, outs[0]))
        states = [model._pools[shape]._state for model in (torch_model, onnx_model)]
        for name, array in states[1].items():
            np.testing.assert_allclose(array, states[0][name].numpy(), atol=5e-4, err_msg=name)
        caches = [model._pools[shape]._caches for model in (torch_model, onnx_model)]
        np.testing.assert_allclose(caches[1], caches[0].numpy(), atol=5e-4)
    assert spoken > 5


def test_second_pass_agrees(random_offline: Path) -> None:
    """Utterances from one frame to a minute in one batch."""
    model = modeldir.read(random_offline)
    dims = read_dims(model, streaming=False)
    rng = np.random.default_rng(1)
    utterances = [rng.normal(size=(length, dims.feature_size)).astype(np.float32) for length in (1, 2, 17, 100, 1000)]
    ours, theirs = (
        OfflineModel(model, dims, backend.load(model, OFFLINE_GRAPH, offline_graph_sizes(dims)), backend.arrays).decode(
            utterances
        )
        for backend in BACKENDS
    )
    assert [result.token_ids for result in ours] == [result.token_ids for result in theirs]
    for left, right in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(left.alphas, right.alphas, atol=1e-4)


def test_vad_agrees(random_vad: Path) -> None:
    """Rows of different lengths: probabilities and the past to keep."""
    model = modeldir.read(random_vad)
    dims, times = read_vad(model)
    rng = np.random.default_rng(2)
    rows = [
        (
            rng.normal(size=(length, dims.feature_size)).astype(np.float32),
            rng.normal(size=(dims.blocks, dims.past_frames, dims.projection)).astype(np.float32),
        )
        for length in (1, 6, 200)
    ]
    ours, theirs = (
        VadModel(model, dims, times, backend.load(model, VAD_GRAPH, vad_graph_sizes(dims)), backend.arrays).step(rows)
        for backend in BACKENDS
    )
    for (silence, past), (other_silence, other_past) in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(silence, other_silence, atol=1e-5)
        np.testing.assert_allclose(past, other_past, atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_counts_the_same_tokens(random_online: Path, dtype: str) -> None:
    """Sums of weights are kept in float32: a stream of many chunks does not gain or lose tokens, nor go to NaN."""
    model = modeldir.read(random_online)
    dims = read_dims(model, streaming=True)
    shape = StepShape(5, 10, 5, 4, 1)
    rng = np.random.default_rng(3)
    chunks = [rng.normal(size=(shape.frames, dims.feature_size)).astype(np.float32) for _ in range(12)]
    counts = []
    for backend in (BACKENDS[0], TorchBackend("cpu", dtype, 1)):
        online = OnlineModel(
            model, dims, backend.load(model, STREAMING_GRAPH, streaming_graph_sizes(dims)), backend.arrays
        )
        slot = online.acquire(shape)
        counts.append(sum(len(online.step([ChunkRow(slot, chunk, final=False)])[0]) for chunk in chunks))
        assert np.isfinite(backend.arrays.to_host(online._pools[shape]._state["cif_hidden"][slot.number])).all()
    assert abs(counts[0] - counts[1]) <= 1


def test_a_graph_of_another_exporter_is_refused(random_online: Path, tmp_path: Path) -> None:
    """FunASR's own export is called model.onnx too; the error says how to make ours."""
    directory = model_dirs.write(tmp_path, model_dirs.paraformer_config(streaming=True))
    graph = onnx.load(str(random_online / "model.onnx"))
    del graph.metadata_props[:]
    onnx.save(graph, str(directory / "model.onnx"))
    model = modeldir.read(directory)
    with pytest.raises(ModelError, match=r"another exporter.*asrpool-worker export"):
        BACKENDS[1].load(model, STREAMING_GRAPH, streaming_graph_sizes(read_dims(model, streaming=True)))


def test_a_graph_of_another_size_is_refused(random_online: Path, tmp_path: Path) -> None:
    """A graph left over from a smaller model does not fail in the middle of a stream."""
    directory = model_dirs.write(tmp_path, model_dirs.paraformer_config(streaming=True, size=48))
    (directory / "model.onnx").write_bytes((random_online / "model.onnx").read_bytes())
    model = modeldir.read(directory)
    with pytest.raises(ModelError, match=r"config.yaml says.*asrpool-worker export"):
        BACKENDS[1].load(model, STREAMING_GRAPH, streaming_graph_sizes(read_dims(model, streaming=True)))


@pytest.mark.parametrize("content", [None, b"", b"not a graph"], ids=["missing", "empty", "garbage"])
def test_a_broken_graph_is_named(tmp_path: Path, content: bytes | None) -> None:
    directory = model_dirs.write(tmp_path, model_dirs.paraformer_config(streaming=False))
    if content is not None:
        (directory / "model.onnx").write_bytes(content)
    model = modeldir.read(directory)
    with pytest.raises(ModelError, match=str(directory / "model.onnx")):
        BACKENDS[1].load(model, OFFLINE_GRAPH, offline_graph_sizes(read_dims(model, streaming=False)))


def test_export_keeps_the_older_graph_when_it_fails(random_offline: Path, tmp_path: Path) -> None:
    """A damaged checkpoint costs the export, not the graph that is there; nothing half-written stays."""
    directory = model_dirs.write(tmp_path, model_dirs.paraformer_config(streaming=False))
    older = (random_offline / "model.onnx").read_bytes()
    (directory / "model.onnx").write_bytes(older)
    (directory / "model.pt").write_bytes(b"damaged")
    with pytest.raises(ModelError, match=r"model\.pt"):
        export_directory(directory)
    assert (directory / "model.onnx").read_bytes() == older
    assert sorted(path.name for path in directory.iterdir()) == [
        "am.mvn",
        "config.yaml",
        "model.onnx",
        "model.pt",
        "tokens.json",
    ]


def test_export_command_says_which_directory_failed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One bad directory does not keep the good ones from being exported."""
    good = model_dirs.write(tmp_path / "good", model_dirs.vad_config())
    assert main(["export", str(tmp_path / "absent"), str(good)]) == 1
    captured = capsys.readouterr()
    assert "absent" in captured.err
    assert str(good / "model.onnx") in captured.out
