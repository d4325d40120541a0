"""What sessions and the engine say to each other, and nothing else.

A session (event loop side) opens a stream, feeds it samples and hears events; the engine (its own thread) owns the
models. They share no objects: every call below only puts a message on the engine's inbox, every event is a frozen
value handed to the stream's sink. So front ends can move to other processes without the engine noticing.

Promises:
* `Engine.open/feed/finish/close` never block and may be called from any one thread at a time per stream.
* The sink is called on the engine's thread, in order, and must return at once (the server's sink posts to its loop).
* After `finish` every stream gets exactly one of `Ended` or `Failed`, and after that nothing. After `close` nothing more.
* A `Failed` stream never disturbs another stream.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
import numpy.typing as npt

Samples = npt.NDArray[np.float32]
"""Mono audio at 16 kHz, shape (n,), in [-1, 1)."""

SAMPLE_RATE_HZ = 16_000


class Mode(StrEnum):
    """FunASR's words: partials only, finals only, or partials first and a second pass at each end of speech."""

    ONLINE = "online"
    OFFLINE = "offline"
    TWO_PASS = "2pass"  # noqa: S105 - a mode, not a password


@dataclass(frozen=True)
class StreamOptions:
    """What one stream asks of the engine; checked and bounded by the protocol before it comes here.

    `chunk_size` is (look-back, stride, look-ahead) in LFR frames of 60 ms, as in FunASR. `punctuation` and `speakers`: None
    takes what the loaded models give, True insists on it (`Engine.open` refuses where it cannot), False does without.
    `itn` and `hotwords` act where the worker and its model can.
    """

    mode: Mode = Mode.TWO_PASS
    chunk_size: tuple[int, int, int] = (5, 10, 5)
    encoder_chunk_look_back: int = 4
    decoder_chunk_look_back: int = 1
    itn: bool = True
    language: str = "auto"
    hotwords: dict[str, int] = field(default_factory=dict)
    punctuation: bool | None = None
    speakers: bool | None = None


@dataclass(frozen=True)
class Partial:
    """New text only (not what was said in earlier partials). `latency_seconds`: from the arrival of the last sample needed."""

    text: str
    latency_seconds: float


@dataclass(frozen=True)
class Sentence:
    """A stretch of a final up to a punctuation mark, which is told apart from its words; times from the stream's start."""

    text: str
    punctuation: str
    begin_ms: int
    end_ms: int
    timestamps_ms: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Final:
    """One finished utterance. Times are from the stream's start. `timestamps_ms`: (begin, end) for each token of `tokens`.

    The fields after them are empty where no model says it: `sentences` needs punctuation and times, `speaker` is an enrolled
    name or the stream's own "speaker-1", "speaker-2", …, `speaker_score` the cosine to it; `language`, `emotion` and
    `sound_event` are plain words ("zh", "happy", "speech").
    """

    text: str
    begin_ms: int
    end_ms: int
    latency_seconds: float
    tokens: tuple[str, ...] = ()
    timestamps_ms: tuple[tuple[int, int], ...] = ()
    sentences: tuple[Sentence, ...] = ()
    language: str = ""
    emotion: str = ""
    sound_event: str = ""
    speaker: str = ""
    speaker_score: float | None = None


@dataclass(frozen=True)
class Ended:
    """All audio was recognised and every event of it was sent."""


@dataclass(frozen=True)
class Failed:
    """The stream cannot go on. `fault` says whose: "client" (bad audio, bad option) or "server"."""

    message: str
    fault: str


Event = Partial | Final | Ended | Failed
Sink = Callable[[Event], None]


class Stream(Protocol):
    """One live stream, as its session holds it."""

    def feed(self, samples: Samples, arrived_monotonic_seconds: float) -> None:
        """Append audio. The arrival time is what latencies are counted from."""

    def finish(self) -> None:
        """No more audio: recognise what is left, then `Ended`."""

    def close(self) -> None:
        """The client is gone: drop all state and queued audio at once; no further event."""

    @property
    def backlog_seconds(self) -> float:
        """Audio fed but not yet recognised; the protocol stops reading a client that is too far ahead."""


class Engine(Protocol):
    """A loaded set of models that serves many streams."""

    def start(self, on_death: Callable[[str], None] | None = None) -> None:
        """Load, warm up and start the engine thread; returns when ready. Raises `ModelError` naming the directory at fault.

        `on_death` is called on the engine's thread, with the reason, should that thread end without `stop`: every stream
        then gets `Failed`, and only a new process can serve again.
        """

    def open(self, session_id: str, options: StreamOptions, sink: Sink) -> Stream:
        """Begin a stream. Raises `OptionError` when the loaded models cannot do what is asked."""

    def stop(self) -> None:
        """End the thread; every open stream gets `Failed`."""

    def stats(self) -> EngineStats:
        """Counters for metrics and `/status`; safe from any thread."""

    @property
    def modes(self) -> frozenset[Mode]:
        """The modes that the loaded models allow."""


@dataclass(frozen=True)
class EngineStats:
    """A moment's view of the engine. `lag_seconds`: the oldest ready chunk's waiting time."""

    open_streams: int
    lag_seconds: float
    load_seconds: float
    load_phases_seconds: dict[str, float] = field(default_factory=dict)


class EngineObserver(Protocol):
    """Where the engine reports what metrics need (the server passes prometheus histograms in; tests pass a list)."""

    def batch(self, stage: str, rows: int, seconds: float) -> None:
        """One batched step of `stage` ("online", "offline", "vad", "punc") ran over `rows` sessions in `seconds`."""
