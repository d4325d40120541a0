"""From zero to a crowd and back, on a real cluster: held, served, drained, undrained, never cut."""

from __future__ import annotations

import asyncio
import time

from tests.cluster.pool import DRAINING_SINCE, Pool
from tests.cluster.streams import assert_nothing_lost, streaming
from tests.cluster.waiting import eventually

SCALE_OUT_SECONDS = 2.0


async def test_a_crowd_comes_goes_and_comes_back_and_no_stream_is_cut(pool: Pool) -> None:
    """The first streams are held at zero and served; pods that empty drain first; returning demand undrains them."""
    await pool.apply()
    await pool.until_condition("Ready", lambda ready: ready.get("reason") == "ScaledToZero")
    watch = asyncio.create_task(removed_without_a_drain(pool))
    with pool.url() as (host, port):
        async with streaming(f"ws://{host}:{port}/") as streams:
            began = time.monotonic()
            streams.want(5)
            await pool.until_replicas(lambda replicas: replicas >= 3, within_seconds=20, what="replicas are raised")
            took_seconds = time.monotonic() - began
            await streams.until_live(5)
            streams.want(1)
            draining = await eventually(pool.draining, bool, within_seconds=40, what="pods that empty drain")
            streams.want(5)
            await streams.until_live(5)
            await eventually(
                pool.draining,
                lambda names: set(names) != set(draining),
                within_seconds=20,
                what="a drained pod returns",
            )
            report = await streams.end()
    await pool.until_replicas(lambda replicas: replicas == 0, within_seconds=60, what="back to zero")
    await eventually(pool.workers, lambda pods: not pods, within_seconds=60, what="all pods are gone")
    watch.cancel()
    unannounced = await asyncio.gather(watch, return_exceptions=True)
    assert_nothing_lost(report)
    assert not isinstance(unannounced[0], AssertionError), unannounced
    assert took_seconds < SCALE_OUT_SECONDS, f"from the burst to the raised replicas: {took_seconds:.1f} s"
    assert {"ScaledOut", "DrainStarted", "ScaledIn", "Undrained"} <= set(await pool.events())


async def removed_without_a_drain(pool: Pool) -> None:
    """Fails if a pod goes whose drain was not on record before."""
    announced: set[str] = set()
    while True:
        for pod in await pool.workers():
            metadata = pod["metadata"]
            if "deletionTimestamp" not in metadata and DRAINING_SINCE in (metadata.get("annotations") or {}):
                announced.add(metadata["name"])
            if "deletionTimestamp" in metadata and was_ready(pod):
                assert metadata["name"] in announced, f"{metadata['name']} goes, and its drain was never announced"
        await asyncio.sleep(0.1)


def was_ready(pod: dict[str, object]) -> bool:
    """Whether a container of it ever became ready; one that never was could not carry a stream."""
    status = pod.get("status")
    assert isinstance(status, dict)
    return any(container.get("started") for container in status.get("containerStatuses") or [])
