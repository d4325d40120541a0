"""The last limits on the number of pods: going to zero, minimum and maximum, a rollout, a pause."""

from __future__ import annotations

from dataclasses import dataclass

from asrpool_operator.api import Scaling
from asrpool_operator.policy.decision import Memory
from asrpool_operator.policy.view import View


@dataclass(frozen=True)
class Limited:
    """A wish after one limit, and the sentence that says what it did."""

    replicas: int
    sentence: str


def remember_busy(memory: Memory, sessions: int, now: float) -> Memory:
    """Note when the pool last had a stream. One that is first seen without any counts from now."""
    if sessions > 0 or memory.last_busy_unix_seconds is None:
        return memory.model_copy(update={"last_busy_unix_seconds": now})
    return memory


def idle_since(view: View, memory: Memory, cold_start_seconds: float) -> float:
    """From when on the pool counts as idle: its last stream, but not before the newest pod had its chance.

    A stream may have been refused while its pod was still starting: a pod taken back before it is ready would leave the
    next try as badly off.
    """
    last_busy = view.now if memory.last_busy_unix_seconds is None else memory.last_busy_unix_seconds
    if view.coming or view.uncreated:
        return last_busy + cold_start_seconds
    return max([last_busy, *(worker.ready_unix_seconds or last_busy for worker in view.serving)])


def to_zero(scaling: Scaling, sessions: int, current: int, wish: int, idle_seconds: float) -> Limited:
    """The last pod goes only after the whole pool was idle for `scaleToZeroSeconds`; a waiting stream always gets one."""
    if wish == 0 and sessions > 0:
        return Limited(1, "streams are wanted, so at least one pod")
    wait_seconds = scaling.windows.scale_to_zero_seconds
    if wish == 0 and current > 0 and idle_seconds < wait_seconds:
        return Limited(1, f"the last pod stays until the pool was idle for {wait_seconds} s (scaleToZeroSeconds)")
    return Limited(wish, "the pool is idle" if wish == 0 else "the pool is wanted")


def within_bounds(scaling: Scaling, wish: int) -> Limited:
    """Between minReplicas and maxReplicas."""
    if wish < scaling.min_replicas:
        return Limited(scaling.min_replicas, f"minReplicas {scaling.min_replicas}")
    if wish > scaling.max_replicas:
        return Limited(scaling.max_replicas, f"maxReplicas {scaling.max_replicas}")
    return Limited(wish, f"within {scaling.min_replicas} to {scaling.max_replicas}")


def held_in(scaling: Scaling, current: int, draining: int, wish: int, *, rolling: bool) -> Limited:
    """What is not scaled in: a pool that rolls out, and one whose owner said so. A full pause leaves all as it is."""
    if scaling.paused:
        return Limited(current, "scaling is paused (scaling.paused)")
    if scaling.scale_in_paused and wish < current + draining:
        return Limited(current + draining, "scale-in is paused (scaling.scaleInPaused)")
    if rolling and wish < current:
        return Limited(current, "a rollout is replacing pods; none is taken away until it is over")
    return Limited(wish, "nothing holds it")
