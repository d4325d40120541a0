"""A small engine of our own: what it "recognises" follows from the audio's length, so tests know what must come back."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from asrpool_worker.engine.messages import (
    SAMPLE_RATE_HZ,
    Ended,
    EngineStats,
    Failed,
    Final,
    Mode,
    Partial,
    Samples,
    Sentence,
    Sink,
    StreamOptions,
)
from asrpool_worker.errors import OptionError

CHUNK_SAMPLES = 9_600
LOUDEST = np.float32(-1.0)


class FakeStream:
    """One character for each 600 ms of sound; silence says nothing; full-scale audio counts as unusable.

    Its finals carry what the stream insists on: a mark after the last character, one speaker, the language it was told.
    """

    def __init__(self, engine: FakeEngine, session_id: str, options: StreamOptions, sink: Sink) -> None:
        self.engine = engine
        self.session_id = session_id
        self.options = options
        self.sink = sink
        self.samples = 0
        self.said = 0
        self.heard_sound = False
        self.closed = False
        self.backlog = 0.0

    def feed(self, samples: Samples, arrived_monotonic_seconds: float) -> None:
        assert samples.dtype == np.float32
        self.engine.do(self, lambda: self._feed(samples, arrived_monotonic_seconds))

    def finish(self) -> None:
        self.engine.do(self, self._finish)

    def close(self) -> None:
        self.closed = True
        self.engine.forget(self)

    @property
    def backlog_seconds(self) -> float:
        return self.backlog

    def _feed(self, samples: Samples, arrived: float) -> None:
        self.engine.arrivals.append(arrived)
        if len(samples) and bool(np.all(samples == LOUDEST)):
            self._end_with(Failed("the audio gives no numbers (NaN)", "client"))
            return
        self.samples += len(samples)
        self.heard_sound = self.heard_sound or bool(np.any(samples))
        while self.heard_sound and self.said < self.samples // CHUNK_SAMPLES:
            self.said += 1
            if self.options.mode is not Mode.OFFLINE:
                for _ in range(self.engine.flood):
                    self.sink(Partial("一" * self.engine.partial_chars, 0.1))

    def _finish(self) -> None:
        if self.heard_sound and self.options.mode is not Mode.ONLINE:
            end_ms = self.samples * 1000 // SAMPLE_RATE_HZ
            text, tokens = "一" * self.said, tuple("一" * self.said)
            stamps = tuple((600 * index, 600 * (index + 1)) for index in range(self.said))
            final = Final(text, 0, end_ms, 0.2, tokens, stamps)
            if self.options.punctuation:
                sentences = (Sentence(text, "。", 0, stamps[-1][1], stamps),) if stamps else ()
                final = replace(final, text=text + "。", sentences=sentences)
            if self.options.speakers:
                final = replace(final, speaker="speaker-1", speaker_score=0.75)
            if self.options.language != StreamOptions.language:
                final = replace(final, language=self.options.language, emotion="happy", sound_event="speech")
            self.sink(final)
        self._end_with(Ended())

    def _end_with(self, event: Ended | Failed) -> None:
        """It is over before anybody hears so: whoever hears it may look at once."""
        self.closed = True
        self.engine.forget(self)
        self.sink(event)


class FakeEngine:
    """Runs every stream's work in order on one thread; it dies of a session named "deadly". `gate` holds the thread back while it is clear."""

    def __init__(
        self,
        modes: frozenset[Mode] = frozenset(Mode),
        *,
        speakers: bool = True,
        flood: int = 1,
        partial_chars: int = 1,
        load: Callable[[], None] | None = None,
    ) -> None:
        self.modes = modes
        self.speakers = speakers
        self.flood = flood
        self.partial_chars = partial_chars
        self.gate = threading.Event()
        self.gate.set()
        self.opened: list[FakeStream] = []
        self.open_streams: set[FakeStream] = set()
        self.arrivals: list[float] = []
        self._load = load
        self._on_death: Callable[[str], None] | None = None
        self._work: queue.Queue[tuple[FakeStream, Callable[[], None]] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self, on_death: Callable[[str], None] | None = None) -> None:
        self._on_death = on_death
        if self._load is not None:
            self._load()
        self._thread.start()

    def open(self, session_id: str, options: StreamOptions, sink: Sink) -> FakeStream:
        if options.chunk_size == (0, 1, 30):
            raise OptionError("this model cannot look so far ahead")
        if options.speakers and not self.speakers:
            raise OptionError("no speaker model is loaded")
        stream = FakeStream(self, session_id, options, sink)
        self.opened.append(stream)
        self.open_streams.add(stream)
        return stream

    async def until_opened(self, count: int) -> None:
        """Until so many streams have been opened in all."""
        async with asyncio.timeout(5):
            while len(self.opened) < count:  # noqa: ASYNC110 - the contract has no event for it
                await asyncio.sleep(0.01)

    def die(self, reason: str) -> None:
        """As the engine does when its device is gone."""
        if self._on_death is not None:
            self._on_death(reason)
        for stream in list(self.open_streams):
            stream.closed = True
            stream.sink(Failed("the worker is stopping; connect again to be served by another pod", "server"))

    def stop(self) -> None:
        self.gate.set()
        self._work.put(None)
        self._thread.join(5)

    def stats(self) -> EngineStats:
        return EngineStats(len(self.open_streams), 0.25, 0.5)

    def do(self, stream: FakeStream, work: Callable[[], None]) -> None:
        self._work.put((stream, work))

    def forget(self, stream: FakeStream) -> None:
        self.open_streams.discard(stream)

    def _run(self) -> None:
        while (item := self._work.get()) is not None:
            self.gate.wait()
            stream, work = item
            if stream.session_id == "deadly":
                self.die("the device is gone")
                return
            if not stream.closed:
                work()
