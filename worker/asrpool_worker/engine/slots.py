"""Where the streaming state of sessions lives between steps: one slot a session, in a pool per step shape.

A pool's arrays are allocated once and grow by doubling; a step gathers its rows' slots and scatters the new state back.
The encoder's caches, nearly all of the memory, are not gathered here: a graph gets each block's slots as they lie, and takes
its rows when it comes to that block. Cached encoder keys form a ring (attention does not mind their order), so a step writes one chunk of keys, not the whole
cache. Whose slot holds what is counted in `SlotMarks`, which is plain arithmetic; arrays are numpy's or torch's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from asrpool_worker.engine.modeldir import FloatArray
from asrpool_worker.engine.options import StepShape
from asrpool_worker.engine.paraformer.dims import ParaformerDims, cache_names

IndexArray = npt.NDArray[np.int64]
FIRST_CAPACITY = 4
Array: TypeAlias = Any
"""A numpy array or a torch tensor: which of them is the backend's business, and both index alike."""

STATE = ("cif_hidden", "cif_alpha", "tokens_past", "memory_past")


class Arrays(Protocol):
    """The array library and device of an engine. Arrays of either library take the same indexing."""

    def zeros(self, shape: tuple[int, ...]) -> Array:
        """Zeros of the engine's float type."""

    def from_host(self, array: npt.NDArray[Any]) -> Array:
        """A numpy array as the engine's array."""

    def to_host(self, array: Array) -> npt.NDArray[Any]:
        """The engine's array as numpy."""


@dataclass
class SlotMarks:
    """How far one session's caches are filled."""

    keys_written: int = 0
    chunks: int = 0
    memory_frames: int = 0

    def key_mask(self, shape: StepShape) -> FloatArray:
        """(ring size,): 1 where the ring holds a key that the next chunk may see."""
        mask = np.zeros(ring_size(shape), dtype=np.float32)
        limit = shape.cached_per_chunk if self.chunks == 1 else shape.key_limit
        valid = min(self.keys_written, limit)
        if valid:
            mask[np.arange(self.keys_written - valid, self.keys_written) % ring_size(shape)] = 1.0
        return mask

    def memory_mask(self, shape: StepShape) -> FloatArray:
        """(memory_frames,): 1 where the decoder's look-back memory is filled; it is kept at the right end."""
        mask = np.zeros(shape.memory_frames, dtype=np.float32)
        mask[shape.memory_frames - self.memory_frames :] = 1.0
        return mask

    def key_positions(self, shape: StepShape) -> IndexArray:
        """(cached_per_chunk,): where in the ring this chunk's keys go."""
        written = np.arange(self.keys_written, self.keys_written + shape.cached_per_chunk, dtype=np.int64)
        return written % ring_size(shape)

    def advance(self, shape: StepShape, spoke: bool) -> None:
        """One chunk was run; `spoke`: it gave tokens, and so renewed the decoder's memory."""
        self.keys_written += shape.cached_per_chunk
        self.chunks += 1
        if spoke:
            self.memory_frames = min(self.memory_frames + shape.frames, shape.memory_frames)


def ring_size(shape: StepShape) -> int:
    """Keys in a slot's ring. A shape that looks back on none has one that is masked: attention over nothing has no value."""
    return max(1, shape.key_slots)


class SlotPool:
    """The slots of all sessions that share a step shape."""

    def __init__(self, shape: StepShape, dims: ParaformerDims, arrays: Arrays) -> None:
        self._shape = shape
        self._arrays = arrays
        self._cache_names = cache_names(dims)
        self._sizes: dict[str, tuple[int, ...]] = {
            "cif_hidden": (dims.size,),
            "cif_alpha": (),
            "tokens_past": (dims.decoder_blocks, dims.fsmn_frames, dims.size),
            "memory_past": (shape.memory_frames, dims.size),
        }
        self._cache_size = (len(self._cache_names), dims.encoder_heads, ring_size(shape), dims.head_size)
        self._state: dict[str, Array] = {name: arrays.zeros((0, *size)) for name, size in self._sizes.items()}
        self._caches: Array = self._zero_caches(0)
        self._marks: dict[int, SlotMarks] = {}
        self._free: list[int] = []
        self._capacity = 0

    @property
    def used(self) -> int:
        """Slots in use."""
        return len(self._marks)

    def acquire(self) -> int:
        """A fresh slot, as at the start of a stream."""
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self._marks[slot] = SlotMarks()
        for name in ("cif_hidden", "cif_alpha", "tokens_past"):
            self._state[name][slot] = 0.0
        return slot

    def release(self, slot: int) -> None:
        """Give `slot` back."""
        del self._marks[slot]
        self._free.append(slot)

    def gather(self, slots: Sequence[int]) -> dict[str, Array]:
        """The step's state inputs for these rows."""
        index = self._arrays.from_host(np.array(slots, dtype=np.int64))
        inputs = {name: array[index] for name, array in self._state.items()}
        inputs |= {name: self._caches[number] for number, name in enumerate(self._cache_names)}
        inputs["slots"] = index
        marks = [self._marks[slot] for slot in slots]
        inputs["key_mask"] = self._arrays.from_host(np.stack([mark.key_mask(self._shape) for mark in marks]))
        inputs["memory_past_mask"] = self._arrays.from_host(np.stack([mark.memory_mask(self._shape) for mark in marks]))
        return inputs

    def scatter(self, slots: Sequence[int], outputs: Sequence[Array], counts: IndexArray) -> None:
        """Keep a step's outputs: the new state in the order of `STATE`, then each cache's new part (B, heads, T, w)."""
        index = self._arrays.from_host(np.array(slots, dtype=np.int64))
        for name, array in zip(STATE, outputs[: len(STATE)], strict=True):
            self._state[name][index] = array
        written = self._shape.cached_per_chunk
        if written:
            places = np.stack([self._marks[slot].key_positions(self._shape) for slot in slots])
            positions = self._arrays.from_host(places)
            for number, fresh in enumerate(outputs[len(STATE) :]):
                self._caches[number][index[:, None], :, positions] = fresh[:, :, :written].swapaxes(1, 2)
        for slot, count in zip(slots, counts, strict=True):
            self._marks[slot].advance(self._shape, spoke=bool(count > 0))

    def _grow(self) -> None:
        """All or nothing: where there is no room for one of the arrays, the pool stays as it was."""
        capacity = max(FIRST_CAPACITY, 2 * self._capacity)
        grown = {name: self._arrays.zeros((capacity, *size)) for name, size in self._sizes.items()}
        caches = self._zero_caches(capacity)
        for name, array in grown.items():
            array[: self._capacity] = self._state[name]
        caches[:, : self._capacity] = self._caches
        self._state, self._caches = grown, caches
        self._free.extend(range(capacity - 1, self._capacity - 1, -1))
        self._capacity = capacity

    def _zero_caches(self, capacity: int) -> Array:
        """(caches, slots, heads, ring, w)."""
        count, *size = self._cache_size
        return self._arrays.zeros((count, capacity, *size))
