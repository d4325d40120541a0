"""Demand: every stream counts, wherever it is; who does not answer counts as before, or as full."""

from __future__ import annotations

import pytest

from asrpool_operator.policy import Memory
from asrpool_operator.policy.demand import LEAVING_MARGIN_SECONDS, measure_demand, pods_for, remember_demand
from asrpool_operator.policy.view import View
from asrpool_operator.snapshot import PodPhase
from tests.operator.policy.builders import NOW, coming, draining, pool, ready, silent


@pytest.mark.parametrize(
    ("sessions", "per_pod", "share", "pods"),
    [
        (0, 4, 1, 0),
        (1, 4, 1, 1),
        (4, 4, 1, 1),
        (4.0000000001, 4, 1, 1),
        (5, 4, 1, 2),
        (9, 10, 0.9, 1),
        (8, 1, 1, 8),
    ],
)
def test_pods_for(sessions: float, per_pod: float, share: float, pods: int) -> None:
    assert pods_for(sessions, per_pod, share) == pods


def test_every_stream_counts_wherever_it_is() -> None:
    view = View(
        pool(ready("a", 3), draining("b", 2), ready("c", 1, phase=PodPhase.TERMINATING), coming("d"), waiting=4),
        NOW,
    )
    demand = measure_demand(view, 4, 100)

    assert (demand.live, demand.waiting, demand.unknown_room) == (6, 4, 0)


@pytest.mark.parametrize(("silent_seconds", "live"), [(0, 2), (100, 2), (100 + LEAVING_MARGIN_SECONDS + 1, 0)])
def test_a_pod_on_a_lost_node_is_forgotten_once_no_stream_of_it_can_last(silent_seconds: float, live: int) -> None:
    """Terminating for ever, silent for ever: its last count must not ask for a pod for ever."""
    lost = ready("a", 2, phase=PodPhase.TERMINATING, status_fields={"scraped_unix_seconds": NOW - silent_seconds})
    assert measure_demand(View(pool(lost), NOW), 4, 100).live == live


def test_a_standing_pods_last_count_is_never_forgotten() -> None:
    old = ready("a", 2, status_fields={"scraped_unix_seconds": NOW - 100_000})
    assert measure_demand(View(pool(old), NOW), 4, 100).live == 2


def test_a_pod_that_does_not_answer_is_as_it_was_or_full() -> None:
    stale = ready("b", 3, status_fields={"scraped_unix_seconds": NOW - 60})
    demand = measure_demand(View(pool(silent("a"), stale), NOW), 4, 100)

    assert (demand.known, demand.unknown_room) == (3, 5)


def test_history_is_bounded_and_fine_where_it_matters() -> None:
    memory = Memory()
    for second in range(5000):
        memory = remember_demand(memory, second, NOW + second)
    ages = [NOW + 4999 - point.unix_seconds for point in memory.demand]

    assert len(memory.demand) < 600
    assert max(ages) <= 3600
    assert sum(age < 180 for age in ages) == 180
