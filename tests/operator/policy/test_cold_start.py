"""How long pods take to come, as measured."""

from __future__ import annotations

from asrpool_operator.policy import Memory
from asrpool_operator.policy.cold_start import KEPT, horizon_seconds, remember_cold_starts
from tests.operator.policy.builders import NOW, coming, pool, ready


def test_the_stated_default_until_measured() -> None:
    assert horizon_seconds(Memory(), 60) == 60
    assert horizon_seconds(Memory(cold_starts_seconds=(4.0, 8.0, 2.0, 6.0)), 60) == 8.0


def test_each_start_counts_once() -> None:
    first = pool(ready("a", created_unix_seconds=NOW - 90, ready_unix_seconds=NOW - 50), coming("b"))
    memory = remember_cold_starts(first, remember_cold_starts(first, Memory()))
    second = pool(*first.workers[:1], ready("b", created_unix_seconds=NOW - 9, ready_unix_seconds=NOW - 2))
    memory = remember_cold_starts(second, memory)

    assert memory.cold_starts_seconds == (40.0, 7.0)


def test_memory_is_bounded_and_forgets_pods_that_are_gone() -> None:
    memory = Memory()
    for number in range(3 * KEPT):
        memory = remember_cold_starts(pool(ready(f"p{number}")), memory)
    assert len(memory.cold_starts_seconds) == KEPT
    assert memory.known_ready == (f"p{3 * KEPT - 1}",)


def test_a_container_that_came_back_is_no_start() -> None:
    old = ready("a", created_unix_seconds=NOW - 90_000, ready_unix_seconds=NOW - 1)
    assert remember_cold_starts(pool(old), Memory()).cold_starts_seconds == ()
