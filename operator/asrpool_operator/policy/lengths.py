"""How long sessions last, as far as this pool has seen: their mean, their spread, and when a pod will be empty.

The mean is the maximum-likelihood estimate of an exponential law with censoring: all the time that sessions have lasted,
ended or not, over the number that ended. Counting only ended ones would lean towards short sessions. Until enough have
ended it is pulled towards what was known before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from asrpool_operator.snapshot import WorkerSnapshot

DEFAULT_MEAN_SECONDS = 180.0
"""Assumed before any session has ended: the mean of the study behind DESIGN §4 (FACTS §G)."""
PRIOR_SESSIONS = 3.0
ENOUGH_ENDED = 20
_SMALLEST_SECONDS = 0.1


@dataclass(frozen=True)
class Lengths:
    """A lognormal law of session lengths, by its mean and its squared coefficient of variation."""

    mean_seconds: float = DEFAULT_MEAN_SECONDS
    variation_squared: float = 1.0
    ended: int = 0

    def survival(self, seconds: float) -> float:
        """The share of sessions that last longer than this."""
        if seconds <= 0:
            return 1.0
        sigma = math.sqrt(math.log1p(self.variation_squared))
        mu = math.log(self.mean_seconds) - sigma * sigma / 2
        return 0.5 * math.erfc((math.log(seconds) - mu) / (sigma * math.sqrt(2)))

    def empty_chance(self, ages_seconds: tuple[float, ...], within_seconds: float) -> float:
        """The chance that sessions of these ages have all ended within that time."""
        chance = 1.0
        for age in ages_seconds:
            alive = self.survival(age)
            # Past the law's tail nothing is known but that such sessions go on.
            chance *= 1.0 - (self.survival(age + within_seconds) / alive if alive > 1e-12 else 1.0)
        return chance


def observe_lengths(workers: tuple[WorkerSnapshot, ...], remembered_mean_seconds: float | None) -> Lengths:
    """The law of lengths from the counters of all workers; stale counters are still true, only not the newest."""
    statuses = [worker.status for worker in workers if worker.status is not None]
    ended = sum(status.ended_count for status in statuses)
    ended_sum = sum(status.ended_seconds_sum for status in statuses)
    lasted = ended_sum + sum(sum(status.ages_seconds) for status in statuses)
    prior = remembered_mean_seconds if remembered_mean_seconds is not None else DEFAULT_MEAN_SECONDS
    weight = 0.0 if ended >= ENOUGH_ENDED else PRIOR_SESSIONS
    mean = max((weight * prior + lasted) / (weight + ended), _SMALLEST_SECONDS)
    variation = 1.0
    if ended >= ENOUGH_ENDED:
        ended_mean = max(ended_sum / ended, _SMALLEST_SECONDS)
        variance = sum(status.ended_seconds_sq_sum for status in statuses) / ended - ended_mean * ended_mean
        variation = min(max(variance / (ended_mean * ended_mean), 0.05), 25.0)
    return Lengths(mean_seconds=mean, variation_squared=variation, ended=ended)
