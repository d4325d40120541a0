"""Log-mel features exactly as FunASR's frontends make them, and the mean/variance file they read.

Kept here: 80 mel bands each 10 ms, before stacking. Stacking (low frame rate) and normalisation
are applied when a batch is made, so that one stored corpus serves models with different stacking.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torchaudio.compliance.kaldi as kaldi

from tinyasr.speech import SAMPLE_RATE, Samples

MEL_BANDS = 80
Features = npt.NDArray[np.float32]


def log_mel(samples: Samples) -> Features:
    """(frames, 80) log-mel energies: 25 ms Hamming windows each 10 ms, no dither, 16-bit scale."""
    waveform = torch.from_numpy(samples)[None] * 32768.0
    mel = kaldi.fbank(
        waveform,
        num_mel_bins=MEL_BANDS,
        frame_length=25.0,
        frame_shift=10.0,
        dither=0.0,
        energy_floor=0.0,
        window_type="hamming",
        sample_frequency=float(SAMPLE_RATE),
    )
    return np.asarray(mel.numpy(), dtype=np.float32)


def speaker_mel(samples: Samples) -> Features:
    """(frames, 80) log-mel energies as a speaker model reads them: 25 ms Povey windows each 10 ms, samples as they are."""
    mel = kaldi.fbank(torch.from_numpy(samples)[None], num_mel_bins=MEL_BANDS)
    return np.asarray(mel.numpy(), dtype=np.float32)


def stack_frames(mel: Features, width: int, hop: int) -> Features:
    """FunASR's low frame rate: each output is ``width`` frames side by side, each ``hop`` frames.

    The first frame is repeated on the left by half a width, the last one as often as needed.
    """
    count = -(-len(mel) // hop)
    left = np.repeat(mel[:1], (width - 1) // 2, axis=0)
    missing = max(0, (count - 1) * hop + width - len(mel) - len(left))
    padded = np.concatenate([left, mel, np.repeat(mel[-1:], missing, axis=0)])
    index = np.arange(count)[:, None] * hop + np.arange(width)[None, :]
    return np.asarray(padded[index].reshape(count, width * mel.shape[1]))


def write_normalisation(path: Path, mean: Features, deviation: Features) -> None:
    """Write ``am.mvn`` (Kaldi's nnet text format): x becomes (x + shift) * scale."""

    def row(values: Features) -> str:
        return " ".join(f"{value:.6g}" for value in values)

    size = mean.size
    path.write_text(
        "<Nnet>\n"
        f"<Splice> {size} {size}\n[ 0 ]\n"
        f"<AddShift> {size} {size}\n<LearnRateCoef> 0 [ {row(-mean)} ]\n"
        f"<Rescale> {size} {size}\n<LearnRateCoef> 0 [ {row(1.0 / deviation)} ]\n"
        "</Nnet>\n",
        encoding="utf-8",
    )
