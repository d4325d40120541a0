"""FSMN-VAD as the engine uses it: frames of many sessions in, each one's silence probabilities and new past out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from asrpool_worker.engine.backend import RunGraph
from asrpool_worker.engine.modeldir import FloatArray, FrontendConfig, ModelDir
from asrpool_worker.engine.slots import Arrays
from asrpool_worker.engine.vad.dims import VadDims
from asrpool_worker.engine.vad.endpointer import EndpointTimes


class VadModel:
    """The FSMN-VAD network; the past of a session is a value that its session keeps."""

    def __init__(self, model: ModelDir, dims: VadDims, times: EndpointTimes, graph: RunGraph, arrays: Arrays) -> None:
        self.model = model
        self.dims = dims
        self.times = times
        self._graph = graph
        self._arrays = arrays

    @property
    def frontend(self) -> FrontendConfig:
        """How its frames are stacked."""
        return self.model.frontend

    def fresh_past(self) -> FloatArray:
        """The past of a stream that begins: (blocks, past_frames, projection)."""
        return np.zeros((self.dims.blocks, self.dims.past_frames, self.dims.projection), dtype=np.float32)

    def step(self, rows: Sequence[tuple[FloatArray, FloatArray]]) -> list[tuple[FloatArray, FloatArray]]:
        """For each row (frames (n, f), past): P(silence) of each frame (n,), and the new past."""
        longest = max(len(frames) for frames, _ in rows)
        padded = np.zeros((len(rows), longest, self.dims.feature_size), dtype=np.float32)
        for index, (frames, _) in enumerate(rows):
            padded[index, : len(frames)] = frames
        lengths = np.array([len(frames) for frames, _ in rows], dtype=np.int64)
        named: dict[str, npt.NDArray[Any]] = {
            "frames": padded,
            "lengths": lengths,
            "past": np.stack([past for _, past in rows]),
        }
        outputs = self._graph({name: self._arrays.from_host(array) for name, array in named.items()})
        silence, past = (np.asarray(self._arrays.to_host(output), dtype=np.float32) for output in outputs)
        return [(silence[index, :length], past[index].copy()) for index, length in enumerate(lengths)]
