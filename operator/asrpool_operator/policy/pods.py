"""From a wished number of pods to pods: who drains, who takes newcomers again, who goes, and `replicas`.

Order: un-drain before starting new pods; count pods on their way before asking for more; take away pods that never
carried a stream before draining any. `replicas` = pods that take newcomers + pods to come + pods that still drain.
"""

from __future__ import annotations

from dataclasses import dataclass

from asrpool_operator.api import ASRPoolSpec
from asrpool_operator.policy.decision import RuleOutcome
from asrpool_operator.policy.lengths import Lengths
from asrpool_operator.policy.removal import removable
from asrpool_operator.policy.victims import to_drain, to_undrain
from asrpool_operator.policy.view import View
from asrpool_operator.snapshot import WorkerSnapshot


@dataclass(frozen=True)
class Pods:
    """The second half of a decision. `draining`: all that drain from now on."""

    replicas: int
    drain: tuple[str, ...] = ()
    undrain: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()
    draining: tuple[WorkerSnapshot, ...] = ()
    outcomes: tuple[RuleOutcome, ...] = ()


def choose_pods(spec: ASRPoolSpec, view: View, lengths: Lengths, wish: int) -> Pods:
    """The pods that make `wish` true without ending a stream."""
    if spec.scaling.paused:
        return Pods(view.snapshot.replicas, draining=view.draining)
    undrained = to_undrain(view, wish - len(view.serving))
    names = {worker.name for worker in undrained}
    draining = tuple(worker for worker in view.draining if worker.name not in names)
    if view.rolling:
        # The Deployment has pods beyond `replicas` now and takes some away itself: only ever ask for more.
        more = min(wish + len(draining), spec.scaling.max_replicas)
        return Pods(max(view.snapshot.replicas, more), undrain=_names(undrained), draining=draining)
    drained = to_drain(view, lengths, len(view.serving) + len(undrained) - wish)
    drained_names = {worker.name for worker in drained}
    serving = (*(worker for worker in view.serving if worker.name not in drained_names), *undrained)
    to_come = _to_come(spec, view, wish, len(serving), len(draining))
    going = removable(
        view,
        serving,
        draining,
        spec.scaling.drain_seconds,
        unready_stay=to_come > 0 and bool(view.coming or view.failing),
    )
    replicas = len(serving) + to_come + len(draining) + len(drained) - len(going)
    outcomes: list[RuleOutcome] = []
    if replicas < view.snapshot.replicas and view.unready_busy:
        outcomes.append(
            RuleOutcome(
                rule="streams",
                before=replicas,
                after=view.snapshot.replicas,
                sentence="a pod that is not ready may carry streams and would be the first to be taken away",
            )
        )
        replicas, going = view.snapshot.replicas, ()
    return Pods(
        replicas,
        drain=_names(drained),
        undrain=_names(undrained),
        remove=_names(going),
        draining=(*draining, *drained),
        outcomes=tuple(outcomes),
    )


def _to_come(spec: ASRPoolSpec, view: View, wish: int, serving: int, draining: int) -> int:
    """Pods that are not ready and stay, or are asked for.

    A pod that fails while others of its template run is made up for by another, since its own node or luck is at
    fault. Where the whole template fails another would fail too: it counts as one of those to come.
    """
    missing = max(0, wish - serving)
    room = max(0, spec.scaling.max_replicas - serving - draining)
    return min(missing + min(view.failing_alone, missing), room)


def _names(workers: tuple[WorkerSnapshot, ...]) -> tuple[str, ...]:
    return tuple(worker.name for worker in workers)
