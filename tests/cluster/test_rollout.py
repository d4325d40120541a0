"""An edit of the pool while people talk."""

from __future__ import annotations

from tests.cluster.pool import Pool
from tests.cluster.streams import assert_nothing_lost, streaming
from tests.cluster.waiting import eventually


async def test_an_edit_replaces_the_pods_and_every_stream_ends_on_the_pod_it_began_on(pool: Pool) -> None:
    await pool.apply(scaling={"minReplicas": 2})
    old = await eventually(pool.ready, lambda names: len(names) == 2, within_seconds=60, what="two pods are ready")
    with pool.url() as (host, port):
        async with streaming(f"ws://{host}:{port}/") as streams:
            streams.want(3)
            await streams.until_live(3)
            await pool.edit(worker={"podTemplate": {"metadata": {"annotations": {"edited": "yes"}}}})

            await eventually(
                pool.ready,
                lambda names: len(names) >= 2 and not set(names) & set(old),
                within_seconds=90,
                what="new pods are ready, old ones were told to go",
            )
            streams.want(4)
            await streams.until_live(4)
            remaining = {pod["metadata"]["name"] for pod in await pool.workers()}
            assert remaining & set(old), "old pods stay for as long as somebody talks to them"
            report = await streams.end()
    assert_nothing_lost(report)
    answered = {pod for stream in report.streams for pod in stream.pods}
    assert answered - set(old), "the newcomer was answered by a new pod"

    async def left() -> set[str]:
        return {pod["metadata"]["name"] for pod in await pool.workers()} & set(old)

    await eventually(left, lambda names: not names, within_seconds=60, what="the old pods go when they are empty")
