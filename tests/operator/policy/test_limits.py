"""Going to zero, minimum and maximum."""

from __future__ import annotations

import pytest

from asrpool_operator.api import Scaling
from asrpool_operator.policy.limits import to_zero, within_bounds


@pytest.mark.parametrize(
    ("sessions", "current", "wish", "idle", "after"),
    [
        pytest.param(0, 1, 0, 59, 1, id="not idle for long enough"),
        pytest.param(0, 1, 0, 60, 0, id="idle for long enough"),
        pytest.param(0, 0, 0, 0, 0, id="nothing there, nothing started"),
        pytest.param(1, 0, 0, 999, 1, id="a stream is wanted"),
        pytest.param(0, 3, 2, 0, 2, id="not about zero"),
    ],
)
def test_to_zero(sessions: int, current: int, wish: int, idle: float, after: int) -> None:
    assert to_zero(Scaling(min_replicas=0), sessions, current, wish, idle).replicas == after


@pytest.mark.parametrize(("wish", "after"), [(0, 2), (2, 2), (3, 3), (9, 5)])
def test_bounds(wish: int, after: int) -> None:
    assert within_bounds(Scaling(min_replicas=2, max_replicas=5), wish).replicas == after
