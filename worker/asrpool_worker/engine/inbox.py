"""The way into the engine's thread: messages from any thread, taken all at once, waited for without polling."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

from asrpool_worker.engine.messages import Samples, Sink, StreamOptions
from asrpool_worker.engine.options import StepShape


@dataclass(frozen=True)
class Opened:
    """A stream begins."""

    key: int
    session_id: str
    options: StreamOptions
    shape: StepShape
    sink: Sink


@dataclass(frozen=True)
class Fed:
    """A stream's next samples."""

    key: int
    samples: Samples
    arrived_seconds: float


@dataclass(frozen=True)
class Finished:
    """A stream has no more audio."""

    key: int
    at_seconds: float


@dataclass(frozen=True)
class Closed:
    """A stream's listener has gone."""

    key: int


Message = Opened | Fed | Finished | Closed


class Inbox:
    """An unbounded queue (each stream's backlog is bounded by its state) with one reader."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._messages: deque[Message] = deque()
        self._stopped = False

    def put(self, message: Message) -> bool:
        """Leave a message; false when the engine has stopped and nobody will read it."""
        with self._changed:
            if self._stopped:
                return False
            self._messages.append(message)
            self._changed.notify()
            return True

    def stop(self) -> None:
        """Tell the reader to end."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def take(self, wait_seconds: float | None) -> tuple[list[Message], bool]:
        """All messages so far, and whether the reader is to end; waits up to `wait_seconds` (None: for ever) for either."""
        with self._changed:
            self._changed.wait_for(lambda: self._messages or self._stopped, wait_seconds)
            messages = list(self._messages)
            self._messages.clear()
            return messages, self._stopped
