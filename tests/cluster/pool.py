"""One ASRPool under test: apply, edit, look at it and its pods, stream through it."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import yaml

from devcluster.target import Cluster
from tests.cluster.kube import Kube, Manifest
from tests.cluster.waiting import eventually

POOL_LABEL = "asrpool.dev/pool"
DRAINING_SINCE = "asrpool.dev/draining-since"
_OWNED_KINDS = (
    "Deployment", "StatefulSet", "ConfigMap", "Service", "ServiceAccount", "PodDisruptionBudget", "Secret", "Pod",
)  # fmt: skip

SPEC: dict[str, Any] = yaml.safe_load("""
models:
  online: /models/paraformer-tiny-streaming
  offline: /models/paraformer-tiny
  vad: /models/fsmn-vad-tiny
worker:
  engine: onnx
  threads: 1
  resources: {requests: {cpu: 20m, memory: 128Mi}, limits: {memory: 1Gi}}
sessions: {perPod: 2, resumeSeconds: 1}
scaling:
  minReplicas: 0
  maxReplicas: 3
  targetUtilization: 1.0
  drainSeconds: 120
  windows: {scaleToZeroSeconds: 3, coldStartSeconds: 5}
  behavior: {scaleDown: {stabilizationWindowSeconds: 2}}
gateway:
  queueSeconds: 60
  resources: {requests: {cpu: 10m, memory: 32Mi}}
""")


class Pool:
    """One ASRPool."""

    def __init__(self, cluster: Cluster, kube: Kube, namespace: str, name: str) -> None:
        self.cluster = cluster
        self.kube = kube
        self.namespace = namespace
        self.name = name

    async def apply(self, **groups: dict[str, Any]) -> None:
        """Apply the pool with these groups of the spec changed, and wait until its gateway is Ready."""
        spec = copy.deepcopy(SPEC)
        for group, fields in groups.items():
            spec[group] = {**spec.get(group, {}), **fields}
        await self.kube.apply(
            {
                "apiVersion": "asrpool.dev/v1alpha1",
                "kind": "ASRPool",
                "metadata": {"name": self.name, "namespace": self.namespace},
                "spec": spec,
            }
        )
        await eventually(
            self.gateway_ready, lambda ready: ready, within_seconds=60, what=f"the gateway of {self.name} is Ready"
        )
        with self.url() as address:
            # Ready is what the API server knows; the node's service rules follow a moment later.
            await eventually(
                lambda: answers(*address), lambda there: there, within_seconds=20, what=f"{self.name}'s Service answers"
            )

    async def edit(self, **groups: dict[str, Any]) -> None:
        """Change fields of the spec, as `kubectl edit` would."""
        await self.kube.merge("ASRPool", self.namespace, self.name, {"spec": groups})

    async def delete(self) -> None:
        """Delete the pool and wait until nothing of it is left."""
        await self.kube.delete("ASRPool", self.namespace, self.name)
        await eventually(
            self.remains, lambda left: not left, within_seconds=150, what=f"nothing of {self.name} is left"
        )

    def url(self) -> AbstractContextManager[tuple[str, int]]:
        """A host and port that reach the gateway from here."""
        return self.cluster.endpoint(self.namespace, f"{self.name}-gateway", 80)

    async def gateway_ready(self) -> bool:
        gateway = await self.kube.get("StatefulSet", self.namespace, f"{self.name}-gateway")
        return bool(gateway and (gateway.get("status") or {}).get("readyReplicas"))

    async def status(self) -> dict[str, Any]:
        """The pool's status; empty while it has none."""
        pool = await self.kube.get("ASRPool", self.namespace, self.name)
        return dict((pool or {}).get("status") or {})

    async def condition(self, type_: str) -> dict[str, Any]:
        """One condition; empty while it is not there."""
        conditions = (await self.status()).get("conditions") or []
        return next((condition for condition in conditions if condition["type"] == type_), {})

    async def replicas(self) -> int:
        """What the worker Deployment is set to."""
        deployment = await self.kube.get("Deployment", self.namespace, f"{self.name}-worker")
        return int(deployment["spec"]["replicas"]) if deployment else 0

    async def workers(self) -> list[Manifest]:
        """The worker pods that are not over."""
        labels = {POOL_LABEL: self.name, "app.kubernetes.io/component": "worker"}
        return await self.kube.all("Pod", self.namespace, labels)

    async def ready(self) -> list[str]:
        """Names of the worker pods that are Ready and not on their way out."""
        return [pod["metadata"]["name"] for pod in await self.workers() if is_ready(pod)]

    async def draining(self) -> list[str]:
        """Names of the worker pods whose drain is on record."""
        return [
            pod["metadata"]["name"]
            for pod in await self.workers()
            if DRAINING_SINCE in (pod["metadata"].get("annotations") or {})
        ]

    async def events(self) -> list[str]:
        """Reasons of the Events about the pool."""
        events = await self.kube.all("Event", self.namespace)
        return [event["reason"] for event in events if (event.get("regarding") or {}).get("name") == self.name]

    async def remains(self) -> list[str]:
        """Everything that carries the pool's label, and the pool itself."""
        left = [
            f"{kind} {manifest['metadata']['name']}"
            for kind in _OWNED_KINDS
            for manifest in await self.kube.all(kind, self.namespace, {POOL_LABEL: self.name})
        ]
        pool = await self.kube.get("ASRPool", self.namespace, self.name)
        return left + ([] if pool is None else [f"ASRPool {self.name}"])

    async def until_condition(
        self, type_: str, good: Callable[[dict[str, Any]], bool], *, within_seconds: float = 60
    ) -> dict[str, Any]:
        """Wait until the condition is as wanted."""

        async def look() -> dict[str, Any]:
            return await self.condition(type_)

        return await eventually(look, good, within_seconds=within_seconds, what=f"condition {type_} of {self.name}")

    async def until_replicas(self, wanted: Callable[[int], bool], *, within_seconds: float, what: str) -> int:
        """Wait until the Deployment is set as wanted."""
        return await eventually(self.replicas, wanted, within_seconds=within_seconds, what=what)


async def answers(host: str, port: int) -> bool:
    """Whether a connection can be made."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True


def is_ready(pod: Manifest) -> bool:
    """Ready and not on its way out."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    return "deletionTimestamp" not in pod["metadata"] and any(
        condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions
    )
