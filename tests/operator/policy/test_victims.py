"""Who drains and who comes back."""

from __future__ import annotations

from asrpool_operator.policy.lengths import Lengths
from asrpool_operator.policy.victims import to_drain, to_undrain
from asrpool_operator.policy.view import DRAINING_COST, EMPTY_COST, View
from asrpool_operator.snapshot import PodPhase
from tests.operator.policy.builders import NOW, draining, pool, ready, silent


def test_the_soonest_empty_goes_first() -> None:
    few_old = ready("few-old", 2, status_fields={"ages_seconds": (900.0, 900.0)})
    few_new = ready("few-new", 2, status_fields={"ages_seconds": (5.0, 5.0)})
    law = Lengths(mean_seconds=100.0, variation_squared=4.0)
    view = View(pool(ready("four-new", 4), few_old, few_new, ready("empty", 0)), NOW)

    assert [worker.name for worker in to_drain(view, law, 4)] == ["empty", "few-new", "four-new", "few-old"]


def test_a_pod_that_does_not_answer_is_never_chosen() -> None:
    view = View(pool(silent("a"), ready("b", 4)), NOW)
    assert [worker.name for worker in to_drain(view, Lengths(), 2)] == ["b"]


def test_the_fullest_comes_back_first() -> None:
    view = View(pool(draining("a", 0), draining("b", 3), draining("c", 1)), NOW)
    assert [worker.name for worker in to_undrain(view, 2)] == ["b", "c"]


def test_a_pod_that_is_being_removed_does_not_come_back() -> None:
    view = View(pool(draining("a", 0, cost=EMPTY_COST), draining("b", 1, cost=DRAINING_COST), replicas=1), NOW)
    assert [worker.name for worker in to_undrain(view, 2)] == ["b"]


def test_a_pod_that_is_not_ready_does_not_come_back() -> None:
    view = View(pool(draining("a", 2, phase=PodPhase.STARTING), draining("b", 1)), NOW)
    assert [worker.name for worker in to_undrain(view, 2)] == ["b"]
