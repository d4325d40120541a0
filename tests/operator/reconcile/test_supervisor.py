"""Pools' tasks: started while leading, woken by edits, ended with their pool, and never all by one bug."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from asrpool_operator.cluster.protocol import Manifest
from asrpool_operator.errors import ClusterUnavailableError
from asrpool_operator.metrics import Metrics
from asrpool_operator.reconcile.errors import PoolGoneError
from asrpool_operator.reconcile.supervisor import Supervisor
from asrpool_operator.snapshot import PoolSnapshot
from tests.operator.waiting import until


def body(name: str = "p", *, uid: str = "1", generation: int = 1) -> Manifest:
    return {"metadata": {"name": name, "namespace": "n", "uid": uid, "generation": generation}}


class Ticks:
    """Makes tickers that write down what they were given, and fail as told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.fail: Callable[[Manifest], Exception | None] = lambda _body: None
        self.made = 0

    def make(self, _body: Manifest) -> Ticks:
        self.made += 1
        return self

    snapshot: PoolSnapshot | None = None

    async def tick(self, body: Manifest) -> None:
        self.seen.append((body["metadata"]["uid"], body["metadata"]["generation"]))
        error = self.fail(body)
        if error is not None:
            raise error


def supervisor(ticks: Ticks, interval_seconds: float = 60.0) -> tuple[Supervisor, Metrics]:
    metrics = Metrics()
    return Supervisor(ticks.make, metrics, interval_seconds), metrics


def value(metrics: Metrics, name: str, **labels: str) -> Any:
    return metrics.registry.get_sample_value(name, labels)


async def test_a_replica_that_does_not_lead_knows_the_pools_but_leaves_them_alone() -> None:
    ticks = Ticks()
    pools, metrics = supervisor(ticks)
    pools.seen(body())
    await asyncio.sleep(0.02)
    assert ticks.seen == []
    assert value(metrics, "asrpool_operator_pools") == 1
    pools.lead(leading=True)
    await until(lambda: ticks.seen == [("1", 1)])
    await pools.close()


async def test_a_new_pool_and_an_edit_are_looked_at_immediately_a_status_change_is_not() -> None:
    ticks = Ticks()
    pools, _ = supervisor(ticks)
    pools.lead(leading=True)
    pools.seen(body())
    await until(lambda: ticks.seen == [("1", 1)])
    pools.seen(body())
    await asyncio.sleep(0.02)
    assert ticks.seen == [("1", 1)]
    pools.seen(body(generation=2))
    await until(lambda: ticks.seen == [("1", 1), ("1", 2)])
    await pools.close()


async def test_losing_the_lease_stops_all_ticks_at_once() -> None:
    ticks = Ticks()
    pools, _ = supervisor(ticks, 0.005)
    pools.lead(leading=True)
    pools.seen(body())
    await until(lambda: len(ticks.seen) > 2)
    pools.lead(leading=False)
    await asyncio.sleep(0)
    count = len(ticks.seen)
    await asyncio.sleep(0.05)
    assert len(ticks.seen) == count
    await pools.close()


async def test_a_pool_made_anew_under_the_same_name_starts_afresh() -> None:
    ticks = Ticks()
    pools, _ = supervisor(ticks)
    pools.lead(leading=True)
    pools.seen(body(uid="1"))
    await until(lambda: ticks.seen == [("1", 1)])
    pools.seen(body(uid="2"))
    await until(lambda: ticks.seen[-1] == ("2", 1))
    assert ticks.made == 2
    pools.gone(body(uid="1"))  # the old one's deletion, heard late
    pools.seen(body(uid="2", generation=2))
    await until(lambda: ticks.seen[-1] == ("2", 2))
    await pools.close()


async def test_a_pool_that_turns_out_to_be_gone_ends_its_task_and_its_metrics() -> None:
    ticks = Ticks()
    ticks.fail = lambda _body: PoolGoneError("gone")
    pools, metrics = supervisor(ticks, 0.005)
    metrics.sessions.labels("n", "p").set(3)
    pools.lead(leading=True)
    pools.seen(body())
    await until(lambda: value(metrics, "asrpool_operator_pools") == 0)
    await asyncio.sleep(0.03)
    assert ticks.seen == [("1", 1)]
    assert value(metrics, "asrpool_operator_sessions", namespace="n", pool="p") is None
    ticks.fail = lambda _body: None
    pools.seen(body(uid="2"))
    await until(lambda: ticks.seen[-1] == ("2", 1))
    await pools.close()


async def test_a_bug_in_one_pools_tick_does_not_touch_the_others() -> None:
    ticks = Ticks()
    ticks.fail = lambda manifest: KeyError("oops") if manifest["metadata"]["name"] == "bad" else None
    pools, metrics = supervisor(ticks, 0.005)
    pools.lead(leading=True)
    pools.seen(body("bad", uid="bad"))
    pools.seen(body("good", uid="good"))
    await until(lambda: ticks.seen.count(("good", 1)) > 3)
    assert value(metrics, "asrpool_operator_ticks_total", result="bug") == 1
    assert ticks.seen.count(("bad", 1)) == 1, "it is retried, but not in a hot loop"
    await pools.close()


async def test_an_api_server_that_is_down_is_retried_every_tick_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    ticks = Ticks()
    ticks.fail = lambda _body: ClusterUnavailableError("down")
    pools, metrics = supervisor(ticks, 0.005)
    pools.lead(leading=True)
    pools.seen(body())
    await until(lambda: len(ticks.seen) > 3)
    assert value(metrics, "asrpool_operator_ticks_total", result="cluster_error") > 2
    assert [record.levelname for record in caplog.records if "down" in record.getMessage()] == ["WARNING"]
    await pools.close()
