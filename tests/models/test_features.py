"""Training features are those that FunASR's frontends compute when the model is used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from funasr.frontends.wav_frontend import WavFrontend, apply_lfr, load_cmvn

from tinyasr.features import log_mel, stack_frames, write_normalisation


@pytest.fixture(scope="module")
def noise() -> np.ndarray:
    return np.random.default_rng(1).normal(0.0, 0.1, 20011).astype(np.float32)


def test_log_mel_is_the_frontends(noise: np.ndarray) -> None:
    frontend = WavFrontend(fs=16000, n_mels=80, dither=0.0)
    expected, _ = frontend(torch.from_numpy(noise)[None], torch.tensor([noise.size]))
    np.testing.assert_allclose(log_mel(noise), expected[0].numpy(), atol=1e-4)


@pytest.mark.parametrize(("width", "hop"), [(7, 6), (5, 1)], ids=["recogniser", "detector"])
@pytest.mark.parametrize("frames", [7, 8, 60, 61, 63, 65])
def test_stacking_is_the_frontends(width: int, hop: int, frames: int) -> None:
    mel = np.random.default_rng(2).normal(size=(frames, 80)).astype(np.float32)
    expected = apply_lfr(torch.from_numpy(mel), width, hop)
    np.testing.assert_array_equal(stack_frames(mel, width, hop), expected.numpy())


def test_normalisation_file_is_read_by_funasr(tmp_path: Path) -> None:
    """FunASR adds the first row and multiplies by the second."""
    mean, deviation = np.array([1.0, -2.0], np.float32), np.array([4.0, 0.5], np.float32)
    write_normalisation(tmp_path / "am.mvn", mean, deviation)
    shift, scale = load_cmvn(str(tmp_path / "am.mvn")).numpy()
    np.testing.assert_allclose((np.array([5.0, -1.0]) + shift) * scale, [1.0, 2.0])
