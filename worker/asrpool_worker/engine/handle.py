"""A stream as its session holds it: no state of the engine, only the way to it."""

from __future__ import annotations

import time

from asrpool_worker.engine.inbox import Closed, Fed, Finished, Inbox
from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, Event, Samples, Sink


class EngineStream:
    """A stream as its session holds it: messages in, and a count of what has been worked off."""

    def __init__(self, key: int, inbox: Inbox, sink: Sink) -> None:
        self._key = key
        self._inbox = inbox
        self._sink = sink
        self._closed = False
        self._received_samples = 0
        self.done_samples = 0

    def feed(self, samples: Samples, arrived_monotonic_seconds: float) -> None:
        """See `messages.Stream`."""
        self._received_samples += len(samples)
        self._inbox.put(Fed(self._key, samples, arrived_monotonic_seconds))

    def finish(self) -> None:
        """See `messages.Stream`."""
        self._inbox.put(Finished(self._key, time.monotonic()))

    def close(self) -> None:
        """See `messages.Stream`."""
        self._closed = True
        self._inbox.put(Closed(self._key))

    def tell(self, event: Event) -> None:
        """Pass on an event, unless the stream was closed while the engine was at work on it."""
        if not self._closed:
            self._sink(event)

    @property
    def backlog_seconds(self) -> float:
        """See `messages.Stream`."""
        return max(0, self._received_samples - self.done_samples) / SAMPLE_RATE_HZ
