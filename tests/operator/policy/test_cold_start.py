"""How long pods take to come, as measured."""

from __future__ import annotations

import pytest

from asrpool_operator.policy import Memory
from asrpool_operator.policy.cold_start import KEPT, horizon_seconds, remember_cold_starts
from tests.operator.policy.builders import NOW, coming, pool, ready


def test_the_stated_default_until_measured() -> None:
    assert horizon_seconds(Memory(), 60) == 60
    assert horizon_seconds(Memory(cold_starts_seconds=(4.0, 8.0, 2.0, 6.0)), 60) == 8.0


SINCE_LONG = Memory(began_unix_seconds=NOW - 100_000)


def test_each_start_counts_once() -> None:
    first = pool(ready("a", created_unix_seconds=NOW - 90, ready_unix_seconds=NOW - 50), coming("b"))
    memory = remember_cold_starts(first, remember_cold_starts(first, SINCE_LONG, NOW), NOW)
    second = pool(*first.workers[:1], ready("b", created_unix_seconds=NOW - 9, ready_unix_seconds=NOW - 2))
    memory = remember_cold_starts(second, memory, NOW)

    assert memory.cold_starts_seconds == (40.0, 7.0)


@pytest.mark.parametrize(
    ("restarts", "created_seconds_ago", "memory"),
    [
        pytest.param(1, 90, SINCE_LONG, id="its container was started anew in between"),
        pytest.param(0, 90, Memory(), id="it was made before the operator began to look"),
        pytest.param(0, 90, Memory(began_unix_seconds=NOW - 80), id="made before the first decision"),
    ],
)
def test_a_start_that_nobody_saw_is_not_counted(restarts: int, created_seconds_ago: float, memory: Memory) -> None:
    """Its Ready condition may have been false for a while just now."""
    back = ready("a", restarts=restarts, created_unix_seconds=NOW - created_seconds_ago, ready_unix_seconds=NOW - 1)
    assert remember_cold_starts(pool(back), memory, NOW).cold_starts_seconds == ()


def test_a_start_within_one_second_counts() -> None:
    """Whole seconds: it seems to have been made before the decision that asked for it."""
    memory = remember_cold_starts(pool(), Memory(), NOW + 0.9)
    quick = ready("a", created_unix_seconds=NOW, ready_unix_seconds=NOW + 1)
    assert remember_cold_starts(pool(quick), memory, NOW + 2).cold_starts_seconds == (1.0,)


def test_memory_is_bounded_and_forgets_pods_that_are_gone() -> None:
    memory = SINCE_LONG
    for number in range(3 * KEPT):
        memory = remember_cold_starts(pool(ready(f"p{number}")), memory, NOW)
    assert len(memory.cold_starts_seconds) == KEPT
    assert memory.known_ready == (f"p{3 * KEPT - 1}",)


def test_a_container_that_came_back_is_no_start() -> None:
    old = ready("a", created_unix_seconds=NOW - 90_000, ready_unix_seconds=NOW - 1)
    assert remember_cold_starts(pool(old), SINCE_LONG, NOW).cold_starts_seconds == ()
