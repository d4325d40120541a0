"""Streaming Paraformer as the engine uses it: chunks of many sessions in, the token numbers that each adds out.

Here rows of different sessions are padded, masked and stacked, the graph is run once, and what it gives is cut back
into rows and slots. Frames come in with CMVN applied, scale and positions added (`place`), by FunASR's order of things.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asrpool_worker.engine.backend import RunGraph
from asrpool_worker.engine.features import positions
from asrpool_worker.engine.modeldir import FloatArray, ModelDir
from asrpool_worker.engine.options import StepShape
from asrpool_worker.engine.paraformer.dims import ParaformerDims
from asrpool_worker.engine.slots import Arrays, SlotPool

SENTENCE_MARKS = 3
"""Token numbers below this are FunASR's <blank>, <s> and </s>."""


@dataclass(frozen=True)
class Slot:
    """A session's place in the streaming model."""

    shape: StepShape
    number: int


@dataclass(frozen=True)
class ChunkRow:
    """One session's chunk: frames (n ≤ shape.frames, f) with overlap, scale and positions; `final` ends the stream."""

    slot: Slot
    frames: FloatArray
    final: bool


class OnlineModel:
    """Streaming Paraformer with its slots."""

    def __init__(self, model: ModelDir, dims: ParaformerDims, graph: RunGraph, arrays: Arrays) -> None:
        self.model = model
        self.dims = dims
        self._graph = graph
        self._arrays = arrays
        self._pools: dict[StepShape, SlotPool] = {}

    def acquire(self, shape: StepShape) -> Slot:
        """A slot for a stream that begins."""
        pool = self._pools.get(shape)
        if pool is None:
            pool = self._pools[shape] = SlotPool(shape, self.dims, self._arrays)
        return Slot(shape, pool.acquire())

    def release(self, slot: Slot) -> None:
        """Give a slot back; memory goes when a shape's last stream has gone."""
        pool = self._pools[slot.shape]
        pool.release(slot.number)
        if not pool.used:
            del self._pools[slot.shape]

    def step(self, rows: Sequence[ChunkRow]) -> list[tuple[int, ...]]:
        """Run one chunk of each row (all of one shape): the token numbers it adds. State changes only on success."""
        shape = rows[0].slot.shape
        pool = self._pools[shape]
        slots = [row.slot.number for row in rows]
        frames = np.zeros((len(rows), shape.frames, self.dims.feature_size), dtype=np.float32)
        frame_mask = np.zeros((len(rows), shape.frames), dtype=np.float32)
        alpha_mask = np.zeros((len(rows), shape.frames), dtype=np.float32)
        tail = np.zeros(len(rows), dtype=np.float32)
        for index, row in enumerate(rows):
            length = len(row.frames)
            frames[index, :length] = row.frames
            frame_mask[index, :length] = 1.0
            alpha_mask[index, shape.look_back : length if row.final else shape.look_back + shape.stride] = 1.0
            tail[index] = self.dims.cif_tail if row.final else 0.0
        inputs = pool.gather(slots)
        for name, array in (("frames", frames), ("frame_mask", frame_mask), ("alpha_mask", alpha_mask), ("tail", tail)):
            inputs[name] = self._arrays.from_host(array)
        token_ids, counts, *kept = self._graph(inputs)
        host_counts = self._arrays.to_host(counts)
        host_tokens = self._arrays.to_host(token_ids)
        pool.scatter(slots, kept, host_counts)
        return [_speech(row[:count]) for row, count in zip(host_tokens, host_counts, strict=True)]


def place(frames: FloatArray, first: int, dims: ParaformerDims) -> FloatArray:
    """Frames scaled and given the positions `first`, first+1, … of their stream (0 is its first frame)."""
    return frames * np.float32(dims.feature_scale) + positions(first + 1, len(frames), dims.feature_size)


def _speech(token_ids: npt.NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(token) for token in token_ids if token >= SENTENCE_MARKS)
