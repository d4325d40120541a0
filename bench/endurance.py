"""What length and number of sessions cost: one stream of an hour, and ten thousand short ones, through the engine itself.

Baselines: the stream's own first minute, and the memory after the first thousand sessions. Audio is fed as fast as the
engine takes it; what is counted is time in model steps, so that waiting for audio does not count.
"""

from __future__ import annotations

import statistics
import threading
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

import psutil

from asrpool_worker.engine.factory import EngineConfig, build_engine
from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, Ended, Event, Failed, Mode, Samples, StreamOptions
from bench.batching import PROJECT, conversation

MINUTE_CHUNKS = 100
HOUR_SECONDS = 3_600
AHEAD_SECONDS = 60.0
AT_ONCE = 50


@dataclass(frozen=True)
class LongStream:
    """Milliseconds a chunk in the first and the last minute of a stream; `ratio` is last to first."""

    seconds: int
    first_ms: float
    last_ms: float
    ratio: float


@dataclass(frozen=True)
class ManySessions:
    """Resident memory after a tenth of the sessions and after all of them; `ratio` is last to first."""

    sessions: int
    first_mb: float
    last_mb: float
    ratio: float


class _Steps:
    """Keeps how long each step of the streaming model took."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def batch(self, stage: str, rows: int, seconds: float) -> None:  # noqa: ARG002 - one row always
        """See `EngineObserver`."""
        if stage == "online":
            self.seconds.append(seconds)


def long_stream(seconds: int = HOUR_SECONDS) -> LongStream:
    """One stream of mode online; the median step of its first minute against that of its last."""
    steps = _Steps()
    engine = build_engine(EngineConfig(online=_model("paraformer-tiny-streaming")), steps)
    engine.start()
    try:
        ended = threading.Event()
        failures: list[str] = []
        stream = engine.open("long", StreamOptions(mode=Mode.ONLINE), _listener(ended.set, failures))
        fed = 0
        pause = threading.Event()
        for piece in cycle(_pieces(conversation())):
            stream.feed(piece, 0.0)
            fed += len(piece)
            while stream.backlog_seconds > AHEAD_SECONDS and not failures:
                pause.wait(0.01)  # the engine's progress has no event
            if fed >= seconds * SAMPLE_RATE_HZ or failures:
                break
        stream.finish()
        ended.wait()
    finally:
        engine.stop()
    _raise(failures)
    first, last = (_median_ms(part) for part in (steps.seconds[:MINUTE_CHUNKS], steps.seconds[-MINUTE_CHUNKS:]))
    return LongStream(seconds, first, last, round(last / first, 3))


def many_sessions(sessions: int = 10_000) -> ManySessions:
    """Sessions of a second in 2pass, so many at once, each with its own slot, VAD and second pass."""
    engine = build_engine(
        EngineConfig(
            online=_model("paraformer-tiny-streaming"), offline=_model("paraformer-tiny"), vad=_model("fsmn-vad-tiny")
        )
    )
    engine.start()
    process = psutil.Process()
    audio = conversation()[: 2 * SAMPLE_RATE_HZ]
    free = threading.Semaphore(AT_ONCE)
    failures: list[str] = []
    first_mb = 0.0
    try:
        for number in range(sessions):
            free.acquire()
            stream = engine.open(f"short-{number}", StreamOptions(), _listener(free.release, failures))
            stream.feed(audio[: SAMPLE_RATE_HZ + 160 * (number % 100)], 0.0)
            if number % 3:
                stream.finish()
            else:  # every third client is gone before the end
                stream.close()
                free.release()
            if number == sessions // 10:
                first_mb = process.memory_info().rss / 1e6
        for _ in range(AT_ONCE):
            free.acquire()
        last_mb = process.memory_info().rss / 1e6
    finally:
        engine.stop()
    _raise(failures)
    return ManySessions(sessions, round(first_mb, 1), round(last_mb, 1), round(last_mb / first_mb, 3))


def _model(name: str) -> str:
    return str(PROJECT / "models" / name)


def _pieces(audio: Samples) -> list[Samples]:
    return [audio[begin : begin + 9_600] for begin in range(0, len(audio), 9_600)]


def _listener(over: Callable[[], object], failures: list[str]) -> Callable[[Event], None]:
    """Calls `over` at the stream's end and notes why it failed, if it did."""

    def hear(event: Event) -> None:
        if isinstance(event, Failed):
            failures.append(event.message)
        if isinstance(event, Failed | Ended):
            over()

    return hear


def _raise(failures: list[str]) -> None:
    if failures:
        raise RuntimeError(f"{len(failures)} streams failed, so the figures are worth nothing: {failures[0]}")


def _median_ms(seconds: list[float]) -> float:
    return round(1000 * statistics.median(seconds), 3)
