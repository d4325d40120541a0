"""What is expected on top: chance over the cold start, and growth that stands out of chance."""

from __future__ import annotations

import math

import pytest

from asrpool_operator.policy.decision import DemandPoint
from asrpool_operator.policy.expectation import chance_sessions, growth_sessions
from tests.operator.policy.builders import NOW


def points(*pairs: tuple[float, int]) -> tuple[DemandPoint, ...]:
    """(seconds ago, sessions), oldest first."""
    return tuple(DemandPoint(unix_seconds=NOW - ago, sessions=sessions) for ago, sessions in pairs)


def test_chance_is_the_spread_of_an_infinite_server_queue() -> None:
    assert chance_sessions(100, 60, 180) == pytest.approx(2 * math.sqrt(200 * (1 - math.exp(-1 / 3))))
    assert chance_sessions(0, 60, 180) == 0
    assert chance_sessions(100, 0, 180) == 0
    assert chance_sessions(100, 1e9, 180) == pytest.approx(2 * math.sqrt(200))


@pytest.mark.parametrize(
    ("history", "sessions", "grows"),
    [
        pytest.param((), 50, False, id="nothing was watched yet"),
        pytest.param(((200, 0), (0, 1)), 1, False, id="one stream is no trend"),
        pytest.param(((200, 100), (0, 110)), 110, False, id="a rise that chance makes too"),
        pytest.param(((200, 100), (0, 90)), 90, False, id="a fall"),
        pytest.param(((200, 10), (10, 20), (0, 60)), 60, True, id="a flash crowd"),
        pytest.param(((200, 10), (100, 25), (50, 40), (0, 60)), 60, True, id="a ramp over minutes"),
    ],
)
def test_growth_stands_out_of_chance(history: tuple[tuple[float, int], ...], sessions: int, grows: bool) -> None:
    found = growth_sessions(points(*history), sessions, NOW, horizon_seconds=60, mean_seconds=180)
    assert (found > 0) is grows


def test_growth_goes_on_over_the_horizon_but_not_for_ever() -> None:
    history = points((30, 0), (0, 40))

    assert growth_sessions(history, 40, NOW, 10, 180) == pytest.approx(40 / 20 * 10)
    assert growth_sessions(history, 40, NOW, 1000, 180) == pytest.approx(40 / 20 * 60)
