"""The rule that turns weights into times is FunASR's."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from asrpool_worker.engine.seaco.timestamps import fine_token_times_ms

CASES = st.tuples(
    st.integers(0, 2**32 - 1),
    st.integers(1, 20),
    st.integers(4, 90),
    st.sampled_from([0.02, 0.3, 1.0]),
    st.integers(0, 2),
)


@settings(max_examples=400, deadline=None)
@given(case=CASES)
def test_times_are_funasrs(case: tuple[int, int, int, float, int]) -> None:
    """Sparse and dense weights, pauses long and short, and counts that do and do not match the tokens."""
    from funasr.utils.timestamp_tools import cif_wo_hidden, ts_prediction_lfr6_standard

    seed, tokens, frames, density, surplus = case
    rng = np.random.default_rng(seed)
    weights = (rng.uniform(size=3 * frames) * (rng.uniform(size=3 * frames) < density)).astype(np.float32)
    weights[rng.integers(3 * frames)] += 0.1
    count = tokens + surplus
    scaled = torch.from_numpy(weights * np.float32(count / weights.sum(dtype=np.float64)))[None]
    peaks = cif_wo_hidden(scaled, 1.0 - 1e-4)
    found = fine_token_times_ms(weights, count, tokens)
    try:
        _, expected = ts_prediction_lfr6_standard(scaled[0].clone(), peaks[0], ["字"] * tokens)
    except IndexError:
        expected = []
    if len(expected) != tokens:
        return
    if found is None:
        pytest.fail("FunASR has times where we have none")
    np.testing.assert_allclose(np.array(found), np.maximum(np.array(expected), 0), atol=1.0)


def test_no_tokens_and_no_weights_have_no_times() -> None:
    assert fine_token_times_ms(np.ones(9, dtype=np.float32), 1, 0) is None
    assert fine_token_times_ms(np.zeros(9, dtype=np.float32), 2, 1) is None
