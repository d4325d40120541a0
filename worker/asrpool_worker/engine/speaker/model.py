"""The speaker model as the engine uses it: utterances of many sessions in, one embedding of unit length for each out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from asrpool_worker.engine.backend import RunGraph
from asrpool_worker.engine.messages import Samples
from asrpool_worker.engine.modeldir import FloatArray, ModelDir
from asrpool_worker.engine.slots import Arrays
from asrpool_worker.engine.speaker.dims import SpeakerDims
from asrpool_worker.engine.speaker.windows import features, windows

MAX_WINDOWS = 32
"""In one run of the graph. The head holds some 1.5 MB a window and layer: long utterances go through in pieces."""


class SpeakerModel:
    """CAM++ over windows of a second and a half."""

    def __init__(self, model: ModelDir, dims: SpeakerDims, graph: RunGraph, arrays: Arrays) -> None:
        self.model = model
        self.dims = dims
        self._graph = graph
        self._arrays = arrays

    def embed(self, samples: Sequence[Samples]) -> list[FloatArray]:
        """For each utterance (16 kHz, not empty) its embedding: (embedding_size,), the mean over its windows at length 1."""
        cut = [windows(utterance) for utterance in samples]
        found = self._windows([window for row in cut for window in row])
        ends = np.cumsum([len(row) for row in cut])
        return [unit(found[end - len(row) : end].mean(axis=0)) for row, end in zip(cut, ends, strict=True)]

    def _windows(self, all_windows: Sequence[Samples]) -> FloatArray:
        """(n, embedding_size): what FunASR's own class says of each window."""
        found = []
        for first in range(0, len(all_windows), MAX_WINDOWS):
            frames = np.stack([features(window) for window in all_windows[first : first + MAX_WINDOWS]])
            (embedding,) = self._graph({"frames": self._arrays.from_host(frames)})
            found.append(np.asarray(self._arrays.to_host(embedding), dtype=np.float32))
        return np.concatenate(found)


def unit(vector: FloatArray) -> FloatArray:
    """The vector at length 1; nothing stays nothing."""
    length = float(np.linalg.norm(vector))
    scaled: FloatArray = vector / np.float32(length) if length > 0.0 else vector
    return scaled
