"""How long a client waits for text, measured at the client. Pure: times come in, times go out.

Final: from sending the end of an utterance to its last final.

Partial: from sending the frame that completes the chunk in which the partial's last character stands, to the partial. A
partial does not say which chunk it came from. With a second pass the final does: its time stamps say when that character
was spoken, and the model reads it with the first whole stride that has the look-ahead behind it. A stamp is not exact:
one within four frames of a stride's end is counted to the next. Should the partial be there before that stride was
sent, the last one sent before it is taken. In mode `online` there are no time stamps: the last whole
stride sent before the partial is taken, so waits of more than a stride show up in the final's latency only.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass

FRAME_MS = 60
STAMP_FRAMES = 4


class SentClock:
    """When each millisecond of an utterance's audio was sent."""

    def __init__(self) -> None:
        self._ends_ms: list[float] = []
        self._sent_at: list[float] = []

    @property
    def sent_ms(self) -> float:
        """Audio sent so far."""
        return self._ends_ms[-1] if self._ends_ms else 0.0

    def sent(self, milliseconds: float, at: float) -> None:
        """A frame of so many milliseconds was sent."""
        self._ends_ms.append(self.sent_ms + milliseconds)
        self._sent_at.append(at)

    def when(self, audio_ms: float) -> float | None:
        """When the frame that completes the first `audio_ms` was sent; None if it was not yet."""
        index = bisect_left(self._ends_ms, audio_ms)
        return self._sent_at[index] if index < len(self._sent_at) else None


@dataclass(frozen=True)
class HeardPartial:
    """A partial's arrival, and how many characters the utterance had with it."""

    at: float
    characters: int


def partial_latencies(
    partials: Sequence[HeardPartial],
    clock: SentClock,
    chunk_size: tuple[int, int, int],
    begin_ms: float = 0.0,
    token_ends_ms: Sequence[float] = (),
) -> list[float]:
    """Seconds for each partial of one utterance that began at `begin_ms`; see the module's docstring for the measure."""
    latencies = []
    for partial in partials:
        latest = _last_stride_before(partial.at, clock, chunk_size, begin_ms)
        if latest is None:
            continue
        if token_ends_ms and partial.characters:
            spoken_ms = token_ends_ms[min(partial.characters, len(token_ends_ms)) - 1]
            needed = _stride_of(spoken_ms, chunk_size, begin_ms)
            sent_at = clock.when(needed)
            if sent_at is not None and sent_at <= partial.at:
                latest = sent_at
        latencies.append(partial.at - latest)
    return latencies


def _stride_of(spoken_ms: float, chunk_size: tuple[int, int, int], begin_ms: float) -> float:
    """The audio needed to read what was spoken until `spoken_ms`."""
    _, stride, ahead = chunk_size
    stride_ms = stride * FRAME_MS
    needed_ms = spoken_ms + (ahead + STAMP_FRAMES) * FRAME_MS - begin_ms
    strides = max(1, math.ceil(needed_ms / stride_ms))
    return begin_ms + strides * stride_ms


def _last_stride_before(at: float, clock: SentClock, chunk_size: tuple[int, int, int], begin_ms: float) -> float | None:
    """When the last whole stride that was sent before `at` was complete."""
    stride_ms = chunk_size[1] * FRAME_MS
    strides = int((clock.sent_ms - begin_ms) // stride_ms)
    while strides > 0:
        sent_at = clock.when(begin_ms + strides * stride_ms)
        if sent_at is not None and sent_at <= at:
            return sent_at
        strides -= 1
    return None
