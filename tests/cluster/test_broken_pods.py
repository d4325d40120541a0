"""Pods that cannot run: the pool says which and why, keeps its old pods, and heals when the spec does."""

from __future__ import annotations

import pytest

from tests.cluster.pool import SPEC, Pool
from tests.cluster.streams import assert_nothing_lost, streaming
from tests.cluster.waiting import eventually

GOOD_IMAGE = None


@pytest.mark.parametrize(
    ("broken", "mended", "words"),
    [
        pytest.param(
            {"worker": {"image": "asrpool.invalid/none:0"}},
            {"worker": {"image": GOOD_IMAGE}},
            "asrpool.invalid/none:0",
            id="image",
        ),
        pytest.param(
            {"models": {"online": "/models/none"}},
            {"models": {"online": SPEC["models"]["online"]}},
            "/models/none",
            id="model",
        ),
    ],
)
async def test_an_edit_that_cannot_run_keeps_the_old_pods_and_their_streams(
    pool: Pool, broken: dict[str, dict[str, str]], mended: dict[str, dict[str, str]], words: str
) -> None:
    await pool.apply(scaling={"minReplicas": 1})
    old = await eventually(pool.ready, bool, within_seconds=60, what="a pod is ready")
    with pool.url() as (host, port):
        async with streaming(f"ws://{host}:{port}/") as streams:
            streams.want(1)
            await streams.until_live(1)
            await pool.edit(**broken)
            progressing = await pool.until_condition(
                "Progressing", lambda condition: condition.get("reason") == "PodsFailing"
            )
            assert words in progressing["message"]
            assert (await pool.condition("Ready"))["status"] == "True", "the old pod serves"
            assert await pool.ready() == old
            events = await eventually(
                pool.events, lambda reasons: "PodsFailing" in reasons, within_seconds=10, what="an Event says so"
            )
            assert events
            await pool.edit(**mended)
            await pool.until_condition("Progressing", lambda condition: condition.get("reason") != "PodsFailing")
            report = await streams.end()
    assert_nothing_lost(report)
