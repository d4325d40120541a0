"""Demand: live streams, and streams that wait at the gateway. Never latency, never a ratio.

Two numbers, because some pods may not answer: `known` takes the last number seen of them, and with `unknown_room` they
are full. More pods are asked for on the first, fewer only on the second. Streams of pods that drain or leave count too: each of
them, when it ends, is followed by a newcomer that needs room elsewhere, and leaving them out would make each drain the
reason for the next.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from asrpool_operator.policy.decision import DemandPoint, Memory
from asrpool_operator.policy.view import View
from asrpool_operator.snapshot import PodPhase, WorkerSnapshot

FINE_SECONDS = 180.0
COARSE_STEP_SECONDS = 10.0
LONGEST_SECONDS = 3600.0
LEAVING_MARGIN_SECONDS = 60.0
"""What a pod that has to go may take beyond `drainSeconds` until it is gone."""


@dataclass(frozen=True)
class Demand:
    """Sessions that want a place."""

    live: int
    waiting: int
    unknown_room: int
    """Sessions that pods which do not answer may hold beyond the last number seen."""

    @property
    def known(self) -> int:
        """What is known to be wanted."""
        return self.live + self.waiting


def measure_demand(view: View, capacity: int, drain_seconds: float) -> Demand:
    """Count the sessions of a snapshot; `capacity` is what a pod that never answered may hold."""
    live = sum(last_active(worker) for worker in view.snapshot.workers if not _is_lost(view, worker, drain_seconds))
    unknown_room = sum(
        max(0, (worker.status.configured_capacity if worker.status else capacity) - last_active(worker))
        for worker in view.snapshot.workers
        if view.unknown(worker)
    )
    gateway = view.snapshot.gateway
    return Demand(live=live, waiting=gateway.held + gateway.queued, unknown_room=unknown_room)


def _is_lost(view: View, worker: WorkerSnapshot, drain_seconds: float) -> bool:
    """Whether a pod was told to go and has been silent for longer than any stream of it may last.

    On a node that is lost a pod stays terminating until somebody removes the node; its last count would stay as long.
    """
    if worker.phase is not PodPhase.TERMINATING or worker.status is None:
        return False
    return view.now - worker.status.scraped_unix_seconds > drain_seconds + LEAVING_MARGIN_SECONDS


def last_active(worker: WorkerSnapshot) -> int:
    """Sessions at the last scrape, however old."""
    return worker.status.active if worker.status is not None else 0


def pods_for(sessions: float, sessions_per_pod: float, utilization: float) -> int:
    """Pods that hold so many sessions when each is filled to the target."""
    return math.ceil(round(sessions / (sessions_per_pod * utilization), 9))


def remember_demand(memory: Memory, sessions: int, now: float) -> Memory:
    """Append one point; old points are thinned to one in ten seconds, and dropped after an hour."""
    kept: list[DemandPoint] = []
    for point in memory.demand:
        age = now - point.unix_seconds
        if age > LONGEST_SECONDS or age < 0:
            continue
        if age > FINE_SECONDS and kept and point.unix_seconds - kept[-1].unix_seconds < COARSE_STEP_SECONDS:
            continue
        kept.append(point)
    kept.append(DemandPoint(unix_seconds=now, sessions=sessions))
    return memory.model_copy(update={"demand": tuple(kept)})
