"""Long utterances are cut into windows where they are quietest, and nothing is lost."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asrpool_worker.engine.messages import SAMPLE_RATE_HZ
from asrpool_worker.engine.whisper.windows import QUIET_SAMPLES, SEARCH_SAMPLES, WINDOW_SAMPLES, windows


@settings(deadline=None, max_examples=30)
@given(seconds=st.floats(0.0, 130.0), seed=st.integers(0, 1000))
def test_windows_together_are_the_whole_and_none_is_too_long(seconds: float, seed: int) -> None:
    samples = np.random.default_rng(seed).normal(size=int(seconds * SAMPLE_RATE_HZ)).astype(np.float32)
    pieces = windows(samples)
    assert np.array_equal(np.concatenate(pieces), samples)
    assert max(map(len, pieces)) <= WINDOW_SAMPLES
    assert all(len(piece) >= WINDOW_SAMPLES - SEARCH_SAMPLES for piece in pieces[:-1])


@pytest.mark.parametrize("quiet_second", [25.5, 27.0, 29.5])
def test_the_cut_is_in_the_pause(quiet_second: float) -> None:
    samples = np.random.default_rng(0).normal(size=40 * SAMPLE_RATE_HZ).astype(np.float32)
    begin = int(quiet_second * SAMPLE_RATE_HZ)
    samples[begin : begin + QUIET_SAMPLES] *= 0.01
    first, second = windows(samples)
    assert abs(len(first) - (begin + QUIET_SAMPLES // 2)) < 50
    assert len(first) + len(second) == len(samples)


def test_what_fits_is_not_cut() -> None:
    assert [len(piece) for piece in windows(np.zeros(WINDOW_SAMPLES, np.float32))] == [WINDOW_SAMPLES]
    assert [len(piece) for piece in windows(np.zeros(0, np.float32))] == [0]
