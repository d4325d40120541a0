"""Windows and features of a speaker model are those that FunASR cuts and computes."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from asrpool_worker.engine.speaker.windows import (
    HOP_SAMPLES,
    MEL_BINS,
    WINDOW_FRAMES,
    WINDOW_SAMPLES,
    features,
    windows,
)
from tests.worker.engine.conftest import babble


@pytest.fixture(scope="module")
def funasr_utils() -> Any:
    return importlib.import_module("funasr.models.campplus.utils")


@given(count=st.integers(WINDOW_SAMPLES, 8 * WINDOW_SAMPLES))
def test_cut_as_funasr_cuts(funasr_utils: Any, count: int) -> None:
    samples = np.arange(count, dtype=np.float32)
    expected = [chunk for _, _, chunk in funasr_utils.sv_chunk([[0.0, count / 16_000, samples]])]
    found = windows(samples)
    assert len(found) == len(expected)
    assert all(np.array_equal(ours, theirs) for ours, theirs in zip(found, expected, strict=True))


@pytest.mark.parametrize(
    ("count", "ends"),
    [
        (WINDOW_SAMPLES, [WINDOW_SAMPLES]),
        (WINDOW_SAMPLES + 1, [WINDOW_SAMPLES, WINDOW_SAMPLES + 1]),
        (WINDOW_SAMPLES + HOP_SAMPLES, [WINDOW_SAMPLES, WINDOW_SAMPLES + HOP_SAMPLES]),
    ],
    ids=["one", "one and a sample", "two"],
)
def test_the_last_window_ends_with_the_audio(count: int, ends: list[int]) -> None:
    assert [int(window[-1]) + 1 for window in windows(np.arange(count, dtype=np.float32))] == ends


@pytest.mark.parametrize("count", [1, 400, WINDOW_SAMPLES - 1])
def test_short_speech_is_said_again(count: int) -> None:
    samples = np.arange(1, count + 1, dtype=np.float32)
    (window,) = windows(samples)
    assert window.shape == (WINDOW_SAMPLES,)
    assert np.array_equal(window, samples[np.arange(WINDOW_SAMPLES) % count])


@pytest.mark.parametrize("gain", [1.0, 1e-3], ids=["as loud as speech", "faint"])
def test_features_are_funasrs(funasr_utils: Any, gain: float) -> None:
    window = babble(1.5, 4) * np.float32(gain)
    expected, _, _ = funasr_utils.extract_feature([torch.from_numpy(window)])
    found = features(window)
    assert found.shape == (WINDOW_FRAMES, MEL_BINS)
    assert np.abs(found - expected[0].numpy()).max() < 2e-3
    assert np.abs(found.mean(axis=0)).max() < 1e-4
