"""Percentiles over a sliding window."""

from __future__ import annotations

import pytest

from asrpool_worker.server.latency import MAX_SAMPLES, LatencyWindow


def filled() -> LatencyWindow:
    window = LatencyWindow()
    for index in range(1, 101):
        window.add(index / 1000, now=float(index))
    return window


@pytest.mark.parametrize(("percentile", "seconds"), [(50, 0.05), (95, 0.095), (99, 0.099), (100, 0.1), (0.1, 0.001)])
def test_nearest_rank(percentile: float, seconds: float) -> None:
    assert filled().percentile(percentile, 600, now=100) == (seconds, 100)


def test_only_the_window_counts() -> None:
    assert filled().percentile(50, 9, now=100) == (0.095, 10)


def test_nothing_recent_is_none_not_zero() -> None:
    assert filled().percentile(95, 30, now=200) == (None, 0)


def test_memory_is_bounded_by_count_and_by_age() -> None:
    window = LatencyWindow()
    for _ in range(MAX_SAMPLES + 10):
        window.add(0.1, now=0)
    assert window.percentile(95, 600, now=0)[1] == MAX_SAMPLES
    window.add(0.2, now=10_000)
    assert window.percentile(95, 1e9, now=10_000) == (0.2, 1)
