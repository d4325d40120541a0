"""SenseVoiceSmall as the engine uses it: utterances of many sessions in, what each says and how it sounds out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from asrpool_worker.engine.backend import RunGraph
from asrpool_worker.engine.features import positions
from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.recogniser import OfflineRow, Recognised
from asrpool_worker.engine.sensevoice.dims import LANGUAGE_QUERIES, QUERIES, STYLE_QUERIES, SenseVoiceDims
from asrpool_worker.engine.sensevoice.transcript import read
from asrpool_worker.engine.sensevoice.vocabulary import read_vocabulary
from asrpool_worker.engine.slots import Arrays
from asrpool_worker.errors import ModelError


class SenseVoiceModel:
    """A `Recogniser`. Raises `ModelError` when the directory's vocabulary cannot be read."""

    reads_samples = False

    def __init__(self, model: ModelDir, dims: SenseVoiceDims, graph: RunGraph, arrays: Arrays) -> None:
        self.model = model
        self.dims = dims
        self._graph = graph
        self._arrays = arrays
        self._vocabulary = read_vocabulary(model)

    def run(self, rows: Sequence[OfflineRow]) -> list[Recognised]:
        """See `Recogniser`. A language that the model does not know is for the model to hear, as in FunASR."""
        return [
            read(token_ids, self._vocabulary, self.dims.blank, row.itn)
            for row, token_ids in zip(rows, self.decode(rows), strict=True)
        ]

    def decode(self, rows: Sequence[OfflineRow]) -> list[list[int]]:
        """The best token at each query and frame of each row, padded to the longest for the graph and cut again."""
        longest = max(len(row.frames) for row in rows)
        frames = np.zeros((len(rows), longest, self.dims.feature_size), dtype=np.float32)
        frame_mask = np.zeros((len(rows), longest), dtype=np.float32)
        places = positions(QUERIES + 1, longest, self.dims.feature_size)
        for index, row in enumerate(rows):
            length = len(row.frames)
            frames[index, :length] = row.frames * np.float32(self.dims.feature_scale) + places[:length]
            frame_mask[index, :length] = 1.0
        named: dict[str, npt.NDArray[Any]] = {
            "frames": frames,
            "frame_mask": frame_mask,
            "language": np.array([LANGUAGE_QUERIES.get(row.language, 0) for row in rows], dtype=np.int64),
            "style": np.array([STYLE_QUERIES[row.itn] for row in rows], dtype=np.int64),
        }
        (token_ids,) = self._graph({name: self._arrays.from_host(array) for name, array in named.items()})
        found = self._arrays.to_host(token_ids)
        if found.max() >= len(self._vocabulary):
            raise ModelError(
                f"{self.model.path}: the model says token {found.max()}, its vocabulary has {len(self._vocabulary)};"
                " copy the vocabulary of this very model"
            )
        return [found[index, : QUERIES + len(row.frames)].tolist() for index, row in enumerate(rows)]
