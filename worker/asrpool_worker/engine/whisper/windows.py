"""Whisper hears 30 seconds at a time: longer utterances are cut where they are quietest."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, Samples

WINDOW_SAMPLES = 30 * SAMPLE_RATE_HZ
SEARCH_SAMPLES = 5 * SAMPLE_RATE_HZ
QUIET_SAMPLES = SAMPLE_RATE_HZ // 5
"""A cut is looked for in the last seconds of a window, in the middle of its quietest fifth of a second."""


def windows(samples: Samples) -> list[Samples]:
    """`samples` in pieces of at most a window, together the whole; at least one piece, which may be empty."""
    cuts = [0]
    while len(samples) - cuts[-1] > WINDOW_SAMPLES:
        cuts.append(_quietest(samples, cuts[-1] + WINDOW_SAMPLES - SEARCH_SAMPLES, cuts[-1] + WINDOW_SAMPLES))
    return [samples[begin:end] for begin, end in pairwise([*cuts, len(samples)])]


def _quietest(samples: Samples, begin: int, end: int) -> int:
    """The middle of the quietest stretch in `begin`..`end`, the first of equals."""
    energy = np.cumsum(np.square(samples[begin:end], dtype=np.float64))
    return begin + int(np.argmin(energy[QUIET_SAMPLES:] - energy[:-QUIET_SAMPLES])) + QUIET_SAMPLES // 2
