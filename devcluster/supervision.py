"""When a component of the node is started, restarted and killed: the rules, without processes or clocks.

A component that ends by itself is started again after a pause that doubles from 0.5 s to 8 s; one that ran for half a
minute starts the count anew. A component that was told to stop gets SIGTERM, then SIGKILL when its grace is over, and
stays down until it is started again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0
STEADY_SECONDS = 30.0


class Act(Enum):
    """What is to be done with a component's process now."""

    NOTHING = "nothing"
    SPAWN = "spawn"
    TERMINATE = "terminate"
    KILL = "kill"


@dataclass
class Unit:
    """One component as the node's process 1 knows it. Times are seconds of a monotonic clock."""

    name: str
    argv: tuple[str, ...] = ()
    environment: dict[str, str] = field(default_factory=dict)
    log: str = "/dev/null"
    fingerprint: str = ""
    wanted: bool = False
    pid: int | None = None
    started_at: float = 0.0
    spawn_at: float = 0.0
    kill_at: float | None = None
    term_due: bool = False
    restarts: int = 0
    pause_seconds: float = FIRST_PAUSE_SECONDS
    last_exit: str = ""

    def start(self, argv: tuple[str, ...], environment: dict[str, str], log: str, fingerprint: str, now: float) -> bool:
        """Want it to run as told. A process that already runs so is left alone: then the answer is False."""
        if self.wanted and self.fingerprint == fingerprint:
            self.spawn_at = min(self.spawn_at, now)
            return False
        self.argv, self.environment, self.log, self.fingerprint = argv, environment, log, fingerprint
        self.wanted = True
        self.pause_seconds = FIRST_PAUSE_SECONDS
        self.spawn_at = now
        if self.pid is not None and self.kill_at is None:
            self._end(grace_seconds=5.0, now=now)
        return True

    def stop(self, grace_seconds: float, now: float) -> None:
        """Want it down."""
        self.wanted = False
        if self.pid is not None and self.kill_at is None:
            self._end(grace_seconds, now)

    def _end(self, grace_seconds: float, now: float) -> None:
        self.term_due = True
        self.kill_at = now + grace_seconds

    def exited(self, how: str, now: float) -> None:
        """Its process has ended."""
        told = self.kill_at is not None
        ran_seconds = now - self.started_at
        self.pid, self.kill_at, self.term_due = None, None, False
        self.last_exit = how
        if told or not self.wanted:
            self.spawn_at = now
            return
        if ran_seconds >= STEADY_SECONDS:
            self.pause_seconds = FIRST_PAUSE_SECONDS
        self.restarts += 1
        self.spawn_at = now + self.pause_seconds
        self.pause_seconds = min(self.pause_seconds * 2, LONGEST_PAUSE_SECONDS)

    def due(self, now: float) -> Act:
        """What to do with it at this moment."""
        if self.pid is None:
            return Act.SPAWN if self.wanted and now >= self.spawn_at else Act.NOTHING
        if self.term_due:
            return Act.TERMINATE
        if self.kill_at is not None and now >= self.kill_at:
            return Act.KILL
        return Act.NOTHING

    def next_moment(self) -> float | None:
        """When `due` can next say something else, or None where only an event can change it."""
        if self.pid is None:
            return self.spawn_at if self.wanted else None
        return self.kill_at
