"""From samples to the frames a model reads, exactly as FunASR's front end computes them (dither 0).

Filter banks come from kaldi-native-fbank. A filter-bank frame depends on its own 25 ms only, so one run over a stream
serves its VAD, its streaming pass and its second pass: an utterance is a slice of frames, and raw samples are dropped
as soon as they are framed. Stacking (LFR: m frames every n, edges repeated) and CMVN are closed forms over such slices.
"""

from __future__ import annotations

import math

import kaldi_native_fbank
import numpy as np

from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, Samples
from asrpool_worker.engine.modeldir import FloatArray, FrontendConfig

SAMPLE_SCALE = 32768.0
"""FunASR scales [-1, 1) back to 16-bit values before the filter bank."""


class FilterBank:
    """One stream's filter-bank frames: feed samples, take the frames that became complete."""

    def __init__(self, frontend: FrontendConfig) -> None:
        options = kaldi_native_fbank.FbankOptions()
        options.frame_opts.samp_freq = SAMPLE_RATE_HZ
        options.frame_opts.dither = 0.0
        options.frame_opts.window_type = frontend.window
        options.frame_opts.frame_length_ms = 1000.0 * frontend.frame_length_samples / SAMPLE_RATE_HZ
        options.frame_opts.frame_shift_ms = 1000.0 * frontend.frame_shift_samples / SAMPLE_RATE_HZ
        options.frame_opts.snip_edges = True
        options.mel_opts.num_bins = frontend.mel_bins
        options.energy_floor = 0.0
        self._fbank = kaldi_native_fbank.OnlineFbank(options)
        self._mel_bins = frontend.mel_bins
        self._taken = 0

    def push(self, samples: Samples) -> FloatArray:
        """The frames completed by `samples`: (frames, mel_bins), possibly none."""
        self._fbank.accept_waveform(SAMPLE_RATE_HZ, samples * SAMPLE_SCALE)
        count = self._fbank.num_frames_ready - self._taken
        frames = np.empty((count, self._mel_bins), dtype=np.float32)
        for row in range(count):
            frames[row] = self._fbank.get_frame(self._taken + row)
        self._fbank.pop(count)
        self._taken += count
        return frames


def frames_needed(frontend: FrontendConfig, stacked: int) -> int:
    """How many filter-bank frames must exist before `stacked` whole LFR frames do (no padding at the end)."""
    return (stacked - 1) * frontend.lfr_n + 1 + frontend.lfr_m // 2


def stacked_count(frontend: FrontendConfig, frames: int, final: bool) -> int:
    """How many LFR frames `frames` filter-bank frames give; at the end the last one is repeated as needed."""
    if final:
        return math.ceil(frames / frontend.lfr_n)
    return max(0, (frames - 1 - frontend.lfr_m // 2) // frontend.lfr_n + 1)


def first_frame_of(frontend: FrontendConfig, stacked: int) -> int:
    """The earliest filter-bank frame that LFR frame `stacked` is made of."""
    return max(0, stacked * frontend.lfr_n - (frontend.lfr_m - 1) // 2)


def stack(
    frontend: FrontendConfig, cmvn: FloatArray, frames: FloatArray, begin: int, end: int, first: int = 0
) -> FloatArray:
    """LFR frames `begin`..`end` of an utterance, normalised: (end - begin, feature_size).

    `frames` are the utterance's filter-bank frames from number `first` to its newest. LFR frame k is made of frames
    n*k - (m-1)/2 … n*k + m/2; those before the utterance or after its newest frame repeat its first or newest.
    """
    left = (frontend.lfr_m - 1) // 2
    centres = np.arange(begin, end, dtype=np.int64)[:, None] * frontend.lfr_n
    wanted = centres + np.arange(-left, frontend.lfr_m - left, dtype=np.int64)
    index = np.clip(wanted, 0, first + len(frames) - 1) - first
    stacked: FloatArray = frames[index].reshape(end - begin, frontend.feature_size)
    stacked += cmvn[0]
    stacked *= cmvn[1]
    return stacked


def positions(first: int, count: int, size: int) -> FloatArray:
    """Sinusoidal encodings of positions `first`, first+1, … (FunASR counts from 1): (count, size), sines then cosines.

    Computed per chunk in constant time, so a stream's cost does not grow with its age.
    """
    half = size // 2
    step = np.float32(math.log(10_000.0)) / np.float32(size / 2 - 1)
    timescales = np.exp(np.arange(half, dtype=np.float32) * -step)
    scaled = np.arange(first, first + count, dtype=np.float32)[:, None] * timescales
    return np.concatenate([np.sin(scaled), np.cos(scaled)], axis=1)
