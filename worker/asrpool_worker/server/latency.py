"""Percentiles of the latencies of the last seconds, in bounded memory. Pure: `now` comes from the caller."""

from __future__ import annotations

import math
from collections import deque

MAX_SAMPLES = 20_000
MAX_WINDOW_SECONDS = 600.0


class LatencyWindow:
    """The latest latencies, oldest first. Under a flood the oldest go early: the window is then shorter than asked for."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, float]] = deque(maxlen=MAX_SAMPLES)

    def add(self, latency_seconds: float, now: float) -> None:
        """One reply was sent."""
        self._samples.append((now, latency_seconds))
        while self._samples and now - self._samples[0][0] > MAX_WINDOW_SECONDS:
            self._samples.popleft()

    def percentile(self, percentile: float, window_seconds: float, now: float) -> tuple[float | None, int]:
        """(nearest-rank percentile in seconds, samples it is of), of the replies of the last `window_seconds`; (None, 0) without any."""
        recent = sorted(latency for at, latency in self._samples if now - at <= window_seconds)
        if not recent:
            return None, 0
        rank = max(1, math.ceil(percentile / 100 * len(recent)))
        return recent[rank - 1], len(recent)
