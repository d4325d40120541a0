"""From what one stream's client saw to its lags and its tail. Pure: times in monotonic seconds come in, seconds go out.

Lag of a partial: its arrival less the moment at which the last sample that it needs was there to be sent. A model with chunk_size
[0, 10, 5] reads a stride of ten frames of 60 ms at a time, the look-ahead taken out of it: what it says of stride k (from
0) needs the first 600·(k+1) ms of its utterance and nothing later. FunASR's server waits for the same: `chunk_interval`
(10) messages of 60 ms. sherpa-onnx waits for 62 filter-bank frames and then 60 more for each stride: 35 ms more, which is
not counted against it. A sample is there when the frame of 60 ms that holds it was due, so that a server which stops
reading, or a client that is late, hides nothing.

Which stride a partial belongs to: servers of this folder say it (`needed_ms`). Others answer every stride, since the
weights' CIF gives tokens for each, so the strides can be counted: from the stream's start in mode `online`, in `2pass`
from where the final says that the utterance began. A server that left strides out (its partials are fewer) cannot be
counted; then the last stride that was spoken before the partial is taken, and waits of more than a stride show in the
tail alone.

Tail: from the end of the audio to the answer that ends the stream.

What is owed counts too: a stride that had no answer when the client left, and is past the limit, and a tail that never
came, count with the time they had waited so far.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.streams.speech import FRAME_MS

STRIDE_MS = 600.0


@dataclass(frozen=True)
class Reply:
    """One message of the server: when it came, how much audio it needed where it says so, and for a final its begin."""

    at: float
    final: bool
    needed_ms: float | None = None
    begin_ms: float | None = None


@dataclass
class StreamLog:
    """One stream as its client saw it. `spoken_from`: when its first sample was spoken; `left_at`: when the client left."""

    mode: str
    audio_ms: float
    spoken_from: float
    replies: list[Reply] = field(default_factory=list)
    ended_at: float | None = None
    answered_at: float | None = None
    left_at: float = 0.0
    error: str = ""

    def spoken_at(self, audio_ms: float) -> float:
        """When that much of the audio was due to be sent: whole frames, each at its end."""
        return self.spoken_from + math.ceil(audio_ms / FRAME_MS) * FRAME_MS / 1000


@dataclass(frozen=True)
class Waits:
    """Seconds waited, within a window; `unanswered`: how many of them were still waiting."""

    lags: tuple[float, ...] = ()
    tails: tuple[float, ...] = ()
    unanswered: int = 0


def waits(
    log: StreamLog,
    window: tuple[float, float],
    limit_seconds: float,
    extra_ms: float = 0.0,
    stride_ms: float = STRIDE_MS,
) -> Waits:
    """Lags of the strides spoken within `window`, and the tail where the audio ended within it."""
    needed = _needed(log, extra_ms, stride_ms)
    lags = [at - log.spoken_at(ms) for ms, at in needed if _within(log.spoken_at(ms), window)]
    owed = _owed(log, needed, window, limit_seconds, extra_ms, stride_ms)
    tails: list[float] = []
    unanswered = len(owed)
    if log.ended_at is not None and _within(log.ended_at, window) and not log.error:
        tails.append((log.answered_at if log.answered_at is not None else log.left_at) - log.ended_at)
        unanswered += log.answered_at is None
    return Waits(tuple(lags + owed), tuple(tails), unanswered)


def _within(at: float, window: tuple[float, float]) -> bool:
    return window[0] <= at < window[1]


def _needed(log: StreamLog, extra_ms: float, stride_ms: float) -> list[tuple[float, float]]:
    """(audio needed in ms, arrival) of each partial that came for a stride; what follows the audio's end is the tail's."""
    partials = [reply for reply in log.replies if not reply.final]
    if any(reply.needed_ms is not None for reply in partials):
        pairs = [(reply.needed_ms, reply.at) for reply in partials if reply.needed_ms is not None]
    elif log.mode == "online":
        pairs = _counted(log, partials, 0.0, extra_ms, stride_ms, strict=True)
    else:
        pairs = []
        for begin_ms, said in _utterances(log):
            pairs += _counted(log, said, begin_ms, extra_ms, stride_ms, strict=False)
    return [(ms, at) for ms, at in pairs if ms <= log.audio_ms]


def _counted(
    log: StreamLog, partials: Sequence[Reply], begin_ms: float, extra_ms: float, stride_ms: float, *, strict: bool
) -> list[tuple[float, float]]:
    """Partials of an utterance that began at `begin_ms`, one for each stride unless there are too few of them."""
    if strict and log.answered_at is not None and len(partials) < int((log.audio_ms - extra_ms) // stride_ms):
        return [
            (ms, reply.at)
            for reply in partials
            if (ms := _last_spoken(log, reply.at, begin_ms + extra_ms, stride_ms)) is not None
        ]
    return [(begin_ms + extra_ms + (index + 1) * stride_ms, reply.at) for index, reply in enumerate(partials)]


def _last_spoken(log: StreamLog, at: float, begin_ms: float, stride_ms: float) -> float | None:
    strides = int((min(1000 * (at - log.spoken_from), log.audio_ms) - begin_ms) // stride_ms)
    return begin_ms + strides * stride_ms if strides > 0 else None


def _utterances(log: StreamLog) -> list[tuple[float, list[Reply]]]:
    """The partials of each utterance whose final told its begin. One without a final is left out: where it began is not known."""
    found = []
    said: list[Reply] = []
    for reply in log.replies:
        if not reply.final:
            said.append(reply)
            continue
        if reply.begin_ms is not None:
            found.append((reply.begin_ms, said))
        said = []
    return found


def _owed(
    log: StreamLog,
    needed: Sequence[tuple[float, float]],
    window: tuple[float, float],
    limit_seconds: float,
    extra_ms: float,
    stride_ms: float,
) -> list[float]:
    """How long strides have waited that no partial came for, where strides can be counted and the stream was not answered."""
    if log.mode != "online" or log.answered_at is not None or log.error:
        return []
    next_ms = max((ms for ms, _ in needed), default=extra_ms) + stride_ms
    owed = []
    while next_ms <= log.audio_ms:
        spoken = log.spoken_at(next_ms)
        if _within(spoken, window) and log.left_at - spoken > limit_seconds:
            owed.append(log.left_at - spoken)
        next_ms += stride_ms
    return owed


def reply_of(message: dict[str, Any], at: float, final: bool) -> Reply:
    """A server's message as a reply."""
    sentences = message.get("stamp_sents")
    first = sentences[0].get("start") if isinstance(sentences, list) and sentences else None
    return Reply(at, final, _number(message.get("needed_ms")), _number(message.get("start", first)))


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
