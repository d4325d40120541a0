"""Knative-like stable and panic windows, for those who set them; off by default.

The demand is its mean over the stable window. A burst, that is a mean over the panic window that asks for at least twice
the pods there are, is followed at once. Streams that wait at the gateway always count whole: they are being made to wait.
Source: Knative Serving, "Autoscaler" (KPA), stable and panic mode.
"""

from __future__ import annotations

from dataclasses import dataclass

from asrpool_operator.api import Windows
from asrpool_operator.policy.decision import DemandPoint

PANIC_RATIO = 2.0
PANIC_SHARE = 0.1
"""Knative's default: the panic window is a tenth of the stable one."""


@dataclass(frozen=True)
class Windowed:
    """The demand after the windows, and whether a burst is being followed."""

    sessions: float
    panic: bool


def windowed_demand(
    windows: Windows, history: tuple[DemandPoint, ...], sessions: int, waiting: int, room: float, now: float
) -> Windowed:
    """The demand to go by; `room` is how many sessions the pods there are can hold at the target."""
    if windows.stable_seconds is None:
        return Windowed(float(sessions), panic=False)
    panic_seconds = windows.panic_seconds or max(1.0, windows.stable_seconds * PANIC_SHARE)
    stable = max(_mean(history, now - windows.stable_seconds), float(waiting))
    burst = max(_mean(history, now - panic_seconds), float(waiting))
    if burst >= PANIC_RATIO * max(room, 1.0):
        return Windowed(max(stable, burst), panic=True)
    return Windowed(stable, panic=False)


def _mean(history: tuple[DemandPoint, ...], since: float) -> float:
    points = [point.sessions for point in history if point.unix_seconds >= since]
    return sum(points) / len(points) if points else 0.0
