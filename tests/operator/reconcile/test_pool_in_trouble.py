"""One pool when things go wrong: a crash, an outage, a lost lease, silence, a spec that cannot be read."""

from __future__ import annotations

import pytest

from asrpool_operator.cluster.protocol import ObjectRef
from asrpool_operator.errors import (
    ClusterError,
    ClusterUnavailableError,
    NotLeaderError,
    RejectedError,
    SpecError,
)
from asrpool_operator.reconcile.errors import PoolGoneError
from tests.operator.reconcile.world import SPEC, World, busy_world, spec


@pytest.mark.parametrize("crash_at", range(1, 14))
async def test_a_crash_at_any_write_of_a_scale_in_ends_no_stream_and_a_new_operator_finishes_it(crash_at: int) -> None:
    world = await busy_world()
    writes = 0

    def crash(verb: str, _ref: ObjectRef) -> ClusterError | None:
        nonlocal writes
        is_write = verb not in ("get", "create")
        writes += is_write
        return ClusterUnavailableError("killed here") if is_write and writes == crash_at else None

    world.cluster.refuse = crash
    for _ in range(20):
        try:
            await world.tick()
        except ClusterUnavailableError:
            world.settle()
            world.start_operator()
    assert len(world.pods()) == 1
    assert world.worker(world.pods()[0]).active == 3
    assert not world.worker(world.pods()[0]).draining
    assert world.killed_with_streams == []


async def test_a_restart_in_mid_drain_keeps_draining_and_removes_nobody_with_streams() -> None:
    world = await busy_world()
    for pod in world.pods():
        world.worker(pod).active = 1
    await world.tick(8)
    draining = [ip for ip, worker in world.ports.workers.items() if worker.draining]
    assert draining
    world.start_operator()
    await world.tick(4)
    assert [ip for ip, worker in world.ports.workers.items() if worker.draining] == draining
    assert len(world.pods()) >= 3
    for ip in draining:
        world.ports.workers[ip].active = 0
    await world.tick(10)
    assert world.killed_with_streams == []
    assert not any(ip in world.ports.workers for ip in draining)


async def test_a_worker_that_does_not_answer_is_never_taken_away() -> None:
    world = await busy_world()
    for worker in world.ports.workers.values():
        worker.reachable = False
    count = len(world.pods())
    await world.tick(30)
    assert len(world.pods()) == count
    assert world.condition("MetricsAvailable")["status"] == "False"


async def test_a_gateway_pod_on_its_way_out_that_no_longer_answers_does_not_hold_the_pool_up() -> None:
    world = await busy_world()
    world.add_gateway("p-gateway-1", "10.0.1.2")
    await world.tick()
    gateway = world.cluster.one("Pod", "p-gateway-1")
    gateway["metadata"]["deletionTimestamp"] = "2027-01-15T09:00:00Z"
    world.cluster.put(gateway)
    del world.ports.gateways["10.0.1.2"]
    await world.tick(14)
    assert len(world.pods()) == 1
    assert world.condition("MetricsAvailable")["status"] == "True"


async def test_a_gateway_that_does_not_answer_keeps_all_pods() -> None:
    """Who knows how many wait there."""
    world = await busy_world()
    pods = set(world.pods())
    del world.ports.gateways["10.0.1.1"]
    world.pass_time(10)
    await world.tick(20)
    assert pods <= set(world.pods())
    assert world.condition("MetricsAvailable")["status"] == "False"


async def test_an_api_server_that_is_down_changes_nothing_and_is_forgotten_when_it_is_back() -> None:
    world = await busy_world()
    world.cluster.unavailable, world.cluster.live = True, False
    calls = list(world.ports.calls)
    for _ in range(30):
        with pytest.raises(ClusterUnavailableError):
            await world.operator.tick(world.pool)
        world.pass_time(1)
    assert world.ports.calls == calls, "no worker is told to drain while it cannot be put on record"
    world.cluster.unavailable, world.cluster.live = False, True
    await world.tick(12)
    assert len(world.pods()) == 1
    assert world.killed_with_streams == []


async def test_an_operator_that_starts_while_the_view_is_empty_does_not_take_that_for_a_fact() -> None:
    world = await busy_world()
    pods = world.pods()
    world.start_operator()
    world.cluster.live = False
    before = list(world.cluster.calls)
    with pytest.raises(ClusterUnavailableError, match="listed"):
        await world.operator.tick(world.pool)
    assert (world.cluster.calls, world.pods()) == (before, pods)


async def test_a_replica_that_lost_the_lease_stops_between_two_writes() -> None:
    world = await busy_world()

    def lose(verb: str, _ref: ObjectRef) -> None:
        world.leading = world.leading and verb != "annotate"

    world.cluster.refuse = lose
    calls = list(world.ports.calls)
    with pytest.raises(NotLeaderError):
        await world.tick(12)
    assert world.ports.calls == calls, "the drain after the annotation is the next leader's"


async def test_an_object_that_the_api_server_refuses_is_named_and_holds_up_nobody_else() -> None:
    world = World()
    world.cluster.refuse = lambda verb, ref: (
        RejectedError("spec.template: Invalid value") if (verb, ref.kind) == ("apply", "Deployment") else None
    )
    await world.tick(2)
    assert world.cluster.one("StatefulSet", "p-gateway")
    applied = world.condition("Applied")
    assert (applied["status"], applied["reason"]) == ("False", "ApplyFailed")
    assert "Deployment p-worker" in applied["message"]
    assert "ApplyFailed" in [event["reason"] for event in world.cluster.events]
    world.cluster.refuse = lambda _verb, _ref: None
    world.pass_time(5)
    await world.tick(2)
    assert world.condition("Applied")["status"] == "True"


async def test_a_pool_that_is_gone_unnoticed_gets_nothing_made_for_it() -> None:
    world = World()
    body = world.pool
    del world.cluster.stored[ObjectRef("ASRPool", "default", "p")]
    with pytest.raises(PoolGoneError):
        await world.operator.tick(body)
    assert not [ref for ref in world.cluster.stored if ref.kind == "Deployment"]


async def test_a_spec_that_slipped_past_an_older_schema_is_a_condition_and_leaves_the_pods_alone() -> None:
    world = await busy_world()
    pods = world.pods()
    world.edit(spec(scaling={"maxReplicas": -1}))
    with pytest.raises(SpecError):
        await world.operator.tick(world.pool)
    ready = world.condition("Ready")
    assert (ready["status"], ready["reason"]) == ("False", "InvalidSpec")
    assert "maxReplicas" in ready["message"]
    assert world.pods() == pods
    world.edit(SPEC)
    await world.tick(2)
    assert world.condition("Ready")["reason"] != "InvalidSpec"


async def test_a_secret_without_a_token_says_what_to_do() -> None:
    world = World()
    world.cluster.put(
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "p-admin", "namespace": "default"}, "data": {}}
    )
    for _ in range(3):
        with pytest.raises(RejectedError, match="delete it"):
            await world.operator.tick(world.pool)
    assert world.condition("Applied")["status"] == "False"
    assert "delete it" in world.condition("Applied")["message"]
    assert [event["reason"] for event in world.cluster.events] == ["ApplyFailed"]
    del world.cluster.stored[ObjectRef("Secret", "default", "p-admin")]
    await world.tick(2)
    assert world.condition("Applied")["status"] == "True"
