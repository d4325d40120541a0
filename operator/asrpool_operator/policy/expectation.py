"""What can be expected on top of the demand before a pod that is asked for now can help.

Chance: the number of live sessions with random arrivals is an M/G/∞ count; over a horizon h it changes by a spread of
√(2S(1−e^(−h/mean))), so z times that is kept free. Growth: a rise over 20, 60 or 180 s is carried on over the horizon,
but only where it stands out of what chance alone does over that window; a plain slope would be noise on steady traffic.
Source: the covariance of an M/M/∞ process, Cov(N(t), N(t+h)) = S·e^(−h/mean).
"""

from __future__ import annotations

import math

from asrpool_operator.policy.decision import DemandPoint

Z = 2.0
"""How many standard deviations are kept free: about one excess in forty horizons."""
WINDOWS_SECONDS = (20.0, 60.0, 180.0)
REACH = 3.0
"""A rise seen over w seconds is believed for at most 3·w more."""
ONE_STREAM = 1.0
"""Sessions are whole: a single one more is never a trend, however quiet it was before."""


def chance_sessions(sessions: float, horizon_seconds: float, mean_seconds: float) -> float:
    """Sessions that chance alone may add within the horizon."""
    return Z * math.sqrt(2.0 * max(sessions, 0.0) * -math.expm1(-horizon_seconds / mean_seconds))


def growth_sessions(
    history: tuple[DemandPoint, ...], sessions: float, now: float, horizon_seconds: float, mean_seconds: float
) -> float:
    """Sessions that a rise will add within the horizon if it goes on; 0 where no rise stands out of chance."""
    most = 0.0
    for window in WINDOWS_SECONDS:
        before = _sessions_at(history, now - window)
        if before is None:
            continue
        rise = sessions - before
        if rise > chance_sessions(max(sessions, before), window, mean_seconds) + ONE_STREAM:
            most = max(most, rise / window * min(horizon_seconds, REACH * window))
    return most


def _sessions_at(history: tuple[DemandPoint, ...], unix_seconds: float) -> int | None:
    """The demand that held at that moment, or None if it was not watched yet."""
    found: int | None = None
    for point in history:
        if point.unix_seconds > unix_seconds:
            break
        found = point.sessions
    return found
