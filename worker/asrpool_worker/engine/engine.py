"""The engine thread: collect what streams have sent, run one batch of model work, tell the listeners; again.

The thread owns models, streams and slots; nothing else touches them. It sleeps on its inbox when no work is ready.
A batch that raises is run again row by row, so that only the streams whose own row raises fail; the thread goes on.
Where one batch after another fails for every row, and silence does too, it is not the audio: the thread ends, and says so.
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from asrpool_worker.engine.handle import EngineStream
from asrpool_worker.engine.inbox import Closed, Fed, Inbox, Message, Opened
from asrpool_worker.engine.messages import (
    EngineObserver,
    EngineStats,
    Event,
    Failed,
    Mode,
    Sink,
    StreamOptions,
)
from asrpool_worker.engine.model_set import ModelSet
from asrpool_worker.engine.options import Limits, check_options
from asrpool_worker.engine.pace import Pace
from asrpool_worker.engine.scheduler import Batch, Stage, next_batch, oldest_ready
from asrpool_worker.engine.steps import Result, StreamJob, run_step
from asrpool_worker.engine.stream_state import StreamState
from asrpool_worker.errors import EngineDiedError, OptionError, ServerError

logger = logging.getLogger(__name__)

Clock = Callable[[], float]
LIVE_SAMPLES = 16_000
"""A stream that brings no more than this in a turn is live: it is framed at once, however many there are."""

FRAMING_SAMPLES_A_TURN = 64_000
"""So much is framed of all the others, which sent files or fell behind, before live streams are looked at again."""

MAX_FAILED_BATCHES = 3
"""So many in a row without a row that succeeded make the models themselves suspect."""


@dataclass(frozen=True)
class LoadedModels:
    """What loading gave, how long it took, and how long each phase of it (some run side by side). `probe` runs each model on silence and raises where one cannot."""

    models: ModelSet
    seconds: float
    phases_seconds: dict[str, float]
    probe: Callable[[], None]


class RecognitionEngine:
    """`messages.Engine` over one set of models; `load` is called by `start`, on the caller's thread."""

    def __init__(
        self,
        load: Callable[[], LoadedModels],
        limits: Limits,
        max_rows: Mapping[Stage, int],
        observer: EngineObserver | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._load = load
        self._limits = limits
        self._max_rows = max_rows
        self._observer = observer
        self._clock = clock
        self._inbox = Inbox()
        self._keys = itertools.count()
        self._thread: threading.Thread | None = None
        self._loaded: LoadedModels | None = None
        self._streams: dict[int, StreamState] = {}
        self._handles: dict[int, EngineStream] = {}
        self._touched: set[int] = set()
        self._ready: dict[int, StreamJob] = {}
        self._published: tuple[int, float | None] = (0, None)
        self._failed_batches = 0
        self._pace = Pace()
        self._waits_seconds = 0.0
        self._on_death: Callable[[str], None] | None = None

    def start(self, on_death: Callable[[str], None] | None = None) -> None:
        """See `messages.Engine`."""
        self._on_death = on_death
        self._loaded = self._load()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)
        self._thread.start()

    def open(self, session_id: str, options: StreamOptions, sink: Sink) -> EngineStream:
        """See `messages.Engine`."""
        shape = check_options(options)
        if options.mode not in self.modes:
            served = ", ".join(sorted(mode.value for mode in self.modes))
            raise OptionError(f"mode {options.mode.value} is not served: the loaded models allow {served or 'none'}")
        models = self._models
        if options.punctuation and models.punc is None:
            raise OptionError("punctuation is not served: no punctuation model is loaded; ask without it")
        if options.speakers and models.speaker is None:
            raise OptionError("speaker labels are not served: no speaker model is loaded; ask without them")
        key = next(self._keys)
        handle = EngineStream(key, self._inbox, sink)
        self._handles[key] = handle
        if not self._inbox.put(Opened(key, session_id, options, shape, handle.tell)):
            del self._handles[key]
            raise ServerError("the engine has stopped; connect again to be served by another pod")
        return handle

    def stop(self) -> None:
        """See `messages.Engine`."""
        self._inbox.stop()
        if self._thread is not None:
            self._thread.join()

    def stats(self) -> EngineStats:
        """See `messages.Engine`."""
        streams, oldest = self._published
        lag = 0.0 if oldest is None else max(0.0, self._clock() - oldest)
        if self._loaded is None:
            return EngineStats(streams, lag, 0.0)
        return EngineStats(streams, lag, self._loaded.seconds, dict(self._loaded.phases_seconds))

    @property
    def modes(self) -> frozenset[Mode]:
        """See `messages.Engine`."""
        if self._loaded is None:
            return frozenset()
        return self._loaded.models.modes

    # Everything below runs on the engine's thread.

    def _run(self) -> None:
        try:
            while self._turn():
                pass
        except BaseException as error:
            logger.critical("the engine's thread died", exc_info=True)
            if self._on_death is not None:
                self._on_death(f"{type(error).__name__}: {error}")
        finally:
            self._inbox.stop()
            self._tell_all(Failed("the worker is stopping; connect again to be served by another pod", "server"))

    def _tell_all(self, failed: Failed) -> None:
        """Nobody is left waiting, those included whose opening was still in the inbox."""
        messages, _ = self._inbox.take(0.0)
        for message in messages:
            if isinstance(message, Opened):
                self._handles.pop(message.key, None)
                _tell(message.sink, failed)
        for stream in list(self._streams.values()):
            _tell(stream.sink, failed)
        for key in list(self._streams):
            self._end(key, None)

    def _turn(self) -> bool:
        """Once around; false when told to stop."""
        messages, stopped = self._inbox.take(self._wait_seconds())
        for message in messages:
            self._receive(message)
        if stopped:
            return False
        self._refresh()
        batch = next_batch(self._ready.values(), self._max_rows, self._pace, self._clock(), self._live_streams)
        self._publish()
        self._waits_seconds = batch.wait_seconds
        if batch.jobs and not batch.wait_seconds:
            self._run_batch(batch)
            self._publish()
        return True

    def _wait_seconds(self) -> float | None:
        """How long to sleep unless something comes: for ever without work, not at all with some, or until a batch is full enough."""
        if self._touched:
            return 0.0
        return self._waits_seconds if self._ready else None

    @property
    def _live_streams(self) -> int:
        return sum(stream.hears_online for stream in self._streams.values())

    @property
    def _models(self) -> ModelSet:
        if self._loaded is None:
            raise ServerError("the engine has not been started")
        return self._loaded.models

    def _publish(self) -> None:
        self._published = (len(self._streams), oldest_ready(self._ready.values()))

    def _receive(self, message: Message) -> None:
        if isinstance(message, Opened):
            self._open_stream(message)
            return
        stream = self._streams.get(message.key)
        if stream is None:
            self._handles.pop(message.key, None)
            return
        if isinstance(message, Closed):
            self._end(message.key, None)
            return
        self._touched.add(message.key)
        with self._failing_alone(stream):
            if isinstance(message, Fed):
                failed = stream.accept(message.samples, message.arrived_seconds)
                if failed is not None:
                    self._end(message.key, failed)
            else:
                stream.finish(message.at_seconds)

    def _open_stream(self, message: Opened) -> None:
        try:
            stream = StreamState(
                message.key,
                message.session_id,
                message.options,
                message.shape,
                self._models,
                self._limits,
                message.sink,
            )
        except Exception:  # memory, of the host or of the device: each library has its own error
            logger.exception("a stream could not be opened", extra={"session": message.session_id})
            self._handles.pop(message.key, None)
            _tell(message.sink, Failed("the worker has no room for another stream; connect again", "server"))
            return
        self._streams[message.key] = stream

    def _refresh(self) -> None:
        """Frame new audio, and find out what the streams that changed want next.

        Live streams, which bring little each, come first; of the others a turn frames only so much, and the rest waits.
        """
        touched, self._touched = self._touched, set()
        streams = [self._streams[key] for key in touched if key in self._streams]
        left = FRAMING_SAMPLES_A_TURN
        for stream in sorted(streams, key=lambda stream: stream.audio.unframed_samples):
            waiting = stream.audio.unframed_samples
            if waiting > LIVE_SAMPLES and left <= 0:
                self._touched.add(stream.key)
                continue
            with self._failing_alone(stream):
                if stream.frame_some():
                    self._touched.add(stream.key)
                if waiting > LIVE_SAMPLES:
                    left -= waiting - stream.audio.unframed_samples
                self._update(stream)

    def _update(self, stream: StreamState) -> None:
        key = stream.key
        job = stream.next_job()
        if job is None:
            for event in stream.settle():
                _tell(stream.sink, event)
            job = stream.next_job()
        self._handles[key].done_samples = stream.audio.received_samples - stream.backlog_samples
        if stream.over:
            self._end(key, None)
        elif job is None:
            self._ready.pop(key, None)
        else:
            self._ready[key] = job

    def _run_batch(self, batch: Batch[StreamState]) -> None:
        try:
            began = self._clock()
            results = self._results(batch.jobs)
            self._pace.ran(batch.kind, batch.units, self._clock() - began)
        except Exception:
            logger.exception(
                "a %s batch of %d rows failed; running its rows alone", batch.jobs[0].stage, len(batch.jobs)
            )
            succeeded = [self._run_alone(job) for job in batch.jobs]
            self._failed_batches = 0 if any(succeeded) else self._failed_batches + 1
            if self._failed_batches >= MAX_FAILED_BATCHES:
                self._probe()
        else:
            self._hand_back(batch.jobs, results)
            self._failed_batches = 0

    def _probe(self) -> None:
        """Streams fail one after the other: is it their audio, or do the models fail on anything?"""
        if self._loaded is not None:
            try:
                self._loaded.probe()
            except Exception as error:
                raise EngineDiedError(f"the models fail on silence too ({error})") from error
        self._failed_batches = 0

    def _run_alone(self, job: StreamJob) -> bool:
        """Run a row by itself; false when that fails too, and its stream with it."""
        with self._failing_alone(job.stream):
            self._hand_back([job], self._results([job]))
            return True
        return False

    def _results(self, batch: Sequence[StreamJob]) -> list[Result]:
        began = self._clock()
        results = run_step(self._models, batch)
        self._report(batch[0].stage, len(batch), self._clock() - began)
        return results

    def _hand_back(self, batch: Sequence[StreamJob], results: Sequence[Result]) -> None:
        now = self._clock()
        for job, result in zip(batch, results, strict=True):
            with self._failing_alone(job.stream):
                for event in result(now):
                    _tell(job.stream.sink, event)
                self._update(job.stream)

    def _report(self, stage: Stage, rows: int, seconds: float) -> None:
        """Metrics must not fail a step: its rows would be run twice."""
        if self._observer is None:
            return
        try:
            self._observer.batch(stage.value, rows, seconds)
        except Exception:
            logger.exception("the observer of the engine raised")

    @contextmanager
    def _failing_alone(self, stream: StreamState) -> Iterator[None]:
        """What goes wrong inside ends this stream, with an error, and no other."""
        try:
            yield
        except Exception:
            logger.exception("a stream failed", extra={"session": stream.session_id})
            if stream.key in self._streams:
                self._end(stream.key, Failed("the recogniser failed on this stream; connect again", "server"))

    def _end(self, key: int, event: Event | None) -> None:
        stream = self._streams.pop(key)
        self._handles.pop(key, None)
        self._ready.pop(key, None)
        self._touched.discard(key)
        stream.release()
        if event is not None:
            _tell(stream.sink, event)


def _tell(sink: Sink, event: Event) -> None:
    """A listener that raises must not take the others down; its session finds out by its own means."""
    try:
        sink(event)
    except Exception:
        logger.exception("the listener of a stream raised on %s", type(event).__name__)
