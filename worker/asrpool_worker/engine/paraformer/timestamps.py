"""When each token was spoken, from the weights that integrate-and-fire gave to the frames.

Token u takes the stretch [u, u+1) of the running sum of weights. Its time is where the bulk of that stretch lies: from
10 % to 90 % of it, so that the pause before a token, which carries next to no weight, is not counted to it.
"""

from __future__ import annotations

import numpy as np

from asrpool_worker.engine.modeldir import FloatArray

FRAME_MS = 60
BEGIN_SHARE, END_SHARE = 0.1, 0.9


def token_times_ms(alphas: FloatArray, tokens: int) -> tuple[tuple[int, int], ...]:
    """(begin, end) of each of `tokens` tokens, in ms from the utterance's start; `alphas` ends with the tail's weight.

    Times never run backwards and never past the utterance.
    """
    sums = np.concatenate([[0.0], np.cumsum(alphas, dtype=np.float64)])
    edges = np.arange(len(sums), dtype=np.float64) * FRAME_MS
    last_ms = (len(alphas) - 1) * FRAME_MS
    numbers = np.arange(tokens, dtype=np.float64)
    rising = np.concatenate([np.diff(sums) > 0, [True]])
    begins = np.interp(numbers + BEGIN_SHARE, sums[rising], edges[rising])
    ends = np.interp(numbers + END_SHARE, sums[rising], edges[rising])
    return tuple((int(min(begin, last_ms)), int(min(end, last_ms))) for begin, end in zip(begins, ends, strict=True))
