"""Stable and panic windows, for those who set them."""

from __future__ import annotations

import pytest

from asrpool_operator.api import Windows
from asrpool_operator.policy.decision import DemandPoint
from asrpool_operator.policy.windows import windowed_demand
from tests.operator.policy.builders import NOW


def points(*pairs: tuple[float, int]) -> tuple[DemandPoint, ...]:
    """(seconds ago, sessions), oldest first."""
    return tuple(DemandPoint(unix_seconds=NOW - ago, sessions=sessions) for ago, sessions in pairs)


def test_off_by_default() -> None:
    found = windowed_demand(Windows(), points((5, 0)), 30, 0, 4, NOW)
    assert (found.sessions, found.panic) == (30, False)


@pytest.mark.parametrize(
    ("history", "waiting", "sessions", "panic"),
    [
        pytest.param(((50, 10), (30, 10), (0, 16)), 0, 12.0, False, id="the mean of the stable window"),
        pytest.param(((50, 10), (3, 40), (0, 40)), 0, 40.0, True, id="a burst is followed at once"),
        pytest.param(((50, 0), (30, 0), (0, 15)), 15, 15.0, False, id="who waits counts whole"),
    ],
)
def test_stable_and_panic(history: tuple[tuple[float, int], ...], waiting: int, sessions: float, panic: bool) -> None:
    windows = Windows(stable_seconds=60, panic_seconds=6)
    found = windowed_demand(windows, points(*history), history[-1][1], waiting, 10, NOW)
    assert (found.sessions, found.panic) == (sessions, panic)
