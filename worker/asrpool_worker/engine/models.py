"""The three models as the engine uses them: rows in, plain numbers out.

Here rows of different sessions are padded, masked and stacked, the graph is run once, and what it gives is cut back
into rows. Frames come in with CMVN applied; scale and positions are added here, by FunASR's order of things.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from asrpool_worker.engine.backend import RunGraph
from asrpool_worker.engine.features import positions
from asrpool_worker.engine.messages import Mode
from asrpool_worker.engine.modeldir import FloatArray, FrontendConfig, ModelDir
from asrpool_worker.engine.options import StepShape
from asrpool_worker.engine.paraformer.dims import ParaformerDims
from asrpool_worker.engine.slots import Arrays, SlotPool
from asrpool_worker.engine.vad.dims import VadDims
from asrpool_worker.engine.vad.endpointer import EndpointTimes
from asrpool_worker.errors import ServerError

Wanted = TypeVar("Wanted")
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


@dataclass(frozen=True)
class Recognised:
    """One utterance: token numbers, and for each frame the weight that its tokens took (the last is the tail's)."""

    token_ids: tuple[int, ...]
    alphas: FloatArray


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
        token_ids, counts, new_keys, *new_state = self._graph(inputs)
        host_counts = self._arrays.to_host(counts)
        host_tokens = self._arrays.to_host(token_ids)
        pool.scatter(slots, new_keys, new_state, host_counts)
        return [_speech(row[:count]) for row, count in zip(host_tokens, host_counts, strict=True)]


class OfflineModel:
    """Whole-utterance Paraformer."""

    def __init__(self, model: ModelDir, dims: ParaformerDims, graph: RunGraph, arrays: Arrays) -> None:
        self.model = model
        self.dims = dims
        self._graph = graph
        self._arrays = arrays

    def run(self, utterances: Sequence[FloatArray]) -> list[Recognised]:
        """Recognise utterances of (frames, f), padded to the longest."""
        longest = max(len(frames) for frames in utterances)
        frames = np.zeros((len(utterances), longest, self.dims.feature_size), dtype=np.float32)
        frame_mask = np.zeros((len(utterances), longest), dtype=np.float32)
        tail_mask = np.zeros((len(utterances), longest + 1), dtype=np.float32)
        for index, utterance in enumerate(utterances):
            frames[index, : len(utterance)] = place(utterance, 0, self.dims)
            frame_mask[index, : len(utterance)] = 1.0
            tail_mask[index, len(utterance)] = 1.0
        named = {"frames": frames, "frame_mask": frame_mask, "tail_mask": tail_mask}
        outputs = self._graph({name: self._arrays.from_host(array) for name, array in named.items()})
        token_ids, counts, alphas = (self._arrays.to_host(output) for output in outputs)
        return [
            Recognised(
                _whole(token_ids[index, : counts[index]]),
                np.asarray(alphas[index, : len(utterance) + 1], dtype=np.float32),
            )
            for index, utterance in enumerate(utterances)
        ]


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


@dataclass(frozen=True)
class ModelSet:
    """The loaded models; their filter banks are one and the same. The `needed_` ones raise where the model is not there."""

    frontend: FrontendConfig
    online: OnlineModel | None
    offline: OfflineModel | None
    vad: VadModel | None

    @property
    def modes(self) -> frozenset[Mode]:
        """What can be served with them."""
        online = {Mode.ONLINE} if self.online else set()
        offline = {Mode.OFFLINE} if self.offline else set()
        return frozenset(online | offline | ({Mode.TWO_PASS} if online and offline else set()))

    @property
    def needed_online(self) -> OnlineModel:
        """The streaming model."""
        return offered(self.online)

    @property
    def needed_offline(self) -> OfflineModel:
        """The second-pass model."""
        return offered(self.offline)

    @property
    def needed_vad(self) -> VadModel:
        """The VAD model."""
        return offered(self.vad)


def place(frames: FloatArray, first: int, dims: ParaformerDims) -> FloatArray:
    """Frames scaled and given the positions `first`, first+1, … of their stream (0 is its first frame)."""
    return frames * np.float32(dims.feature_scale) + positions(first + 1, len(frames), dims.feature_size)


def _whole(token_ids: npt.NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(token) for token in token_ids)


def _speech(token_ids: npt.NDArray[np.int64]) -> tuple[int, ...]:
    return tuple(int(token) for token in token_ids if token >= SENTENCE_MARKS)


def offered(value: Wanted | None) -> Wanted:
    """What the stream offered or a mode promised; that it is missing is a fault of ours."""
    if value is None:
        raise ServerError("the engine was asked for work that its stream or its models do not have; report this")
    return value
