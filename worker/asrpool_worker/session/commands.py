"""What a protocol asks of its shell. The shell does these in order and nothing else; it never decides."""

from __future__ import annotations

from dataclasses import dataclass

from asrpool_worker.engine.messages import Samples, StreamOptions


@dataclass(frozen=True)
class Open:
    """Begin an engine stream; an `OptionError` goes back to the session as a client error."""

    options: StreamOptions


@dataclass(frozen=True)
class Feed:
    """Give the open engine stream audio that arrived at this monotonic time."""

    samples: Samples
    arrived_monotonic_seconds: float


@dataclass(frozen=True)
class Finish:
    """Tell the engine that this utterance has no more audio."""


@dataclass(frozen=True)
class Reply:
    """Send this object to the client as one JSON text message."""

    message: dict[str, object]


@dataclass(frozen=True)
class Close:
    """Drop the engine stream if one is open, flush the replies, close the socket. `result` labels the session's end in metrics."""

    code: int
    reason: str
    result: str


Command = Open | Feed | Finish | Reply | Close
