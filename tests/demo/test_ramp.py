"""The ramp is the one the issue of the main job names."""

from itertools import groupby

from demo.ramp import BURST_STEP, RAMP, starts_at, target_at


def test_the_ramp_goes_0_1_12_3_12_0() -> None:
    total = sum(step.seconds for step in RAMP)
    wanted = [target_at(tenth / 10) for tenth in range(int(total * 10) + 10)]
    assert [streams for streams, _ in groupby(wanted)] == [0, 1, 12, 3, 12, 0]


def test_the_burst_is_the_first_rise_to_twelve() -> None:
    assert target_at(starts_at(BURST_STEP)) == 12
    assert target_at(starts_at(BURST_STEP) - 0.1) == 1


def test_before_and_after_nobody_streams() -> None:
    assert target_at(-1.0) == target_at(1e9) == 0
