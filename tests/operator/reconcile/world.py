"""A pool in a small world: a fake cluster whose ReplicaSet controller and kubelet run when told, on a clock that is set."""

from __future__ import annotations

import copy
from typing import Any

from asrpool_operator.cluster.fence import FencedCluster
from asrpool_operator.cluster.protocol import Manifest, ObjectRef
from asrpool_operator.metrics import Metrics
from asrpool_operator.reconcile.pods import DELETION_COST_ANNOTATION
from asrpool_operator.reconcile.pool import Parts, PoolReconciler
from asrpool_operator.render import Defaults
from asrpool_operator.scrape.answers import GatewayCounts
from tests.operator.fakes import FakeCluster, FakePorts, FakeWorker

DEFAULTS = Defaults(worker_image="asrpool/worker:test", gateway_image="asrpool/gateway:test")
START = 1_800_000_000.0
SPEC: dict[str, Any] = {
    "models": {"online": "/models/online"},
    "sessions": {"perPod": 4, "resumeSeconds": 0},
    "scaling": {
        "minReplicas": 0,
        "maxReplicas": 4,
        "windows": {"scaleToZeroSeconds": 5, "coldStartSeconds": 1},
        "behavior": {"scaleDown": {"stabilizationWindowSeconds": 3}},
    },
}


class World:
    """One pool named `p`. `killed_with_streams` must stay empty: it is invariant 1."""

    def __init__(self, spec: dict[str, Any] | None = None) -> None:
        self.now = START
        self.cluster = FakeCluster()
        self.ports = FakePorts(clock=lambda: self.now)
        self.metrics = Metrics()
        self.leading = True
        self.killed_with_streams: list[str] = []
        self._pods_made = 0
        self.edit(spec or SPEC)
        self.add_gateway("p-gateway-0", "10.0.1.1")
        self.start_operator()

    # -- what people do

    def edit(self, spec: dict[str, Any]) -> None:
        self.cluster.put(
            {
                "apiVersion": "asrpool.dev/v1alpha1",
                "kind": "ASRPool",
                "metadata": {"name": "p", "namespace": "default"},
                "spec": spec,
            }
        )

    def waiting(self, streams: int) -> None:
        """So many streams are held by the gateway."""
        self.ports.gateways["10.0.1.1"] = GatewayCounts(held=streams, queued=0, refused=0)

    # -- the operator

    def start_operator(self) -> None:
        """A fresh process: nothing is remembered."""
        parts = Parts(
            cluster=FencedCluster(self.cluster, lambda: self.leading),
            view=self.cluster,
            ports=self.ports,
            defaults=DEFAULTS,
            metrics=self.metrics,
            identity="op-1",
            clock=lambda: self.now,
        )
        self.operator = PoolReconciler(self.pool, parts)

    async def tick(self, times: int = 1) -> None:
        """So many ticks, each followed by a second in which the cluster settles."""
        for _ in range(times):
            await self.operator.tick(self.pool)
            self.settle()

    # -- the cluster

    @property
    def pool(self) -> Manifest:
        return self.cluster.one("ASRPool", "p")

    @property
    def status(self) -> dict[str, Any]:
        return dict(self.pool.get("status") or {})

    def condition(self, type_: str) -> dict[str, Any]:
        return next(condition for condition in self.status["conditions"] if condition["type"] == type_)

    @property
    def replicas(self) -> int:
        return int(self.cluster.one("Deployment", "p-worker")["spec"]["replicas"])

    def pods(self) -> list[str]:
        return [pod["metadata"]["name"] for pod in self._workers()]

    def worker(self, pod: str) -> FakeWorker:
        return self.ports.workers[self._ip(pod)]

    def add_gateway(self, name: str, ip: str) -> None:
        """A gateway pod at which nobody waits."""
        self.ports.gateways[ip] = GatewayCounts(held=0, queued=0, refused=0)
        self._add_pod(name, "gateway", ip)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def settle(self) -> None:
        """A second passes: the ReplicaSet has as many pods as it was told, and new ones are ready."""
        self.now += 1
        if ObjectRef("Deployment", "default", "p-worker") not in self.cluster.stored:
            return
        while len(self._workers()) > self.replicas:
            self._delete_victim()
        while len(self._workers()) < self.replicas:
            self._add_worker()

    def _workers(self) -> list[Manifest]:
        return [
            pod
            for pod in self.cluster.objects("Pod", "default", "p")
            if pod["metadata"]["labels"]["app.kubernetes.io/component"] == "worker"
        ]

    def _delete_victim(self) -> None:
        """By deletion cost, and of equals the one with the MOST streams: the operator may not rely on luck."""

        def order(pod: Manifest) -> tuple[int, int]:
            cost = int(pod["metadata"].get("annotations", {}).get(DELETION_COST_ANNOTATION, 0))
            return cost, -self.worker(pod["metadata"]["name"]).active

        victim = min(self._workers(), key=order)["metadata"]["name"]
        if self.worker(victim).active:
            self.killed_with_streams.append(victim)
        del self.ports.workers[self._ip(victim)]
        del self.cluster.stored[ObjectRef("Pod", "default", victim)]

    def _add_worker(self) -> None:
        self._pods_made += 1
        name = f"p-worker-{self._pods_made}"
        self.ports.workers[self._ip(name)] = FakeWorker()
        self._add_pod(name, "worker", self._ip(name))

    def _ip(self, pod: str) -> str:
        return f"10.0.0.{pod.rpartition('-')[2]}"

    def _add_pod(self, name: str, component: str, ip: str) -> None:
        self.cluster.put(
            {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {
                    "name": name,
                    "namespace": "default",
                    "creationTimestamp": "2027-01-15T08:00:00Z",
                    "labels": {
                        "asrpool.dev/pool": "p",
                        "app.kubernetes.io/component": component,
                        "pod-template-hash": "h",
                    },
                },
                "spec": {"nodeName": "n"},
                "status": {
                    "phase": "Running",
                    "podIP": ip,
                    "conditions": [
                        {"type": "Ready", "status": "True", "lastTransitionTime": "2027-01-15T08:00:00Z"},
                        {"type": "PodScheduled", "status": "True"},
                    ],
                },
            }
        )


def spec(**changes: Any) -> dict[str, Any]:
    """`SPEC` with fields of its groups changed."""
    changed = copy.deepcopy(SPEC)
    for group, fields in changes.items():
        changed[group] = {**changed.get(group, {}), **fields}
    return changed


async def busy_world() -> World:
    """Three pods, the first with three streams, the others empty and nobody waiting."""
    world = World()
    await world.tick(2)
    world.waiting(10)
    await world.tick(2)
    world.waiting(0)
    assert len(world.pods()) >= 3
    world.worker(world.pods()[0]).active = 3
    return world
