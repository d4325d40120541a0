"""What batching across streams is worth: engine time for one stream's chunk when N streams are open, against one alone.

Baseline: the same engine, the same audio, one stream. All audio is fed at once, so that batches are as full as the
scheduler makes them; what is counted is engine time: the wall clock of the whole run, best of three.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asrpool.audio import read_audio
from asrpool_worker.engine.factory import EngineConfig, build_engine
from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, Ended, Engine, Event, Failed, Mode, Samples, StreamOptions

PROJECT = Path(__file__).resolve().parents[1]
CHUNK_SECONDS = 0.6
REPEATS = 3


@dataclass(frozen=True)
class BatchingRow:
    """One measured point. `ratio`: cost of a stream's chunk relative to the baseline's; smaller is better."""

    engine: str
    streams: int
    chunk_ms: float
    ratio: float


def measure(engine_name: str, counts: tuple[int, ...] = (1, 4, 8, 16, 32)) -> list[BatchingRow]:
    """The tiny streaming model at each count of open streams."""
    audio = conversation()
    engine = build_engine(
        EngineConfig(engine=engine_name, online=str(PROJECT / "models" / "paraformer-tiny-streaming"), threads=1)
    )
    engine.start()
    try:
        costs = {count: min(_run(engine, audio, count) for _ in range(REPEATS)) for count in counts}
    finally:
        engine.stop()
    chunks = len(audio) / SAMPLE_RATE_HZ / CHUNK_SECONDS
    per_chunk = {count: seconds / count / chunks for count, seconds in costs.items()}
    base = per_chunk[counts[0]]
    return [BatchingRow(engine_name, n, round(1000 * cost, 3), round(cost / base, 3)) for n, cost in per_chunk.items()]


def conversation() -> Samples:
    """Thirteen seconds of speech with pauses, at 16 kHz."""
    pcm = read_audio(PROJECT / "tests" / "data" / "conversation-01.wav")
    samples: Samples = np.frombuffer(pcm.data, dtype="<i2").astype(np.float32) / np.float32(32768)
    return samples


def _run(engine: Engine, audio: Samples, streams: int) -> float:
    """Seconds until all of `streams` equal streams are recognised."""
    left = threading.Semaphore(0)
    failures: list[str] = []

    def hear(event: Event) -> None:
        if isinstance(event, Failed):
            failures.append(event.message)
        if isinstance(event, Failed | Ended):
            left.release()

    opened = [engine.open(f"bench-{n}", StreamOptions(mode=Mode.ONLINE), hear) for n in range(streams)]
    began = time.monotonic()
    for stream in opened:
        stream.feed(audio, began)
        stream.finish()
    for _ in opened:
        left.acquire()
    if failures:
        raise RuntimeError(f"a stream failed, so the timing is worth nothing: {failures[0]}")
    return time.monotonic() - began
