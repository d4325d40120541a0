"""How long a new pod takes to come, measured on this pool's own pods.

The horizon that expectations look ahead over: pods asked for now help only after it. What counts is the first time that
a pod is ready: a Ready condition's time is also that of a pod, or of its container, which went and came back.
"""

from __future__ import annotations

from asrpool_operator.policy.decision import Memory
from asrpool_operator.snapshot import PodPhase, PoolSnapshot

QUANTILE = 0.75
KEPT = 20
STAMP_SECONDS = 1.0
"""Kubernetes cuts the times of objects down to whole seconds."""
LONGEST_SECONDS = 1800.0
"""Longer is no start: a container that became ready again long after its pod was made."""


def remember_cold_starts(snapshot: PoolSnapshot, memory: Memory, now: float) -> Memory:
    """Add the starts of pods that became ready since the last decision, and were made since the first."""
    began = now if memory.began_unix_seconds is None else memory.began_unix_seconds
    ready = [
        worker
        for worker in snapshot.workers
        if worker.phase is PodPhase.READY and worker.ready_unix_seconds is not None
    ]
    new = tuple(
        seconds
        for worker in ready
        if worker.name not in memory.known_ready
        and worker.restarts == 0
        and worker.created_unix_seconds >= began - STAMP_SECONDS
        and worker.ready_unix_seconds is not None
        and 0 <= (seconds := worker.ready_unix_seconds - worker.created_unix_seconds) <= LONGEST_SECONDS
    )
    present = {worker.name for worker in snapshot.workers}
    known = {name for name in memory.known_ready if name in present} | {worker.name for worker in ready}
    return memory.model_copy(
        update={
            "began_unix_seconds": began,
            "cold_starts_seconds": (memory.cold_starts_seconds + new)[-KEPT:],
            "known_ready": tuple(sorted(known)),
        }
    )


def horizon_seconds(memory: Memory, default_seconds: float) -> float:
    """The start-up time that three in four pods keep, or the stated default before one was measured."""
    if not memory.cold_starts_seconds:
        return default_seconds
    ordered = sorted(memory.cold_starts_seconds)
    return ordered[min(int(QUANTILE * len(ordered)), len(ordered) - 1)]
