"""One pool, tick by tick: what is written, and in which order."""

from __future__ import annotations

import base64

import pytest

from asrpool_operator.cluster.protocol import ObjectRef
from asrpool_operator.errors import (
    ForbiddenError,
    RejectedError,
)
from tests.operator.reconcile.world import SPEC, World, busy_world, spec


async def test_a_new_pool_gets_its_objects_its_secret_and_no_pod() -> None:
    world = World()
    await world.tick(2)
    kinds = {ref.kind for ref in world.cluster.stored}
    assert {"Deployment", "StatefulSet", "ConfigMap", "Service", "Secret", "PodDisruptionBudget"} <= kinds
    assert world.replicas == 0
    assert world.pods() == []
    assert world.status["observedGeneration"] == 1
    assert world.condition("Ready")["reason"] == "ScaledToZero"
    assert world.condition("Applied")["status"] == "True"
    secret = world.cluster.one("Secret", "p-admin")
    assert secret["metadata"]["ownerReferences"][0]["uid"] == world.pool["metadata"]["uid"]


async def test_quiet_ticks_write_nothing() -> None:
    world = World()
    await world.tick(3)
    before = len(world.cluster.calls)
    await world.tick(5)
    assert world.cluster.calls[before:] == []


async def test_streams_at_the_gateway_raise_replicas_in_the_very_tick_that_sees_them() -> None:
    world = World()
    await world.tick(2)
    world.waiting(9)
    await world.operator.tick(world.pool)
    assert world.replicas >= 3
    assert world.status["lastDecision"]["from"] == 0
    assert [event["reason"] for event in world.cluster.events if event["reason"] == "ScaledOut"] == ["ScaledOut"]


async def test_scale_in_announces_drains_and_only_then_lowers_replicas() -> None:
    world = await busy_world()
    before = len(world.cluster.calls)
    await world.tick(12)
    assert len(world.pods()) == 1
    assert world.killed_with_streams == []
    writes = [f"{verb} {what}" for verb, what in world.cluster.calls[before:] if verb in ("annotate", "scale")]
    assert writes[0].startswith("annotate Pod"), "deletion cost and drain are on record before anything else"
    assert writes.index("scale Deployment p-worker") > 0
    assert [call.split()[0] for call in world.ports.calls][:1] == ["drain"]


async def test_node_autoscalers_are_asked_to_leave_busy_pods_alone_until_they_are_finished() -> None:
    world = await busy_world()
    await world.tick()

    def asked(pod: str) -> tuple[str | None, str | None]:
        annotations = world.cluster.one("Pod", pod)["metadata"].get("annotations", {})
        return (
            annotations.get("cluster-autoscaler.kubernetes.io/safe-to-evict"),
            annotations.get("karpenter.sh/do-not-disrupt"),
        )

    assert {asked(pod) for pod in world.pods()} == {("false", "true")}
    world.cluster.refuse = lambda verb, _ref: RejectedError("not now") if verb == "scale" else None
    await world.tick(8)
    busy, *finished = world.pods()
    assert asked(busy) == ("false", "true")
    assert {asked(pod) for pod in finished} == {(None, None)}


async def test_a_draining_pod_takes_newcomers_again_when_they_come() -> None:
    world = await busy_world()
    keep = world.pods()[0]
    for pod in world.pods()[1:]:
        world.worker(pod).active = 1
    world.worker(keep).active = 1
    await world.tick(8)
    assert any(worker.draining for worker in world.ports.workers.values())
    pods = world.pods()
    world.waiting(8)
    await world.tick(2)
    assert set(pods) <= set(world.pods()), "nobody was sent away"
    assert not all(worker.draining for worker in world.ports.workers.values())
    assert any(call.startswith("undrain") for call in world.ports.calls)
    assert world.killed_with_streams == []


async def test_an_edit_applies_again_and_leaves_replicas_as_they_are() -> None:
    world = await busy_world()
    replicas = world.replicas
    world.edit(spec(worker={"image": "asrpool/worker:new"}))
    await world.operator.tick(world.pool)
    deployment = world.cluster.one("Deployment", "p-worker")
    assert deployment["spec"]["template"]["spec"]["containers"][0]["image"] == "asrpool/worker:new"
    assert deployment["spec"]["replicas"] == replicas


async def test_a_deleted_object_is_made_again_and_a_changed_one_put_right() -> None:
    world = World()
    await world.tick(2)
    del world.cluster.stored[ObjectRef("ConfigMap", "default", "p-gateway")]
    await world.tick()
    assert world.cluster.one("ConfigMap", "p-gateway")
    world.pass_time(60)
    deployment = world.cluster.one("Deployment", "p-worker")
    deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 1
    world.cluster.put(deployment)
    await world.tick()
    deployment = world.cluster.one("Deployment", "p-worker")
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > 1


async def test_what_the_spec_no_longer_asks_for_is_deleted() -> None:
    world = World(spec() | {"ingress": {"host": "asr.example.org"}})
    await world.tick(2)
    assert world.cluster.one("Ingress", "p-gateway")
    world.edit(SPEC)
    await world.tick()
    assert not [ref for ref in world.cluster.stored if ref.kind == "Ingress"]


async def test_a_secret_that_was_deleted_is_made_again_with_the_token_in_use() -> None:
    world = World()
    await world.tick(2)
    token = base64.b64decode(world.cluster.one("Secret", "p-admin")["data"]["token"]).decode()
    world.ports.token = token
    del world.cluster.stored[ObjectRef("Secret", "default", "p-admin")]
    world.pass_time(400)
    await world.tick()
    assert base64.b64decode(world.cluster.one("Secret", "p-admin")["data"]["token"]).decode() == token


async def test_a_new_operator_uses_the_token_that_is_there() -> None:
    world = World()
    await world.tick(2)
    before = world.cluster.one("Secret", "p-admin")["data"]["token"]
    world.start_operator()
    await world.tick(2)
    assert world.cluster.one("Secret", "p-admin")["data"]["token"] == before


@pytest.mark.parametrize(
    ("verb", "kind"), [("get", "ASRPool"), ("get", "Secret"), ("create", "Secret"), ("scale", "Deployment")]
)
async def test_a_missing_right_is_told_as_a_condition_and_once_as_an_event(verb: str, kind: str) -> None:
    world = World()
    world.cluster.refuse = lambda did, ref: (
        ForbiddenError(f"may not {did}") if (did, ref.kind) == (verb, kind) else None
    )
    for streams in (0, 3, 3):
        world.waiting(streams)
        try:
            await world.tick()
        except ForbiddenError:
            world.settle()
    applied = world.condition("Applied")
    assert (applied["status"], applied["reason"]) == ("False", "ApplyFailed")
    assert f"may not {verb}" in applied["message"]
    assert [event["reason"] for event in world.cluster.events].count("ApplyFailed") == 1
    world.cluster.refuse = lambda _verb, _ref: None
    world.pass_time(5)
    await world.tick(2)
    assert world.condition("Applied")["status"] == "True"


async def test_a_secret_that_was_emptied_under_a_running_pool_does_not_stop_its_scaling() -> None:
    world = await busy_world()
    secret = world.cluster.one("Secret", "p-admin")
    secret["data"] = {}
    world.cluster.put(secret)
    world.edit(spec(sessions={"perPod": 3}))
    await world.tick(12)
    assert "delete it" in world.condition("Applied")["message"]
    assert len(world.pods()) == 1


async def test_a_pod_that_may_not_be_annotated_is_not_drained_and_holds_up_no_other() -> None:
    world = await busy_world()
    stuck = world.pods()[-1]
    world.cluster.refuse = lambda verb, ref: (
        RejectedError("denied by a webhook") if verb == "annotate" and ref.name == stuck else None
    )
    await world.tick(12)
    assert not world.worker(stuck).draining, "a drain that is not on record would be forgotten"
    assert len(world.pods()) == 2
    assert stuck in world.condition("Applied")["message"]
    assert world.killed_with_streams == []


async def test_counts_that_change_all_the_time_are_written_now_and_then_only() -> None:
    world = await busy_world()
    writes_before = world.cluster.calls.count(("patch_status", "ASRPool p"))
    for active in (1, 2, 3, 2, 1, 2):
        world.worker(world.pods()[0]).active = active
        await world.operator.tick(world.pool)
        world.pass_time(0.5)
    writes = world.cluster.calls.count(("patch_status", "ASRPool p")) - writes_before
    assert writes <= 4
