"""Going to zero, minimum and maximum."""

from __future__ import annotations

import pytest

from asrpool_operator.api import Scaling
from asrpool_operator.policy import Memory
from asrpool_operator.policy.limits import idle_since, to_zero, within_bounds
from asrpool_operator.policy.view import View
from asrpool_operator.snapshot import PoolSnapshot
from tests.operator.policy.builders import NOW, coming, pool, ready


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


@pytest.mark.parametrize(
    ("snapshot", "since"),
    [
        pytest.param(pool(ready("a", ready_unix_seconds=NOW - 900)), NOW - 500, id="since the last stream"),
        pytest.param(pool(ready("a", ready_unix_seconds=NOW - 9)), NOW - 9, id="since the newest pod could take one"),
        pytest.param(pool(coming("a")), NOW - 460, id="while one is coming, not before it should be there"),
        pytest.param(pool(replicas=1), NOW - 460, id="the same for one that is not made yet"),
    ],
)
def test_idle_since(snapshot: PoolSnapshot, since: float) -> None:
    memory = Memory(last_busy_unix_seconds=NOW - 500)
    assert idle_since(View(snapshot, NOW), memory, cold_start_seconds=40) == since
