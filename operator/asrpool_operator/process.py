"""The operator's parts, wired: watches, leader election, one task per pool, the health port.

Life of the process: serve health → load credentials → watch → lead → tick. At the end in reverse, and the lease is
handed back last but one, so that the next leader starts when this one has stopped acting.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Coroutine
from typing import Any

from kubernetes.aio.client.configuration import Configuration

from asrpool_operator.cluster.api import KubeApi, load_configuration
from asrpool_operator.cluster.fence import FencedCluster
from asrpool_operator.cluster.kube import KubeCluster
from asrpool_operator.cluster.leadership import Leadership
from asrpool_operator.cluster.protocol import ObjectRef
from asrpool_operator.cluster.watch import WatchedView
from asrpool_operator.handlers import PoolWatch
from asrpool_operator.health import Health, serve_health
from asrpool_operator.metrics import Metrics
from asrpool_operator.reconcile.pool import Parts, PoolReconciler
from asrpool_operator.reconcile.supervisor import Supervisor
from asrpool_operator.render import Defaults
from asrpool_operator.scrape.client import HttpAdminPorts
from asrpool_operator.settings import Settings

log = logging.getLogger(__name__)


class Process:
    """One replica of the operator."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._metrics = Metrics()

    async def run(self, asked_to_stop: asyncio.Event) -> None:
        """Run until asked to stop. Raises a `ClusterError` where there are no usable credentials."""
        settings = self._settings
        configuration = await self._load_configuration()
        async with contextlib.AsyncExitStack() as stack:
            api = KubeApi(configuration)
            stack.push_async_callback(api.close)
            ports = HttpAdminPorts()
            stack.push_async_callback(ports.close)
            cluster, view = KubeCluster(api), WatchedView(api, settings.namespaces)
            supervisor = Supervisor(
                lambda body: PoolReconciler(body, parts), self._metrics, interval_seconds=settings.interval_seconds
            )
            leadership = Leadership(
                cluster,
                ObjectRef("Lease", settings.lease_namespace, settings.lease_name),
                settings.identity,
                changed=lambda leading: supervisor.lead(leading=leading),
            )
            parts = Parts(
                cluster=FencedCluster(cluster, lambda: leadership.leading or not settings.leader_elect),
                view=view,
                ports=ports,
                defaults=Defaults(
                    worker_image=settings.worker_image,
                    gateway_image=settings.gateway_image,
                    image_pull_policy=settings.image_pull_policy,
                    cluster_domain=settings.cluster_domain,
                ),
                metrics=self._metrics,
                identity=settings.identity,
            )
            pools = PoolWatch(self._load_configuration, settings.namespaces, supervisor.seen, supervisor.gone)
            health = Health(
                why_not_alive=supervisor.why_stuck,
                why_not_ready=lambda: _why_not_ready(view),
                snapshot_of=supervisor.snapshot_of,
            )
            runner = await serve_health(settings.host, settings.port, health, self._metrics)
            stack.push_async_callback(runner.cleanup)
            self._metrics.api_live.set_function(lambda: int(view.live))
            await stack.enter_async_context(_background(view.run(), "watches", asked_to_stop))
            pools.start()
            stack.push_async_callback(pools.stop)
            if settings.leader_elect:
                await stack.enter_async_context(_background(leadership.run(), "leader election", asked_to_stop))
            else:
                supervisor.lead(leading=True)
            stack.push_async_callback(supervisor.close)
            await asked_to_stop.wait()

    async def _load_configuration(self) -> Configuration:
        return await load_configuration(self._settings.kubeconfig, self._settings.context)


def _why_not_ready(view: WatchedView) -> str:
    return "" if view.live else "the watches of the API server are not connected"


@contextlib.asynccontextmanager
async def _background(work: Coroutine[Any, Any, None], name: str, asked_to_stop: asyncio.Event) -> AsyncIterator[None]:
    """Run a task for as long as the block lasts. If it ends by itself, the process stops and its error is raised."""
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(lambda _: asked_to_stop.set())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
