"""Who may open a session on this worker. The gateway's limits only make a refusal here rare; this is the authority.

Pure: every method takes `now` (monotonic seconds).

Promises:
* Never more live sessions than `configured_capacity`, whoever asks.
* A lowered capacity and a drain end nobody: they only keep newcomers out.
* An id whose session is live or ended less than `resume_seconds` ago may come back also while draining or lowered, as long
  as there is room below the configured capacity: its device expects to find this pod.
* Two live sessions of one id stand side by side: a live stream is never ended for another one.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum

MAX_HELD_IDS = 10_000


class Reason(StrEnum):
    """Why a newcomer was refused."""

    STARTING = "starting"
    FULL = "full"
    DRAINING = "draining"


@dataclass(frozen=True)
class Refused:
    """Answer 503 with this, before the upgrade."""

    reason: Reason
    retry_after_seconds: int

    @property
    def message(self) -> str:
        """For the client's author."""
        return {
            Reason.STARTING: "the worker is still loading its models",
            Reason.FULL: "the worker has as many sessions as it may hold",
            Reason.DRAINING: "the worker is draining and takes no new sessions",
        }[self.reason]


@dataclass(frozen=True)
class Place:
    """A session's place, held from before its upgrade until its socket is closed."""

    session_id: str
    since: float
    resumable: bool


@dataclass(frozen=True)
class Ended:
    """Sums over all sessions that have ended: their count, lengths and squared lengths."""

    count: int = 0
    seconds_sum: float = 0.0
    seconds_sq_sum: float = 0.0


class Admission:
    """The worker's book of sessions."""

    def __init__(self, configured_capacity: int, resume_seconds: float) -> None:
        self.configured_capacity = configured_capacity
        self.capacity = configured_capacity
        self.ready = False
        self.closed = False
        self.draining_since: float | None = None
        self.ended = Ended()
        self._resume_seconds = resume_seconds
        self._places: list[Place] = []
        self._left_at: OrderedDict[str, float] = OrderedDict()

    @property
    def active(self) -> int:
        """Live sessions now."""
        return len(self._places)

    @property
    def draining(self) -> bool:
        """Newcomers are kept out until `undrain`."""
        return self.draining_since is not None

    def admit(self, session_id: str, now: float, *, resumable: bool = True) -> Place | Refused:
        """A place for this session, or why not. `resumable` is false for ids that no client can bring back."""
        if not self.ready:
            return Refused(Reason.STARTING, 1)
        if self.closed:
            return Refused(Reason.DRAINING, 1)
        if self.active >= self.configured_capacity:
            return Refused(Reason.FULL, 2)
        if not (resumable and self._knows(session_id, now)):
            if self.draining:
                return Refused(Reason.DRAINING, 1)
            if self.active >= self.capacity:
                return Refused(Reason.FULL, 2)
        place = Place(session_id, now, resumable)
        self._places.append(place)
        return place

    def release(self, place: Place, now: float) -> float:
        """The session's socket is closed; returns its length in seconds."""
        self._places.remove(place)
        if place.resumable and self._resume_seconds > 0:
            self._left_at.pop(place.session_id, None)
            self._left_at[place.session_id] = now
            if len(self._left_at) > MAX_HELD_IDS:
                self._left_at.popitem(last=False)
        seconds = now - place.since
        ended = self.ended
        self.ended = Ended(ended.count + 1, ended.seconds_sum + seconds, ended.seconds_sq_sum + seconds * seconds)
        return seconds

    def drain(self, now: float) -> None:
        """Take no newcomers. A second call keeps the first one's time."""
        if self.draining_since is None:
            self.draining_since = now

    def undrain(self) -> None:
        """Take newcomers again."""
        self.draining_since = None

    def close(self) -> None:
        """The process ends: nobody enters any more, not even those who come back."""
        self.closed = True

    def set_capacity(self, sessions: int) -> None:
        """Lower (or give back, never beyond what was configured) how many sessions newcomers may fill."""
        self.capacity = max(0, min(sessions, self.configured_capacity))

    def ages_seconds(self, now: float) -> list[float]:
        """How long each live session has been here."""
        return [now - place.since for place in self._places]

    def held_ids(self, now: float) -> int:
        """Ids that may still come back and are not live."""
        self._forget(now)
        live = {place.session_id for place in self._places}
        return sum(session_id not in live for session_id in self._left_at)

    def _knows(self, session_id: str, now: float) -> bool:
        self._forget(now)
        return session_id in self._left_at or any(place.session_id == session_id for place in self._places)

    def _forget(self, now: float) -> None:
        """Drop ids whose time to come back is over; the oldest stand first."""
        while self._left_at:
            session_id, left_at = next(iter(self._left_at.items()))
            if now - left_at < self._resume_seconds:
                return
            del self._left_at[session_id]
