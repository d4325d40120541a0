"""When a drained pod may be taken away by lowering `replicas`, and which deletion cost each pod has to carry.

Lowering `replicas` lets the ReplicaSet choose: unscheduled, pending and not-ready pods first, then the lowest
deletion cost. So a pod is removed only when the cluster was SEEN to carry its lowered cost (the ReplicaSet reads the
same annotation), when every pod that stays costs more, and when no pod that is not ready would be taken in its place.
"""

from __future__ import annotations

from asrpool_operator.policy.view import DRAINING_COST, EMPTY_COST, View
from asrpool_operator.snapshot import WorkerSnapshot


def finished(view: View, worker: WorkerSnapshot, drain_seconds: float) -> bool:
    """Whether a draining pod is done: by its own fresh word it drains, holds no stream and expects none back.

    Past `drainSeconds` it is done whatever it holds: that is the limit its owner set. It then gets SIGTERM, and what
    still runs may go on for the pod's termination grace.
    """
    since = worker.draining_since_unix_seconds
    if since is not None and view.now - since > drain_seconds:
        return True
    status = view.fresh(worker)
    return status is not None and status.draining and status.active == 0 and status.held_ids == 0


def wanted_costs(view: View, draining: tuple[WorkerSnapshot, ...], drain_seconds: float) -> dict[str, int]:
    """The deletion cost of each pod that does not carry it yet."""
    names = {worker.name for worker in draining}
    wanted: dict[str, int] = {}
    for worker in (*view.serving, *view.draining, *view.coming):
        cost = 0
        if worker.name in names:
            cost = EMPTY_COST if finished(view, worker, drain_seconds) else DRAINING_COST
        if worker.deletion_cost != cost:
            wanted[worker.name] = cost
    return wanted


def removable(
    view: View,
    staying: tuple[WorkerSnapshot, ...],
    draining: tuple[WorkerSnapshot, ...],
    drain_seconds: float,
    *,
    unready_stay: bool,
) -> tuple[WorkerSnapshot, ...]:
    """The finished pods of `draining` that go when `replicas` is lowered by their number, and no other pod would.

    While pods stay that are not ready, only those that `replicas` was lowered by before.
    """
    going = tuple(
        worker for worker in draining if worker.deletion_cost <= EMPTY_COST and finished(view, worker, drain_seconds)
    )
    if unready_stay:
        return going[: view.being_removed]
    if not going:
        return ()
    names = {worker.name for worker in going}
    dearest = max(worker.deletion_cost for worker in going)
    kept = (*staying, *(worker for worker in draining if worker.name not in names))
    return () if any(worker.deletion_cost <= dearest for worker in kept) else going
