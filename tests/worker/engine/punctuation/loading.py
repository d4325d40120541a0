"""The model under test, and FunASR's on the same directory."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.backend import Backend
from asrpool_worker.engine.punctuation.dims import graph_sizes, read_dims
from asrpool_worker.engine.punctuation.model import PuncModel
from asrpool_worker.engine.torch_backend import TorchBackend
from tests.worker.engine.funasr_reference import auto_model

TORCH = TorchBackend("cpu", "float32", threads=1)


def load(directory: Path, backend: Backend = TORCH) -> PuncModel:
    model = modeldir.read(directory)
    dims = read_dims(model)
    return PuncModel(model, dims, backend.load(model, dims.graph, graph_sizes(dims)), backend.arrays)


def funasr_model(directory: Path) -> Any:
    for name in ("ct_transformer.model", "ct_transformer_streaming.model", "ct_transformer_streaming.encoder"):
        importlib.import_module(f"funasr.models.{name}")
    return auto_model(directory)
