"""How long steps take, learnt as they run."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrpool_worker.engine.pace import FIRST_STEPS, LONGEST_WAIT_SECONDS, STEP_BUDGET_SECONDS, Pace


def ran(rows: list[int], fixed: float, each: float) -> Pace:
    pace = Pace()
    for count in rows:
        pace.ran("step", count, fixed + each * count)
    return pace


@given(fixed=st.floats(0.0, 0.2), each=st.floats(0.001, 0.1))
def test_the_line_is_found(fixed: float, each: float) -> None:
    pace = ran([1, 3, 8, 2, 5] * 4, fixed, each)
    assert pace.most_units("step") == pytest.approx(max(1.0, (STEP_BUDGET_SECONDS - fixed) / each), rel=1e-3)
    expected = min(fixed, LONGEST_WAIT_SECONDS)
    assert pace.wait_seconds("step", 10_000, 0.6) == pytest.approx(expected if expected > 1e-4 else 0.0, abs=1e-4)


@given(st.lists(st.tuples(st.integers(1, 64), st.floats(1e-6, 10.0)), max_size=60))
def test_whatever_was_seen_a_step_of_one_row_is_allowed_and_waits_are_bounded(steps: list[tuple[int, float]]) -> None:
    """Steps that were disturbed, or all of one size, give no line that could stop the engine."""
    pace = Pace()
    for units, seconds in steps:
        pace.ran("step", units, seconds)
    assert pace.most_units("step") >= 1.0
    assert 0.0 <= pace.wait_seconds("step", 100, 0.6) <= LONGEST_WAIT_SECONDS


def test_nothing_is_known_before_some_steps_ran() -> None:
    pace = ran([1] * (FIRST_STEPS - 1), 1.0, 1.0)
    assert pace.most_units("step") == math.inf
    assert pace.wait_seconds("step", 100, 0.6) == 0.0


def test_a_machine_that_slows_down_is_noticed() -> None:
    pace = ran([1, 2, 4, 8] * 20, 0.01, 0.01)
    before = pace.most_units("step")
    for _ in range(40):
        for rows in (1, 2, 4):
            pace.ran("step", rows, 0.04 + 0.04 * rows)
    assert pace.most_units("step") < before / 3


def test_steps_of_one_size_say_nothing_of_a_fixed_cost() -> None:
    """All of it may be the row's: then waiting for another would save nothing."""
    assert ran([1] * 50, 0.05, 0.05).wait_seconds("step", 100, 0.6) == 0.0
