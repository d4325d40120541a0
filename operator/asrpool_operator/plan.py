"""What has to change in the cluster: (snapshot, decision) → ordered actions. Pure and level-triggered.

Each action brings one thing to where it shall be, and is left out where the snapshot shows it there already; so a plan
that was cut off half-way (a crash, a lost leader) is simply made again from the next snapshot. The order makes every
cut-off point safe: pods are asked for first, since that never harms; annotations precede the calls that they explain, so
that a drain is known before it has begun; `replicas` is lowered last, when everything that it relies on was SEEN before.
"""

from __future__ import annotations

from dataclasses import dataclass

from asrpool_operator.policy.decision import Decision
from asrpool_operator.policy.view import EMPTY_COST
from asrpool_operator.snapshot import PodPhase, PoolSnapshot, WorkerSnapshot


@dataclass(frozen=True)
class Annotate:
    """Set a pod's deletion cost, the time its drain began (`None` takes that annotation away) and whether node autoscalers
    are asked to leave its node alone, in one patch.
    """

    pod: str
    deletion_cost: int
    draining_since_unix_seconds: float | None
    protected: bool


@dataclass(frozen=True)
class Undrain:
    """POST /undrain: the pod takes newcomers again."""

    pod: str


@dataclass(frozen=True)
class Drain:
    """POST /drain: the pod takes no newcomers from now on."""

    pod: str


@dataclass(frozen=True)
class SetCapacity:
    """POST /capacity: how many sessions the pod admits from now on."""

    pod: str
    sessions: int


@dataclass(frozen=True)
class Scale:
    """Set `spec.replicas` of the worker Deployment through its scale subresource."""

    before: int
    replicas: int


Action = Annotate | Undrain | Drain | SetCapacity | Scale


def plan(snapshot: PoolSnapshot, decision: Decision) -> tuple[Action, ...]:
    """The actions that make `decision` true, in the order to do them."""
    scale = _scale(snapshot, decision)
    raising = tuple(step for step in scale if step.replicas > step.before)
    lowering = tuple(step for step in scale if step.replicas < step.before)
    return (
        *raising,
        *_annotations(snapshot, decision),
        *(Undrain(name) for name in decision.undrain),
        *_drains(snapshot, decision),
        *(SetCapacity(name, sessions) for name, sessions in sorted(decision.capacities.items())),
        *lowering,
    )


def _scale(snapshot: PoolSnapshot, decision: Decision) -> tuple[Scale, ...]:
    if not snapshot.deployment_exists or decision.replicas == snapshot.replicas:
        return ()
    return (Scale(snapshot.replicas, decision.replicas),)


def _annotations(snapshot: PoolSnapshot, decision: Decision) -> tuple[Annotate, ...]:
    steps: list[Annotate] = []
    for worker in _standing(snapshot):
        since = _draining_since(worker, decision)
        cost = decision.deletion_costs.get(worker.name, worker.deletion_cost)
        wanted = Annotate(worker.name, cost, since, _protected(worker, cost))
        seen = Annotate(
            worker.name, worker.deletion_cost, worker.draining_since_unix_seconds, protected=worker.protected
        )
        if wanted != seen:
            steps.append(wanted)
    # Pods that return first: there is demand for them.
    return tuple(sorted(steps, key=lambda step: step.draining_since_unix_seconds is not None))


def _standing(snapshot: PoolSnapshot) -> tuple[WorkerSnapshot, ...]:
    """A pod that was told to go drains by itself; nothing is said to it any more."""
    return tuple(worker for worker in snapshot.workers if worker.phase is not PodPhase.TERMINATING)


def _protected(worker: WorkerSnapshot, cost: int) -> bool:
    """Streams are not moved: the node of a pod that takes or has some may not go to save money.

    One that is finished (`EMPTY_COST`) lets its node go. One that is not ready stays as it was: it may have streams.
    """
    if worker.phase is PodPhase.READY:
        return cost > EMPTY_COST
    return worker.protected and worker.phase is not PodPhase.FAILING


def _draining_since(worker: WorkerSnapshot, decision: Decision) -> float | None:
    if worker.name in decision.undrain:
        return None
    since = worker.draining_since_unix_seconds
    if since is None and (worker.name in decision.drain or _drains_unannotated(worker)):
        return decision.unix_seconds
    return since


def _drains_unannotated(worker: WorkerSnapshot) -> bool:
    """Whether the worker drains by its own word only: somebody else asked it to, or our annotation was lost."""
    return worker.status is not None and worker.status.draining and worker.draining_since_unix_seconds is None


def _drains(snapshot: PoolSnapshot, decision: Decision) -> tuple[Drain, ...]:
    """Newly chosen pods, and pods whose drain was announced but that do not drain (a cut-off plan, a restarted container)."""
    return tuple(
        Drain(worker.name)
        for worker in _standing(snapshot)
        if worker.name in decision.drain
        or (
            worker.draining_since_unix_seconds is not None
            and worker.name not in decision.undrain
            and worker.status is not None
            and not worker.status.draining
        )
    )
