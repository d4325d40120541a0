"""A worker that is killed costs its own streams, at once, and nobody else's."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from devcluster.clusters import EmbeddedCluster
from devcluster.target import Cluster
from tests.cluster.pool import Pool
from tests.cluster.streams import streaming
from tests.cluster.waiting import eventually


async def test_its_streams_end_at_once_newcomers_go_elsewhere_and_the_pool_heals(pool: Pool, cluster: Cluster) -> None:
    if not isinstance(cluster, EmbeddedCluster):
        pytest.skip("only the devcluster lets us send SIGKILL to a container's process")
    await pool.apply(scaling={"minReplicas": 2})
    await eventually(pool.ready, lambda names: len(names) == 2, within_seconds=60, what="two pods are ready")
    with pool.url() as (host, port):
        async with streaming(f"ws://{host}:{port}/") as streams:
            streams.want(3)
            await streams.until_live(3)
            victim = (await pool.workers())[0]
            container = victim["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
            await asyncio.to_thread(kill_container, container)

            async def lost() -> int:
                return streams.lost

            await eventually(lost, bool, within_seconds=10, what="its streams are told")
            await streams.until_live(3)
            await eventually(
                pool.ready, lambda names: len(names) == 2, within_seconds=60, what="the pool is whole again"
            )
            report = await streams.end()
    assert 1 <= report.lost <= 2, "a pod holds two streams at most"
    assert report.sessions - report.lost >= 3


def kill_container(container: str) -> None:
    """SIGKILL the first process of a container, from the node."""
    command = (sys.executable, "-m", "devcluster", "exec", "--", "ctr", "--namespace", "k8s.io", "task", "kill")
    subprocess.run([*command, "--signal", "SIGKILL", container], check=True, capture_output=True, text=True)
