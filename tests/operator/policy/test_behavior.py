"""HPA behavior: windows, tolerance, policies, in the HPA's own arithmetic."""

from __future__ import annotations

from typing import Any

import pytest

from asrpool_operator.api import Behavior
from asrpool_operator.policy import Memory
from asrpool_operator.policy.behavior import (
    LONGEST_SECONDS,
    MOST_KEPT,
    rate_limited,
    remember_change,
    remember_recommendation,
    stabilized,
    tolerated,
)
from asrpool_operator.policy.decision import Recommendation, ReplicaChange
from tests.operator.policy.builders import NOW


def behavior(**directions: Any) -> Behavior:
    return Behavior.model_validate(directions)


def test_scale_in_waits_for_the_highest_wish_of_its_window() -> None:
    memory = Memory(
        recommendations=(
            Recommendation(unix_seconds=NOW - 300, replicas=9),
            Recommendation(unix_seconds=NOW - 100, replicas=6),
            Recommendation(unix_seconds=NOW - 30, replicas=2),
        )
    )
    assert stabilized(behavior(), memory, 10, 2, NOW) == 6
    assert stabilized(behavior(scaleDown={"stabilizationWindowSeconds": 20}), memory, 10, 2, NOW) == 2
    assert stabilized(behavior(scaleDown={"stabilizationWindowSeconds": 500}), memory, 10, 2, NOW) == 9


def test_scale_out_waits_only_if_asked_to() -> None:
    memory = Memory(
        recommendations=(
            Recommendation(unix_seconds=NOW - 100, replicas=2),
            Recommendation(unix_seconds=NOW, replicas=8),
        )
    )
    assert stabilized(behavior(), memory, 2, 8, NOW) == 8
    assert stabilized(behavior(scaleUp={"stabilizationWindowSeconds": 30}), memory, 2, 8, NOW) == 2


def test_recommendations_are_bounded() -> None:
    memory = Memory()
    for second in range(5000):
        memory = remember_recommendation(memory, 1, second % 2, NOW + second)

    assert len(memory.recommendations) <= MOST_KEPT
    assert memory.recommendations[1].unix_seconds >= NOW + 4999 - LONGEST_SECONDS


@pytest.mark.parametrize(
    ("wish", "tolerance", "after"),
    [(11, 0.1, 10), (12, 0.1, 12), (9, 0.1, 10), (8, 0.1, 8), (0, 1.0, 0), (11, None, 11)],
)
def test_tolerance(wish: int, tolerance: float | None, after: int) -> None:
    rules = {"tolerance": tolerance}
    assert tolerated(behavior(scaleUp=rules, scaleDown=rules), 10, wish) == after


@pytest.mark.parametrize(
    ("policies", "select", "changes", "wish", "after"),
    [
        pytest.param([("Pods", 4, 15)], "Max", (), 30, 14, id="four pods a quarter minute"),
        pytest.param([("Pods", 4, 15)], "Max", ((5, 3),), 30, 11, id="three of them are used up"),
        pytest.param([("Pods", 4, 15)], "Max", ((20, 3),), 30, 14, id="that period is over"),
        pytest.param([("Percent", 50, 60)], "Max", (), 30, 15, id="half as many again"),
        pytest.param([("Pods", 4, 15), ("Percent", 100, 15)], "Max", (), 30, 20, id="the larger one"),
        pytest.param([("Pods", 4, 15), ("Percent", 100, 15)], "Min", (), 30, 14, id="the smaller one"),
        pytest.param([("Pods", 4, 15)], "Disabled", (), 30, 10, id="not at all"),
        pytest.param([], "Max", (), 30, 30, id="no policy, no limit"),
    ],
)
def test_scale_up_policies(
    policies: list[tuple[str, int, int]],
    select: str,
    changes: tuple[tuple[float, int], ...],
    wish: int,
    after: int,
) -> None:
    made = behavior(
        scaleUp={
            "selectPolicy": select,
            "policies": [{"type": kind, "value": value, "periodSeconds": period} for kind, value, period in policies],
        }
    )
    memory = Memory(changes=tuple(ReplicaChange(unix_seconds=NOW - ago, delta=delta) for ago, delta in changes))
    assert rate_limited(made, memory, 10, wish, NOW) == after


@pytest.mark.parametrize(
    ("policies", "select", "after"),
    [
        pytest.param([("Pods", 2, 60)], "Max", 8, id="two pods a minute"),
        pytest.param([("Percent", 33, 60)], "Max", 6, id="a third, rounded down to what stays"),
        pytest.param([("Pods", 2, 60), ("Percent", 50, 60)], "Max", 5, id="the one that takes more"),
        pytest.param([("Pods", 2, 60), ("Percent", 50, 60)], "Min", 8, id="the one that takes less"),
        pytest.param([("Pods", 2, 60)], "Disabled", 10, id="not at all"),
    ],
)
def test_scale_down_policies(policies: list[tuple[str, int, int]], select: str, after: int) -> None:
    made = behavior(
        scaleDown={
            "selectPolicy": select,
            "policies": [{"type": kind, "value": value, "periodSeconds": period} for kind, value, period in policies],
        }
    )
    assert rate_limited(made, Memory(), 10, 0, NOW) == after


def test_from_zero_one_pod_may_always_come() -> None:
    made = behavior(scaleUp={"policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}]})
    assert rate_limited(made, Memory(), 0, 9, NOW) == 1


def test_changes_are_bounded() -> None:
    memory = Memory()
    for second in range(2 * MOST_KEPT):
        memory = remember_change(memory, 1, NOW + second / 10)
    assert len(memory.changes) == MOST_KEPT
    assert remember_change(memory, 0, NOW + LONGEST_SECONDS * 2).changes == ()
