"""Which pods take newcomers and which go: drain the soonest empty, un-drain the fullest.

Draining a pod that empties soon frees it soon; un-draining the fullest leaves the emptier ones to go.
"""

from __future__ import annotations

from asrpool_operator.policy.lengths import Lengths
from asrpool_operator.policy.view import EMPTY_COST, View
from asrpool_operator.snapshot import PodPhase, WorkerSnapshot, WorkerStatus


def to_drain(view: View, lengths: Lengths, count: int) -> tuple[WorkerSnapshot, ...]:
    """The `count` serving pods that will be empty soonest. A pod that does not answer is never chosen."""
    chosen = sorted(
        ((worker, status) for worker in view.serving if (status := view.fresh(worker)) is not None),
        key=lambda pair: (-_empty_chance(pair[1], lengths), pair[1].active + pair[1].held_ids, pair[0].name),
    )
    return tuple(worker for worker, _ in chosen[: max(count, 0)])


def to_undrain(view: View, count: int) -> tuple[WorkerSnapshot, ...]:
    """The `count` draining pods that take newcomers again, fullest first; not one that is being removed already."""
    chosen = sorted(
        (
            (worker, status)
            for worker in view.draining
            if worker.phase is PodPhase.READY
            and (status := view.fresh(worker)) is not None
            and not (view.being_removed and worker.deletion_cost <= EMPTY_COST)
        ),
        key=lambda pair: (-pair[1].active, -pair[1].held_ids, pair[0].name),
    )
    return tuple(worker for worker, _ in chosen[: max(count, 0)])


def _empty_chance(status: WorkerStatus, lengths: Lengths) -> float:
    """The chance that the pod is empty one mean session from now; sessions of unknown age count as new."""
    ages = status.ages_seconds[: status.active]
    ages += (0.0,) * (status.active - len(ages))
    return lengths.empty_chance(ages, lengths.mean_seconds)
