"""What one stream has sent and still needs: samples not yet framed, frames not yet dropped, and when each part arrived.

Memory is bounded by what the passes over the stream still need, and the callers say what that is (`drop_before`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque

import numpy as np

from asrpool_worker.engine.features import FilterBank
from asrpool_worker.engine.messages import Samples
from asrpool_worker.engine.modeldir import FloatArray, FrontendConfig

FRAMING_QUANTUM_SAMPLES = 32_000
"""At most this much of one stream is framed at a time, so that a file sent at once does not hold up live streams."""


class FrameBuffer:
    """Filter-bank frames of a stream (or its samples, as frames of one value), numbered from its start; the oldest can be dropped."""

    def __init__(self, mel_bins: int) -> None:
        self._rows = np.empty((256, mel_bins), dtype=np.float32)
        self._begin = 0
        self._end = 0
        self.first = 0

    @property
    def count(self) -> int:
        """Frames ever appended: the number of the next one."""
        return self.first + self._end - self._begin

    def append(self, frames: FloatArray) -> None:
        """Add the stream's next frames."""
        if self._end + len(frames) > len(self._rows):
            held = self._rows[self._begin : self._end]
            room = max(256, 2 * (len(held) + len(frames)))
            rows = np.empty((room, self._rows.shape[1]), dtype=np.float32)
            rows[: len(held)] = held
            self._rows, self._begin, self._end = rows, 0, len(held)
        self._rows[self._end : self._end + len(frames)] = frames
        self._end += len(frames)

    def view(self, begin: int, end: int | None = None) -> FloatArray:
        """Frames `begin`..`end` (default: to the newest); not to be kept, since the buffer moves."""
        if begin < self.first:
            raise IndexError(f"frame {begin} was dropped; the oldest held is {self.first}")
        offset = self._begin - self.first
        return self._rows[begin + offset : self._end if end is None else end + offset]

    def drop_before(self, frame: int) -> None:
        """Forget frames before number `frame`."""
        dropped = min(max(0, frame - self.first), self._end - self._begin)
        self._begin += dropped
        self.first += dropped


class AudioQueue:
    """One stream's audio from arrival to frames."""

    def __init__(self, frontend: FrontendConfig, keeps_samples: bool = False) -> None:
        self._frontend = frontend
        self._samples = FrameBuffer(1) if keeps_samples else None
        self._bank = FilterBank(frontend)
        self._pending: deque[Samples] = deque()
        self._arrival_ends: list[int] = []
        self._arrival_seconds: list[float] = []
        self.frames = FrameBuffer(frontend.mel_bins)
        self.received_samples = 0
        self.framed_samples = 0

    @property
    def unframed_samples(self) -> int:
        """Samples that wait to be framed."""
        return self.received_samples - self.framed_samples

    def push(self, samples: Samples, arrived_seconds: float) -> None:
        """Append samples as they arrive."""
        if len(samples):
            self._pending.append(samples)
            self.received_samples += len(samples)
            self._arrival_ends.append(self.received_samples)
            self._arrival_seconds.append(arrived_seconds)

    def frame_some(self) -> None:
        """Turn up to one quantum of waiting samples into frames."""
        budget = FRAMING_QUANTUM_SAMPLES
        taken = []
        while self._pending and budget > 0:
            samples = self._pending.popleft()
            if len(samples) > budget:
                self._pending.appendleft(samples[budget:])
                samples = samples[:budget]
            taken.append(samples)
            budget -= len(samples)
        if taken:
            joined = np.concatenate(taken)
            self.framed_samples += len(joined)
            if self._samples is not None:
                self._samples.append(joined[:, None])
            self.frames.append(self._bank.push(joined))

    def samples_of(self, begin: int, end: int) -> Samples | None:
        """A copy of the samples that frames `begin`..`end` stand for, where samples are kept."""
        if self._samples is None:
            return None
        shift = self._frontend.frame_shift_samples
        return self._samples.view(begin * shift, min(end * shift, self._samples.count))[:, 0].copy()

    def arrival_of(self, sample: int) -> float:
        """When sample number `sample` arrived; the newest arrival for samples not yet here."""
        index = bisect_right(self._arrival_ends, sample)
        return self._arrival_seconds[min(index, len(self._arrival_seconds) - 1)] if self._arrival_seconds else 0.0

    def samples_until(self, frame: int) -> int:
        """How many samples of the stream frame number `frame` and all before it need."""
        return frame * self._frontend.frame_shift_samples + self._frontend.frame_length_samples

    def drop_before(self, frame: int) -> None:
        """Forget frames before number `frame`, and arrivals that no later question can be about."""
        self.frames.drop_before(frame)
        if self._samples is not None:
            self._samples.drop_before(self.frames.first * self._frontend.frame_shift_samples)
        index = bisect_right(self._arrival_ends, self.frames.first * self._frontend.frame_shift_samples)
        if index > 64:
            del self._arrival_ends[:index], self._arrival_seconds[:index]
