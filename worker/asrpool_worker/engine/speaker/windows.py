"""From an utterance to the windows that a speaker model reads: all of one length, so that any rows make a batch.

FunASR's cut (its `sv_chunk`): 1.5 s every 0.75 s, the last window moved back to end with the audio. An utterance
shorter than a window is said again until the window is full, as 3D-Speaker, where the model comes from, does; FunASR
itself fills it with digital silence, which the statistics over the window then count as part of the voice.

Features are not the recogniser's: Kaldi's filter bank with its own default window over samples in [-1, 1), and each
window less its own mean, so that neither loudness nor microphone count.
"""

from __future__ import annotations

import kaldi_native_fbank
import numpy as np

from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, Samples
from asrpool_worker.engine.modeldir import FloatArray

WINDOW_SAMPLES = SAMPLE_RATE_HZ * 3 // 2
HOP_SAMPLES = SAMPLE_RATE_HZ * 3 // 4
MEL_BINS = 80
FRAME_SAMPLES, FRAME_SHIFT_SAMPLES = 400, 160
WINDOW_FRAMES = 1 + (WINDOW_SAMPLES - FRAME_SAMPLES) // FRAME_SHIFT_SAMPLES


def windows(samples: Samples) -> list[Samples]:
    """The windows of an utterance of at least one sample, each of `WINDOW_SAMPLES`."""
    count = len(samples)
    if count < WINDOW_SAMPLES:
        return [np.resize(samples, WINDOW_SAMPLES)]
    ends = range(WINDOW_SAMPLES, count + HOP_SAMPLES, HOP_SAMPLES)
    return [samples[min(end, count) - WINDOW_SAMPLES : min(end, count)] for end in ends]


def features(window: Samples) -> FloatArray:
    """What the model reads of one window: (WINDOW_FRAMES, MEL_BINS)."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = SAMPLE_RATE_HZ
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = "povey"
    options.frame_opts.snip_edges = True
    options.mel_opts.num_bins = MEL_BINS
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(SAMPLE_RATE_HZ, window)
    frames = np.stack([bank.get_frame(row) for row in range(bank.num_frames_ready)])
    centred: FloatArray = frames - frames.mean(axis=0, keepdims=True)
    return centred
