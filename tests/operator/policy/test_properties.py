"""What holds for `decide()` on any snapshot whatever."""

from __future__ import annotations

import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from asrpool_operator.api import ASRPoolSpec
from asrpool_operator.plan import Annotate, Drain, Scale, Undrain, plan
from asrpool_operator.policy import Memory, decide
from asrpool_operator.policy.decision import DemandPoint, Recommendation, ReplicaChange
from asrpool_operator.policy.view import EMPTY_COST, View
from asrpool_operator.snapshot import GatewaySnapshot, PodPhase, PoolSnapshot, WorkerSnapshot, WorkerStatus
from tests.operator.policy.builders import NOW, spec

times = st.one_of(st.floats(NOW - 4000, NOW), st.just(NOW), st.floats(NOW - 10, NOW))


@st.composite
def statuses(draw: st.DrawFn) -> WorkerStatus:
    active = draw(st.integers(0, 6))
    return WorkerStatus(
        scraped_unix_seconds=draw(times),
        active=active,
        capacity=draw(st.integers(0, 4)),
        configured_capacity=4,
        draining=draw(st.booleans()),
        ages_seconds=tuple(draw(st.lists(st.floats(0, 1e6), max_size=active))),
        held_ids=draw(st.integers(0, 2)),
        partial_ms=draw(st.none() | st.floats(0, 5000)),
        latency_samples=draw(st.integers(0, 50)),
        ended_count=draw(st.integers(0, 100)),
        ended_seconds_sum=draw(st.floats(0, 1e5)),
        ended_seconds_sq_sum=draw(st.floats(0, 1e8)),
    )


@st.composite
def snapshots(draw: st.DrawFn) -> PoolSnapshot:
    phases = [draw(st.sampled_from(PodPhase)) for _ in range(draw(st.integers(0, 6)))]
    workers = tuple(
        WorkerSnapshot(
            name=f"w{index}",
            phase=phase,
            created_unix_seconds=draw(times),
            ready_unix_seconds=draw(st.none() | times),
            template_hash=draw(st.sampled_from(["t1", "t1", "t1", "t2"])),
            draining_since_unix_seconds=draw(st.none() | times),
            deletion_cost=draw(st.sampled_from([0, -1000, EMPTY_COST, 7])),
            status=None if phase is PodPhase.UNSCHEDULED else draw(st.none() | statuses()),
        )
        for index, phase in enumerate(phases)
    )
    return PoolSnapshot(
        name="p",
        namespace="n",
        replicas=draw(st.integers(0, 8)),
        deployment_exists=draw(st.booleans()),
        workers=workers,
        gateway=GatewaySnapshot(
            ready_replicas=draw(st.integers(0, 2)),
            scraped_unix_seconds=draw(st.none() | times),
            held=draw(st.integers(0, 30)),
            queued=draw(st.integers(0, 30)),
        ),
    )


@st.composite
def memories(draw: st.DrawFn) -> Memory:
    moments = sorted(draw(st.lists(times, max_size=5)))
    return Memory(
        demand=tuple(DemandPoint(unix_seconds=moment, sessions=draw(st.integers(0, 50))) for moment in moments),
        recommendations=tuple(
            Recommendation(unix_seconds=moment, replicas=draw(st.integers(0, 10))) for moment in moments
        ),
        changes=tuple(ReplicaChange(unix_seconds=moment, delta=draw(st.integers(-5, 5))) for moment in moments),
        cold_starts_seconds=tuple(draw(st.lists(st.floats(0, 600), max_size=3))),
        learnt_sessions_per_pod=draw(st.none() | st.floats(1, 4)),
        learnt_unix_seconds=draw(st.none() | times),
        hot_pods=tuple(draw(st.lists(st.sampled_from(["w0", "w1", "gone"]), max_size=2, unique=True))),
        mean_session_seconds=draw(st.none() | st.floats(1, 4000)),
        last_busy_unix_seconds=draw(st.none() | times),
    )


@st.composite
def specs(draw: st.DrawFn) -> ASRPoolSpec:
    low = draw(st.integers(0, 3))
    scaling: dict[str, Any] = {
        "minReplicas": low,
        "maxReplicas": draw(st.integers(max(low, 1), 10)),
        "targetUtilization": draw(st.sampled_from([0.5, 0.9, 1.0])),
        "buffer": draw(st.sampled_from([0, 3, "20%"])),
        "drainSeconds": draw(st.sampled_from([60, 14400])),
    }
    if draw(st.booleans()):
        scaling["latency"] = {"milliseconds": 800}
    if draw(st.booleans()):
        scaling["windows"] = {"stableSeconds": 60}
    if draw(st.booleans()):
        policy = {"type": draw(st.sampled_from(["Pods", "Percent"])), "value": 1, "periodSeconds": 30}
        scaling["behavior"] = {
            "scaleUp": {"policies": [policy], "tolerance": 0.1},
            "scaleDown": {"policies": [policy], "stabilizationWindowSeconds": 0},
        }
    return spec(4, **scaling)


@settings(max_examples=400, deadline=None)
@given(specs(), snapshots(), memories())
def test_no_stream_is_in_danger(made: ASRPoolSpec, snapshot: PoolSnapshot, memory: Memory) -> None:
    """Whatever was seen: only finished pods are removed, and every other pod that may carry a stream has a place."""
    decision = decide(made, snapshot, memory, NOW)
    view = View(snapshot, NOW)
    workers = {worker.name: worker for worker in snapshot.workers}

    for name in decision.remove:
        worker = workers[name]
        since = worker.draining_since_unix_seconds
        expired = since is not None and NOW - since > made.scaling.drain_seconds
        assert worker.deletion_cost <= EMPTY_COST
        assert expired or not view.busy(worker)
    assert set(decision.drain) <= {worker.name for worker in view.serving}
    assert set(decision.undrain) <= {worker.name for worker in view.draining}
    if decision.replicas < snapshot.replicas:
        kept = [worker for worker in (*view.serving, *view.draining) if worker.name not in decision.remove]
        assert decision.replicas >= sum(view.busy(worker) for worker in kept)
        assert all(not view.busy(worker) for worker in (*view.coming, *view.failing))


@settings(max_examples=300, deadline=None)
@given(specs(), snapshots(), memories())
def test_the_replica_set_takes_only_what_was_meant(made: ASRPoolSpec, snapshot: PoolSnapshot, memory: Memory) -> None:
    """Where `replicas` is lowered below the pods there are, the ReplicaSet's own order takes no pod with streams."""
    decision = decide(made, snapshot, memory, NOW)
    view = View(snapshot, NOW)
    if view.mixed or made.scaling.paused or decision.replicas >= snapshot.replicas:
        return
    # The order of kubernetes pkg/controller, ActivePodsWithRanks, as far as the snapshot shows it.
    ranks = {PodPhase.UNSCHEDULED: 0, PodPhase.FAILING: 1, PodPhase.STARTING: 1, PodPhase.READY: 2}
    standing = [worker for worker in snapshot.workers if worker.phase is not PodPhase.TERMINATING]
    order = sorted(standing, key=lambda worker: (ranks[worker.phase], worker.deletion_cost))
    for worker in order[: max(0, len(standing) - decision.replicas)]:
        since = worker.draining_since_unix_seconds
        expired = since is not None and NOW - since > made.scaling.drain_seconds
        assert expired or not view.busy(worker)


@settings(max_examples=200, deadline=None)
@given(specs(), snapshots(), memories())
def test_the_same_question_has_the_same_answer(made: ASRPoolSpec, snapshot: PoolSnapshot, memory: Memory) -> None:
    """Asking again with what the first answer left changes nothing."""
    first = decide(made, snapshot, memory, NOW)
    second = decide(made, snapshot, first.memory, NOW)

    if made.scaling.behavior.scale_up.policies or made.scaling.windows.stable_seconds:
        return  # what was granted once within a period, or averaged over it, is not granted twice
    assert (second.replicas, second.drain, second.undrain, second.remove) == (
        first.replicas,
        first.drain,
        first.undrain,
        first.remove,
    )


@settings(max_examples=200, deadline=None)
@given(specs(), snapshots(), memories(), st.integers(1, 40))
def test_more_demand_never_asks_for_fewer_pods(
    made: ASRPoolSpec, snapshot: PoolSnapshot, memory: Memory, more: int
) -> None:
    gateway = snapshot.gateway.model_copy(update={"held": snapshot.gateway.held + more})
    busier = snapshot.model_copy(update={"gateway": gateway})

    assert decide(made, busier, memory, NOW).desired_replicas >= decide(made, snapshot, memory, NOW).desired_replicas


@settings(max_examples=200, deadline=None)
@given(specs(), snapshots(), memories())
def test_the_wish_stays_within_its_bounds(made: ASRPoolSpec, snapshot: PoolSnapshot, memory: Memory) -> None:
    """min ≤ desired ≤ max, unless a rollout keeps pods for the time being."""
    decision = decide(made, snapshot, memory, NOW)
    view = View(snapshot, NOW)

    assert decision.desired_replicas >= made.scaling.min_replicas
    if not (view.rolling and decision.desired_replicas == view.current):
        assert decision.desired_replicas <= made.scaling.max_replicas
    standing = len(view.serving) + len(view.draining)
    assert decision.replicas <= max(made.scaling.max_replicas, snapshot.replicas, standing)


@settings(max_examples=200, deadline=None)
@given(specs(), snapshots(), memories())
def test_missing_numbers_never_scale_in(made: ASRPoolSpec, snapshot: PoolSnapshot, memory: Memory) -> None:
    """Not one fresh number: no pod drains, none is removed, and the wish does not fall."""
    old = NOW - 100
    workers = tuple(
        worker.model_copy(
            update={"status": worker.status and worker.status.model_copy(update={"scraped_unix_seconds": old})}
        )
        for worker in snapshot.workers
    )
    gateway = snapshot.gateway.model_copy(update={"scraped_unix_seconds": None})
    blind = snapshot.model_copy(update={"workers": workers, "gateway": gateway})
    decision = decide(made, blind, memory, NOW)

    assert decision.drain == ()
    assert decision.desired_replicas >= min(View(blind, NOW).current, made.scaling.max_replicas)
    if snapshot.workers:
        assert not decision.metrics_available or all(w.phase is not PodPhase.READY for w in workers)


@settings(max_examples=200, deadline=None)
@given(specs(), snapshots(), memories())
def test_a_plan_says_what_the_decision_says(made: ASRPoolSpec, snapshot: PoolSnapshot, memory: Memory) -> None:
    """Pods are asked for before, and given up after, everything else; a drain is announced before it is asked for."""
    decision = decide(made, snapshot, memory, NOW)
    actions = plan(snapshot, decision)

    for index, action in enumerate(actions):
        if isinstance(action, Scale):
            assert index == (0 if action.replicas > action.before else len(actions) - 1)
        if isinstance(action, Drain | Undrain):
            announced = [step.pod for step in actions[:index] if isinstance(step, Annotate)]
            worker = next(worker for worker in snapshot.workers if worker.name == action.pod)
            was_announced = (worker.draining_since_unix_seconds is not None) == isinstance(action, Drain)
            assert action.pod in announced or was_announced


@settings(max_examples=200, deadline=None)
@given(specs(), snapshots(), memories())
def test_memory_and_numbers_stay_finite(made: ASRPoolSpec, snapshot: PoolSnapshot, memory: Memory) -> None:
    decision = decide(made, snapshot, memory, NOW)

    assert all(math.isfinite(value) for value in decision.inputs.values())
    assert Memory.model_validate_json(decision.memory.model_dump_json()) == decision.memory
