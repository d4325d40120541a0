"""The speaker model under test, and FunASR's on the same directory."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from asrpool_worker.engine import modeldir
from asrpool_worker.engine.backend import Backend
from asrpool_worker.engine.messages import Samples
from asrpool_worker.engine.modeldir import FloatArray
from asrpool_worker.engine.speaker.dims import GRAPH, graph_sizes, read_dims
from asrpool_worker.engine.speaker.model import SpeakerModel
from asrpool_worker.engine.torch_backend import TorchBackend
from tests.worker.engine.funasr_reference import auto_model

TORCH = TorchBackend("cpu", "float32", threads=1)


def load(directory: Path, backend: Backend = TORCH) -> SpeakerModel:
    model = modeldir.read(directory)
    dims = read_dims(model)
    return SpeakerModel(model, dims, backend.load(model, GRAPH, graph_sizes(dims)), backend.arrays)


def funasr_model(directory: Path) -> Any:
    importlib.import_module("funasr.models.campplus.model")
    return auto_model(directory)


def funasr_embedding(model: Any, window: Samples) -> FloatArray:
    """What FunASR says of one window, as it is: (embedding_size,)."""
    embedding: FloatArray = np.asarray(model.generate(input=window)[0]["spk_embedding"][0])
    return embedding
