"""The operator and the API server may go at any time: streams do not notice, and whoever comes back goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from devcluster.errors import UsageError
from devcluster.target import Cluster
from tests.cluster.kube import Kube
from tests.cluster.pool import Pool
from tests.cluster.streams import assert_nothing_lost, streaming
from tests.cluster.waiting import eventually

API_SERVER = "kube-apiserver"
AWAY_SECONDS = 30.0
OPERATOR_LABELS = {"app.kubernetes.io/name": "asrpool", "app.kubernetes.io/component": "operator"}


async def operator_pods(kube: Kube, namespace: str) -> set[str]:
    return {pod["metadata"]["name"] for pod in await kube.all("Pod", namespace, OPERATOR_LABELS)}


async def leader(kube: Kube, namespace: str) -> str:
    """Who holds the lease."""
    lease = await kube.get("Lease", namespace, "asrpool-operator")
    return str((lease or {}).get("spec", {}).get("holderIdentity") or "")


async def kill_operator(kube: Kube, namespace: str, pods: set[str]) -> None:
    """Taken away with no grace period, as when a node is lost to the cluster."""
    await asyncio.gather(*(kube.delete("Pod", namespace, name, grace_seconds=0) for name in pods))


async def test_killed_in_mid_drain_and_restarted_it_finishes_the_drain_and_ends_no_stream(
    pool: Pool, kube: Kube, operator: str
) -> None:
    await pool.apply()
    with pool.url() as (host, port):
        async with streaming(f"ws://{host}:{port}/") as streams:
            streams.want(5)
            await streams.until_live(5)
            streams.want(1)
            await eventually(pool.draining, bool, within_seconds=40, what="pods drain")
            before = await operator_pods(kube, operator)
            await kill_operator(kube, operator, before)

            async def new_leader() -> str:
                holder = await leader(kube, operator)
                return holder if holder not in before else ""

            await eventually(new_leader, bool, within_seconds=90, what="a new operator leads")
            await pool.until_replicas(lambda replicas: replicas == 1, within_seconds=60, what="the drain is finished")
            assert streams.live == 1
            report = await streams.end()
    assert_nothing_lost(report)


async def test_when_the_leader_is_killed_the_other_replica_scales_out(pool: Pool, kube: Kube, operator: str) -> None:
    await pool.apply(scaling={"minReplicas": 1})
    await eventually(pool.ready, bool, within_seconds=60, what="a pod is ready")
    with pool.url() as (host, port):
        async with streaming(f"ws://{host}:{port}/") as streams:
            streams.want(1)
            await streams.until_live(1)
            was = await leader(kube, operator)
            others = await operator_pods(kube, operator) - {was}
            assert others, "the chart runs two replicas"
            await kill_operator(kube, operator, {was})
            streams.want(5)
            await pool.until_replicas(lambda replicas: replicas >= 3, within_seconds=40, what="the other scales out")
            assert await leader(kube, operator) != was
            await streams.until_live(5)
            report = await streams.end()
    assert_nothing_lost(report)


async def test_streams_go_on_while_the_api_server_is_away(pool: Pool, cluster: Cluster) -> None:
    await pool.apply(scaling={"minReplicas": 1})
    await eventually(pool.ready, bool, within_seconds=60, what="a pod is ready")
    with pool.url() as (host, port):
        async with streaming(f"ws://{host}:{port}/") as streams:
            streams.want(1)
            await streams.until_live(1)
            try:
                await asyncio.to_thread(cluster.stop_component, API_SERVER)
            except UsageError as error:
                pytest.skip(str(error))
            try:
                streams.want(2)
                outage = asyncio.create_task(asyncio.sleep(AWAY_SECONDS))
                await streams.until_live(2, within_seconds=AWAY_SECONDS)  # newcomers are served as well
                await outage
            finally:
                await asyncio.to_thread(cluster.start_component, API_SERVER)
            assert (streams.live, streams.lost) == (2, 0)
            streams.want(5)
            # What the Deployment is set to is the operator's part. Kubernetes' own parts look for the API server ever more
            # rarely while it is away: after half a minute kube-proxy (the operator's way to it) and the controllers that
            # make pods may need another minute each.
            await eventually(
                lambda: replicas_or_none(pool),
                lambda seen: (seen or 0) >= 3,
                within_seconds=120,
                what="it scales again",
            )
            report = await streams.end()
    assert_nothing_lost(report)


async def replicas_or_none(pool: Pool) -> int | None:
    """The API server may not serve everything yet."""
    try:
        return await pool.replicas()
    except AssertionError:
        return None


async def test_a_pool_can_be_deleted_while_no_operator_runs(pool: Pool, kube: Kube, operator: str) -> None:
    """Owner references do it: no finalizer waits for anybody."""
    await pool.apply(scaling={"minReplicas": 1})
    await eventually(pool.ready, bool, within_seconds=60, what="a pod is ready")
    manifest = await kube.get("ASRPool", pool.namespace, pool.name)
    assert manifest is not None
    assert not manifest["metadata"].get("finalizers")
    deployment = await kube.get("Deployment", operator, "asrpool-operator")
    assert deployment is not None
    replicas: dict[str, Any] = {"spec": {"replicas": deployment["spec"]["replicas"]}}
    await kube.merge("Deployment", operator, "asrpool-operator", {"spec": {"replicas": 0}}, "scale")
    try:
        await eventually(
            lambda: operator_pods(kube, operator), lambda pods: not pods, within_seconds=60, what="no operator runs"
        )
        await pool.delete()
        assert await pool.remains() == []
    finally:
        await kube.merge("Deployment", operator, "asrpool-operator", replicas, "scale")
