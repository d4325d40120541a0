"""Observe: the watched pods and the admin ports' answers become one `PoolSnapshot`.

The last good answer of every pod is kept with its time, never replaced by a guess: how old is too old is for the
rules to say (a stale count must not scale in).

A gateway pod that is on its way out is not asked: it takes no newcomers, and its HAProxy may fall silent long before its
last stream ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from asrpool_operator.api import ASRPool
from asrpool_operator.cluster.protocol import Manifest, PoolView
from asrpool_operator.errors import WorkerUnreachableError
from asrpool_operator.reconcile.controllers import creation_problem, gateway_problem, outdated_pods
from asrpool_operator.reconcile.pods import is_ready, worker_snapshot
from asrpool_operator.scrape.answers import GatewayCounts
from asrpool_operator.scrape.client import AdminPorts
from asrpool_operator.snapshot import GatewaySnapshot, PoolSnapshot, WorkerStatus

log = logging.getLogger(__name__)

_DEFAULT_PERCENTILE = 95.0
_DEFAULT_WINDOW_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Observation:
    """A snapshot, and how many admin ports could not be asked for it."""

    snapshot: PoolSnapshot
    failed_scrapes: int


class Observer:
    """Observes one pool; remembers the last good answers."""

    def __init__(self, view: PoolView, ports: AdminPorts) -> None:
        self._view = view
        self._ports = ports
        self._workers: dict[str, WorkerStatus] = {}
        self._gateways: dict[str, tuple[float, GatewayCounts]] = {}

    async def observe(self, pool: ASRPool, token: str, now: float) -> Observation:
        """Ask every pod that has an address, all at once, and put the answers together."""
        namespace, name = pool.metadata.namespace, pool.metadata.name
        pods = self._view.objects("Pod", namespace, name)
        workers = [pod for pod in pods if _component(pod) == "worker" and not _is_over(pod)]
        all_gateways = [pod for pod in pods if _component(pod) == "gateway" and not _is_over(pod)]
        gateways = [pod for pod in all_gateways if "deletionTimestamp" not in pod["metadata"]]
        async with asyncio.TaskGroup() as group:
            asked = [group.create_task(self._ask_worker(pod, pool, token)) for pod in workers if _ip(pod)]
            asked += [group.create_task(self._ask_gateway(pod, now)) for pod in gateways if _ip(pod)]
        self._forget_all_but(workers, gateways)
        deployment = self._named("Deployment", namespace, name, f"{name}-worker")
        stateful_set = self._named("StatefulSet", namespace, name, f"{name}-gateway")
        snapshot = PoolSnapshot(
            name=name,
            namespace=namespace,
            generation=pool.metadata.generation,
            replicas=0 if deployment is None else int(deployment["spec"].get("replicas", 1)),
            deployment_exists=deployment is not None,
            creation_problem=creation_problem(deployment),
            workers=tuple(worker_snapshot(pod, self._workers.get(_name(pod))) for pod in workers),
            gateway=self._gateway(gateways).model_copy(
                update={
                    "problem": gateway_problem(stateful_set, all_gateways, now),
                    "outdated": outdated_pods(stateful_set, gateways),
                }
            ),
        )
        return Observation(snapshot, failed_scrapes=sum(not task.result() for task in asked))

    def learn(self, pod: str, status: WorkerStatus) -> None:
        """Keep an answer that came with an action (drain, undrain, capacity)."""
        self._workers[pod] = status

    async def _ask_worker(self, pod: Manifest, pool: ASRPool, token: str) -> bool:
        latency = pool.spec.scaling.latency
        try:
            self._workers[_name(pod)] = await self._ports.status(
                _ip(pod),
                token,
                percentile=_DEFAULT_PERCENTILE if latency is None else latency.percentile,
                window_seconds=_DEFAULT_WINDOW_SECONDS if latency is None else latency.window_seconds,
            )
        except WorkerUnreachableError as error:
            # A pod that starts does not answer yet; one that is Ready and does not is worth a line.
            log.log(logging.WARNING if is_ready(pod) else logging.DEBUG, "pool %s: %s", pool.metadata.name, error)
            return not is_ready(pod)
        return True

    async def _ask_gateway(self, pod: Manifest, now: float) -> bool:
        try:
            self._gateways[_name(pod)] = (now, await self._ports.held(_ip(pod)))
        except WorkerUnreachableError as error:
            log.log(logging.WARNING if is_ready(pod) else logging.DEBUG, "%s", error)
            return not is_ready(pod)
        return True

    def _gateway(self, pods: Sequence[Manifest]) -> GatewaySnapshot:
        answers = list(self._gateways.values())
        ready = [_name(pod) for pod in pods if is_ready(pod)]
        complete = all(name in self._gateways for name in ready)
        return GatewaySnapshot(
            ready_replicas=len(ready),
            # The sum is as old as its oldest part, and no sum at all while a gateway that takes streams never answered.
            scraped_unix_seconds=min((when for when, _ in answers), default=None) if complete else None,
            held=sum(counts.held for _, counts in answers),
            queued=sum(counts.queued for _, counts in answers),
            refused_total=sum(counts.refused for _, counts in answers),
        )

    def _named(self, kind: str, namespace: str, pool: str, name: str) -> Manifest | None:
        found = self._view.objects(kind, namespace, pool)
        return next((manifest for manifest in found if _name(manifest) == name), None)

    def _forget_all_but(self, workers: Sequence[Manifest], gateways: Sequence[Manifest]) -> None:
        worker_names, gateway_names = {_name(pod) for pod in workers}, {_name(pod) for pod in gateways}
        self._workers = {name: kept for name, kept in self._workers.items() if name in worker_names}
        self._gateways = {name: kept for name, kept in self._gateways.items() if name in gateway_names}


def _component(pod: Manifest) -> str:
    return str((pod["metadata"].get("labels") or {}).get("app.kubernetes.io/component", ""))


def _is_over(pod: Manifest) -> bool:
    """Ended for good and only kept for its record (evicted, for example): its ReplicaSet no longer counts it either."""
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


def _ip(pod: Manifest) -> str:
    return str((pod.get("status") or {}).get("podIP") or "")


def _name(pod: Manifest) -> str:
    return str(pod["metadata"]["name"])
