"""Directories with random weights, and both engines over each of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.export import export_directory
from asrpool_worker.engine.onnx_backend import OnnxBackend
from asrpool_worker.engine.seaco.model import SeacoModel, load
from asrpool_worker.engine.torch_backend import TorchBackend
from tests.worker.engine.seaco import seaco_dirs


@pytest.fixture(scope="session")
def seaco_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SeACo-Paraformer, exported."""
    path = seaco_dirs.write(tmp_path_factory.mktemp("seaco"), seaco_dirs.seaco_config(), seed=4)
    export_directory(path)
    return path


@pytest.fixture(scope="session")
def seaco(seaco_directory: Path) -> SeacoModel:
    """The same under torch."""
    model = load(modeldir.read(seaco_directory), TorchBackend("cpu", "float32", 1))
    assert isinstance(model, SeacoModel)
    return model


@pytest.fixture(scope="session")
def seaco_onnx(seaco_directory: Path) -> SeacoModel:
    """The same under onnxruntime."""
    model = load(modeldir.read(seaco_directory), OnnxBackend("cpu", 1))
    assert isinstance(model, SeacoModel)
    return model
