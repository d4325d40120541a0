"""Latency sets capacity: hot pods take no newcomers, and what a pod can hold is learnt, down and up again."""

from __future__ import annotations

import random
from typing import Any

import pytest

from asrpool_operator.api import ASRPoolSpec
from asrpool_operator.policy import Memory, decide
from asrpool_operator.policy.latency import PROBE_SECONDS, admitted_sessions, judge_latency
from asrpool_operator.policy.view import View
from asrpool_operator.snapshot import WorkerSnapshot
from tests.operator.policy.builders import NOW, pool, ready, silent, spec
from tests.operator.policy.toy import ToyPool


def target(per_pod: int = 10, **fields: Any) -> ASRPoolSpec:
    return spec(per_pod, latency={"milliseconds": 800, "windowSeconds": 30} | fields)


def worker(name: str, active: int, milliseconds: float | None, **fields: Any) -> WorkerSnapshot:
    given = {
        "capacity": 10,
        "configured_capacity": 10,
        "partial_ms": milliseconds,
        "latency_samples": 50,
        "ages_seconds": (),
    }
    return ready(name, active, status_fields=given | fields)


@pytest.mark.parametrize(
    ("milliseconds", "was_hot", "fields", "hot"),
    [
        pytest.param(500.0, False, {}, False, id="under the target"),
        pytest.param(801.0, False, {}, True, id="over the target"),
        pytest.param(700.0, True, {}, True, id="under it, but not well under it"),
        pytest.param(639.0, True, {}, False, id="well under it again"),
        pytest.param(9000.0, False, {"latency_samples": 3}, False, id="too few samples to say"),
        pytest.param(None, True, {"latency_samples": 0}, False, id="nothing to be slow with"),
        pytest.param(100.0, True, {"scraped_unix_seconds": NOW - 60}, True, id="unanswered, so as it was"),
        pytest.param(9000.0, False, {"scraped_unix_seconds": NOW - 60}, False, id="an old number"),
    ],
)
def test_hot(milliseconds: float | None, was_hot: bool, fields: dict[str, Any], hot: bool) -> None:
    view = View(pool(worker("a", 5, milliseconds, **fields)), NOW)
    verdict = judge_latency(target(), view, Memory(hot_pods=("a",) if was_hot else ()))

    assert verdict.hot == (("a",) if hot else ())


@pytest.mark.parametrize(
    ("of", "partials", "finals", "hot"),
    [
        ("partial", 50, 1, ("a",)),
        ("partial", 3, 50, ()),
        ("final", 50, 3, ()),
        ("final", 0, 8, ("a",)),
    ],
)
def test_samples_are_counted_of_the_kind_that_is_asked_for(
    of: str, partials: int, finals: int, hot: tuple[str, ...]
) -> None:
    """Hundreds of partials make no percentile of two finals."""
    counts = {"latency_samples": partials + finals, "partial_samples": partials, "final_samples": finals}
    view = View(pool(worker("a", 5, 3000.0, final_ms=3000.0, **counts)), NOW)

    assert judge_latency(target(of=of), view, Memory()).hot == hot


def test_finals_count_where_asked_for() -> None:
    view = View(pool(worker("a", 5, 100.0, final_ms=3000.0)), NOW)

    assert judge_latency(target(), view, Memory()).hot == ()
    assert judge_latency(target(of="final"), view, Memory()).hot == ("a",)


def test_what_a_hot_pod_carried_is_more_than_a_pod_can_hold() -> None:
    verdict = judge_latency(target(), View(pool(worker("a", 8, 900.0), worker("b", 3, 100.0)), NOW), Memory())

    assert verdict.sessions_per_pod == pytest.approx(7.2)
    assert admitted_sessions(View(pool(worker("a", 8, 900.0), worker("b", 3, 100.0)), NOW), verdict) == {"a": 0, "b": 7}


def test_a_latency_that_stays_does_not_compound() -> None:
    """Sessions do not move: a pod hot with eight says nothing new about a capacity learnt from just that."""
    memory, now = Memory(), NOW
    for _ in range(20):
        snapshot = pool(worker("a", 8, 900.0, scraped_unix_seconds=now))
        verdict = judge_latency(target(), View(snapshot, now), memory)
        memory = memory.model_copy(
            update={
                "learnt_sessions_per_pod": verdict.learnt,
                "learnt_unix_seconds": verdict.learnt_unix_seconds,
                "hot_pods": verdict.hot,
            }
        )
        now += 30

    assert memory.learnt_sessions_per_pod == pytest.approx(7.2)


def test_only_a_pod_that_has_just_become_hot_says_what_it_cannot_bear() -> None:
    """Its sessions end while the percentile still looks back: two sessions left say nothing of the eight before."""
    memory = Memory(learnt_sessions_per_pod=7.2, learnt_unix_seconds=NOW - 100, hot_pods=("a",))

    assert judge_latency(target(), View(pool(worker("a", 2, 900.0)), NOW), memory).sessions_per_pod == 7.2
    assert judge_latency(target(), View(pool(worker("b", 5, 900.0)), NOW), memory).sessions_per_pod == 4.5
    assert judge_latency(target(), View(pool(worker("b", 0, 900.0)), NOW), memory).sessions_per_pod == 7.2


@pytest.mark.parametrize(
    ("active", "milliseconds", "since", "after"),
    [
        pytest.param(5, 300.0, 301, 6.5, id="a full pod is cool: a step up"),
        pytest.param(5, 300.0, 299, 6.0, id="not so soon"),
        pytest.param(5, 600.0, 301, 6.0, id="not cool enough"),
        pytest.param(1, 300.0, 301, 6.0, id="not full enough to say"),
        pytest.param(1, 300.0, PROBE_SECONDS + 1, 6.5, id="long without trouble: try"),
    ],
)
def test_learnt_again(active: int, milliseconds: float, since: float, after: float) -> None:
    memory = Memory(learnt_sessions_per_pod=6.0, learnt_unix_seconds=NOW - since)
    verdict = judge_latency(target(), View(pool(worker("a", active, milliseconds)), NOW), memory)

    assert verdict.sessions_per_pod == after


def test_never_more_than_configured_and_forgotten_there() -> None:
    memory = Memory(learnt_sessions_per_pod=9.9, learnt_unix_seconds=NOW - 400)
    verdict = judge_latency(target(), View(pool(worker("a", 9, 100.0)), NOW), memory)

    assert (verdict.sessions_per_pod, verdict.learnt) == (10.0, None)


def test_without_a_target_pods_admit_what_they_are_configured_for() -> None:
    view = View(pool(worker("a", 1, 5000.0, capacity=3), silent("b")), NOW)
    verdict = judge_latency(spec(10), view, Memory(hot_pods=("a",), learnt_sessions_per_pod=3.0))

    assert (verdict.hot, verdict.learnt) == ((), None)
    assert admitted_sessions(view, verdict) == {"a": 10}


def test_hot_pods_raise_the_replicas_by_what_they_cannot_take() -> None:
    """Two hot pods keep their sessions; the two newcomers need one pod, not a multiple of all."""
    memory = Memory(cold_starts_seconds=(0.0,))
    decision = decide(target(), pool(worker("a", 9, 900.0), worker("b", 9, 900.0), waiting=2), memory, NOW)

    assert decision.desired_replicas == 3
    assert decision.capacities == {"a": 0, "b": 0}


def test_a_pool_whose_pods_slow_down_settles() -> None:
    """Configured for ten, good for six: the pods end at about six each, and the pool does not run away."""
    rng = random.Random(5)
    pool_ = ToyPool(
        target(), start_seconds=5.0, latency_ms=lambda sessions: 200.0 if sessions <= 6 else 300.0 * (sessions - 4)
    )
    arrivals = {second: [rng.expovariate(1 / 60)] for second in range(0, 3600, 2)}
    pool_.run(3600, arrivals)
    late = pool_.decisions[1800:]
    needed = 30 / 6

    assert pool_.busy_taken == []
    assert pool_.cut == 0
    assert all(len(pod.sessions) <= 8 for pod in pool_.pods)
    assert sum(decision.desired_replicas for decision in late) / len(late) < 2.2 * needed
    assert sum(bool(decision.memory.hot_pods) for decision in late) < 0.2 * len(late)
