"""When each token was spoken, from the weights on the finer grid: FunASR's rule, in closed form where it can be.

The weights are scaled to add up to one more than there are tokens. Where their running sum passes a whole number, a token
begins and the one before it ends; a token lasts at most 240 ms of that, the rest of the stretch is silence, and the last
one ends half way through the silence after it. Method: Shi et al. (2023), arXiv:2301.12343.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from asrpool_worker.engine.modeldir import FloatArray

FINE_FRAME_MS = 20
FIRES_AT = 1.0 - 1e-4
EARLIER_FRAMES = 1.5
"""Tokens begin this much before the frame at which the sum passes a whole number."""

LONGEST_TOKEN_FRAMES = 12
NO_SILENCE_FRAMES = 5

Spans = tuple[tuple[int, int], ...]


def fine_token_times_ms(fine_alphas: FloatArray, count: int, tokens: int) -> Spans | None:
    """(begin, end) of each of `tokens` tokens in ms from the utterance's start, or None where the weights do not say.

    `fine_alphas` (3n,) are those of the utterance's own frames, `count` how many tokens the recogniser saw, its mark for
    the end of the sentence included.
    """
    total = float(fine_alphas.sum(dtype=np.float64))
    if total <= 0.0 or tokens < 1:
        return None
    begins = _fires(fine_alphas, count / total)
    if len(begins) != tokens + 1:
        begins = _fires(fine_alphas, (tokens + 1) / total)
    if len(begins) != tokens + 1:
        return None
    frames = len(fine_alphas)
    ends = np.minimum(begins[1:], begins[:-1] + LONGEST_TOKEN_FRAMES)
    if begins[-1] - begins[-2] <= LONGEST_TOKEN_FRAMES:
        silence = frames - begins[-1]
        ends[-1] = (frames + begins[-1]) / 2 if silence > NO_SILENCE_FRAMES else frames
    return tuple(
        (int(begin), int(end))
        for begin, end in zip(
            np.maximum(begins[:-1], 0.0) * FINE_FRAME_MS, np.maximum(ends, 0.0) * FINE_FRAME_MS, strict=True
        )
    )


def _fires(alphas: FloatArray, scale: float) -> npt.NDArray[np.float64]:
    """Where the running sum fires: one by one, since what is left over after each is carried on, and a frame fires once."""
    places = []
    held = 0.0
    for place, weight in enumerate((alphas.astype(np.float64) * scale).tolist()):
        held += weight
        if held >= FIRES_AT:
            held -= FIRES_AT
            places.append(place)
    return np.array(places, dtype=np.float64) - EARLIER_FRAMES
