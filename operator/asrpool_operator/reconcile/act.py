"""Do what was planned, in the order it was planned.

A pod that does not answer, or that is gone, costs its own action: the plan is made anew next tick. What the API server
refuses costs one pod's actions, since a drain that is not on record must not begin, or the change of `replicas`. An API
server that does not answer ends the tick: what comes later in the plan relies on what came before.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from asrpool_operator.cluster.fence import FencedCluster
from asrpool_operator.cluster.protocol import ObjectRef
from asrpool_operator.errors import ForbiddenError, NotFoundError, RejectedError, WorkerUnreachableError
from asrpool_operator.plan import Action, Annotate, Drain, Scale, SetCapacity, Undrain
from asrpool_operator.reconcile.observe import Observer
from asrpool_operator.reconcile.pods import (
    DELETION_COST_ANNOTATION,
    DRAINING_SINCE_ANNOTATION,
    PROTECTING_ANNOTATIONS,
)
from asrpool_operator.scrape.client import AdminPorts
from asrpool_operator.snapshot import PoolSnapshot

log = logging.getLogger(__name__)


class Actor:
    """Carries out the actions of one pool."""

    def __init__(self, cluster: FencedCluster, ports: AdminPorts, observer: Observer) -> None:
        self._cluster = cluster
        self._ports = ports
        self._observer = observer

    async def do(self, actions: Sequence[Action], snapshot: PoolSnapshot, token: str) -> tuple[str, ...]:
        """All actions in order; returns what the API server refused, in words.

        Raises any other `ClusterError`, or `NotLeaderError`, with the rest undone.
        """
        ips = {worker.name: worker.ip for worker in snapshot.workers if worker.ip}
        refused: dict[str, str] = {}
        for action in actions:
            target = f"{snapshot.name}-worker" if isinstance(action, Scale) else action.pod
            if target in refused:
                continue
            self._cluster.check()
            log.info("pool %s/%s: %s", snapshot.namespace, snapshot.name, action)
            try:
                await self._do(action, snapshot, ips, token)
            except WorkerUnreachableError as error:
                log.warning("%s was not done and is planned anew: %s", action, error)
            except (RejectedError, ForbiddenError) as error:
                refused[target] = f"{target}: {error}"
        return tuple(refused.values())

    async def _do(self, action: Action, snapshot: PoolSnapshot, ips: dict[str, str], token: str) -> None:
        match action:
            case Scale(replicas=replicas):
                ref = ObjectRef("Deployment", snapshot.namespace, f"{snapshot.name}-worker")
                await self._cluster.scale(ref, replicas)
            case Annotate(pod=pod):
                await self._annotate(action, ObjectRef("Pod", snapshot.namespace, pod))
            case Drain(pod=pod):
                self._observer.learn(pod, await self._ports.drain(_ip(ips, pod), token))
            case Undrain(pod=pod):
                self._observer.learn(pod, await self._ports.undrain(_ip(ips, pod), token))
            case SetCapacity(pod=pod, sessions=sessions):
                self._observer.learn(pod, await self._ports.set_capacity(_ip(ips, pod), token, sessions))

    async def _annotate(self, action: Annotate, ref: ObjectRef) -> None:
        since = action.draining_since_unix_seconds
        annotations = {
            DELETION_COST_ANNOTATION: str(action.deletion_cost),
            DRAINING_SINCE_ANNOTATION: None if since is None else f"{since:.3f}",
            **{key: value if action.protected else None for key, value in PROTECTING_ANNOTATIONS.items()},
        }
        try:
            await self._cluster.annotate(ref, annotations)
        except NotFoundError:
            log.info("%s is gone, and with it the reason to annotate it", ref)


def _ip(ips: dict[str, str], pod: str) -> str:
    try:
        return ips[pod]
    except KeyError:
        raise WorkerUnreachableError(f"pod {pod} has no address (yet)") from None
