"""A sink for tests."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from asrpool_worker.engine.messages import Ended, Event, Failed, Final, Partial


@dataclass
class Listener:
    """Keeps what a stream is told, and can wait for its end."""

    events: list[Event] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __call__(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Ended | Failed):
            self.over.set()

    def wait(self, seconds: float = 30.0) -> list[Event]:
        assert self.over.wait(seconds), f"no end after {self.events}"
        return self.events

    @property
    def said(self) -> list[tuple[object, ...]]:
        """Its events without their latencies, which depend on the machine."""
        return told(self.events)


def told(events: Iterable[Event]) -> list[tuple[object, ...]]:
    """`events` without their latencies."""
    plain: list[tuple[object, ...]] = []
    for event in events:
        if isinstance(event, Partial):
            plain.append(("partial", event.text))
        elif isinstance(event, Final):
            plain.append(("final", event.text, event.begin_ms, event.end_ms, event.timestamps_ms))
        else:
            plain.append((type(event).__name__,))
    return plain
