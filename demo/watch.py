"""Looks at the pool twice a second through the API server, as anybody with a kubeconfig could.

It reads the Deployment, the pods, the pool and, by the API server's own pod proxy, each worker's `/metrics`, so that the
demo sees the same on a laptop's kind, on the devcluster and on a cluster far away. Where the API server does not answer
there is no sample; where a worker does not, its figures are unknown. Nothing is ever invented.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from demo.samples import PodSample, PodState, Sample

log = logging.getLogger(__name__)

SAMPLE_SECONDS = 0.5
_ADMIN_PORT = 10096
_DRAINING_SINCE = "asrpool.dev/draining-since"


class PoolWatch:
    """Samples one pool until its task is cancelled; `on_sample` hears each one."""

    def __init__(self, api_url: str, namespace: str, pool: str, on_sample: Callable[[Sample], None]) -> None:
        self._namespace, self._pool, self._on_sample = namespace, pool, on_sample
        self._client = httpx.AsyncClient(base_url=api_url, timeout=2.0)

    async def run(self) -> None:
        """Sample for ever, at a steady beat."""
        async with self._client:
            due = time.monotonic()
            while True:
                try:
                    self._on_sample(await self._sample())
                except httpx.HTTPError as error:
                    log.info("the API server did not answer: %s", error)
                due = max(due + SAMPLE_SECONDS, time.monotonic())
                await asyncio.sleep(due - time.monotonic())

    async def _sample(self) -> Sample:
        core = f"/api/v1/namespaces/{self._namespace}"
        selector = f"asrpool.dev/pool={self._pool},app.kubernetes.io/component=worker"
        deployment, pods, pool = await asyncio.gather(
            self._json(f"/apis/apps/v1/namespaces/{self._namespace}/deployments/{self._pool}-worker"),
            self._json(f"{core}/pods?labelSelector={selector}"),
            self._json(f"/apis/asrpool.dev/v1alpha1/namespaces/{self._namespace}/asrpools/{self._pool}"),
        )
        samples = await asyncio.gather(*(self._pod(core, item) for item in pods.get("items", [])))
        return Sample(
            at_seconds=time.monotonic(),
            replicas=int(deployment.get("spec", {}).get("replicas", 0)),
            pods=tuple(sorted(samples, key=lambda pod: pod.name)),
            reason=pool.get("status", {}).get("lastDecision", {}).get("reason", ""),
        )

    async def _pod(self, core: str, pod: dict[str, Any]) -> PodSample:
        name = pod["metadata"]["name"]
        ready = _is_ready(pod)
        active = capacity = None
        if ready:
            try:
                response = await self._client.get(f"{core}/pods/{name}:{_ADMIN_PORT}/proxy/metrics")
                if response.is_success:
                    active, capacity = _sessions(response.text)
            except httpx.HTTPError as error:
                log.info("%s did not show its metrics: %s", name, error)
        return PodSample(name, _state(pod, ready), ready, active, capacity)

    async def _json(self, path: str) -> dict[str, Any]:
        response = await self._client.get(path)
        if response.status_code == httpx.codes.NOT_FOUND:
            return {}
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _state(pod: dict[str, Any], ready: bool) -> PodState:
    if "deletionTimestamp" in pod["metadata"]:
        return PodState.ENDING
    if _DRAINING_SINCE in pod["metadata"].get("annotations", {}):
        return PodState.DRAINING
    return PodState.READY if ready else PodState.STARTING


def _sessions(metrics: str) -> tuple[int | None, int | None]:
    values = {
        sample.name: int(sample.value)
        for family in text_string_to_metric_families(metrics)
        for sample in family.samples
        if sample.name in {"asrpool_sessions_active", "asrpool_sessions_capacity"}
    }
    return values.get("asrpool_sessions_active"), values.get("asrpool_sessions_capacity")
