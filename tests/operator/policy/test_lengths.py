"""How long sessions last, as seen."""

from __future__ import annotations

import math

import pytest

from asrpool_operator.policy.lengths import DEFAULT_MEAN_SECONDS, Lengths, observe_lengths
from tests.operator.policy.builders import ready


def test_without_any_session_the_default() -> None:
    assert observe_lengths((), None) == Lengths(DEFAULT_MEAN_SECONDS)
    assert observe_lengths((), 40.0).mean_seconds == 40.0


def test_sessions_that_go_on_count_too() -> None:
    """Twenty short ones ended, twenty long ones go on: the mean is not that of the short ones."""
    fields = {"ended_count": 20, "ended_seconds_sum": 200.0, "ended_seconds_sq_sum": 2000.0}
    worker = ready("a", 20, status_fields={**fields, "ages_seconds": (100.0,) * 20})
    assert observe_lengths((worker,), None).mean_seconds == pytest.approx((200 + 2000) / 20)


def test_survival_is_that_of_the_lognormal_law() -> None:
    law = Lengths(mean_seconds=100.0, variation_squared=math.e - 1)
    assert law.survival(0) == 1
    assert law.survival(100 / math.sqrt(math.e)) == pytest.approx(0.5)
    assert law.survival(1e9) < 1e-9


def test_older_sessions_of_a_heavy_tail_stay_longer() -> None:
    law = Lengths(mean_seconds=100.0, variation_squared=4.0)
    assert law.empty_chance((10.0,), 100) > law.empty_chance((1000.0,), 100)
    assert law.empty_chance((), 100) == 1
    assert law.empty_chance((1e12,), 100) == 0
