"""Each condition of a good demo fails it alone."""

from dataclasses import replace
from typing import Any

import pytest

from demo.verdict import Result, failures

GOOD = Result(
    streams=24, lost=0, moved=0, over_capacity=0.0, cer_final=0.02, partial_p95_ms=300.0, final_p95_ms=400.0, max_ready=3,
    final_replicas=0, undrained=1, held_at_zero=1, scale_out_seconds=1.2, drained_pods=3, wall_seconds=200.0,
)  # fmt: skip


def test_a_good_demo_has_no_failures() -> None:
    assert failures(GOOD) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"streams": 0}, {"lost": 1}, {"moved": 1}, {"over_capacity": 0.5}, {"over_capacity": None}, {"cer_final": 0.06}, {"cer_final": None},
        {"max_ready": 2}, {"final_replicas": 1}, {"held_at_zero": 0},
    ],
    ids="-".join,
)  # fmt: skip
def test_each_condition_fails_it_alone(bad: dict[str, Any]) -> None:
    assert len(failures(replace(GOOD, **bad))) == 1
