"""The world around a speaker: silence, room, background noise and level, drawn at random.

A scene is drawn first and applied afterwards, so that a scene can be named in a test and the
same one is heard each time. Rooms are exponentially decaying noise after a direct path;
backgrounds are noise of a random spectral slope, slowly swelling, with or without mains hum.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from scipy.signal import fftconvolve

from tinyasr.speech import SAMPLE_RATE, Samples

_FRAME = SAMPLE_RATE // 100


@dataclass(frozen=True)
class Scene:
    """Where an utterance is heard. ``None`` for an SNR or an RT60 means: none of it."""

    lead_seconds: float
    trail_seconds: float
    rms_dbfs: float
    snr_db: float | None
    reverb_seconds: float | None
    direct_to_reverb_db: float
    seed: int


@dataclass(frozen=True)
class Recording:
    """The audio of a scene, and for each 10 ms whether somebody speaks in it."""

    samples: Samples
    speech: npt.NDArray[np.bool_]


def draw_training_scene(rng: random.Random) -> Scene:
    """A third clean, the rest noisy down to 5 dB, most of those in a room."""
    clean = rng.random() < 0.33
    long_silence = rng.random() < 0.12
    return Scene(
        lead_seconds=rng.uniform(0.5, 2.0) if long_silence else rng.uniform(0.02, 0.6),
        trail_seconds=rng.uniform(0.5, 2.0) if long_silence else rng.uniform(0.02, 0.5),
        rms_dbfs=rng.uniform(-36.0, -14.0),
        snr_db=rng.choice([None, rng.uniform(25.0, 45.0)]) if clean else rng.uniform(5.0, 22.0),
        reverb_seconds=rng.uniform(0.1, 0.55) if rng.random() < (0.15 if clean else 0.7) else None,
        direct_to_reverb_db=rng.uniform(-1.0, 12.0),
        seed=rng.getrandbits(32),
    )


def draw_talk_scene(rng: random.Random) -> Scene:
    """For voice activity detection: like training, with up to two seconds of silence at both ends."""
    scene = draw_training_scene(rng)
    return replace(scene, lead_seconds=rng.uniform(0.1, 2.0), trail_seconds=rng.uniform(0.1, 2.0))


def draw_clean_scene(rng: random.Random) -> Scene:
    """For measuring: no room, no noise, some silence at both ends."""
    return Scene(rng.uniform(0.1, 0.5), rng.uniform(0.1, 0.5), -24.0, None, None, 0.0, rng.getrandbits(32))


def draw_noisy_scene(rng: random.Random) -> Scene:
    """For measuring: 10 to 15 dB of noise in a room that rings for 0.2 to 0.45 s."""
    return Scene(
        lead_seconds=rng.uniform(0.1, 0.5),
        trail_seconds=rng.uniform(0.1, 0.5),
        rms_dbfs=rng.uniform(-30.0, -18.0),
        snr_db=rng.uniform(10.0, 15.0),
        reverb_seconds=rng.uniform(0.2, 0.45),
        direct_to_reverb_db=rng.uniform(2.0, 8.0),
        seed=rng.getrandbits(32),
    )


def record(utterance: Samples, scene: Scene) -> Recording:
    """Put ``utterance`` into ``scene``."""
    rng = np.random.default_rng(scene.seed)
    lead = np.zeros(int(scene.lead_seconds * SAMPLE_RATE), np.float32)
    trail = np.zeros(int(scene.trail_seconds * SAMPLE_RATE), np.float32)
    dry = np.concatenate([lead, utterance, trail])
    speech = _speech_frames(dry)
    wet = dry
    if scene.reverb_seconds is not None:
        response = _room_response(scene.reverb_seconds, scene.direct_to_reverb_db, rng)
        wet = fftconvolve(dry, response)[: dry.size].astype(np.float32)
    level = float(np.sqrt(np.mean(wet[lead.size : lead.size + utterance.size] ** 2)))
    if level > 0.0:
        wet = wet * (10 ** (scene.rms_dbfs / 20) / level)
    if scene.snr_db is not None:
        noise_rms = 10 ** ((scene.rms_dbfs - scene.snr_db) / 20)
        wet = wet + noise_rms * _background(wet.size, rng)
    return Recording(np.clip(wet, -1.0, 1.0).astype(np.float32), speech)


def _room_response(reverb_seconds: float, direct_to_reverb_db: float, rng: np.random.Generator) -> Samples:
    count = int(reverb_seconds * SAMPLE_RATE)
    early = int(rng.uniform(0.002, 0.012) * SAMPLE_RATE)
    decay = np.exp(-6.9 * np.arange(count) / count)
    tail = rng.standard_normal(count) * decay
    tail[:early] = 0.0
    tail /= np.sqrt(np.sum(tail**2)) * 10 ** (direct_to_reverb_db / 20)
    tail[0] = 1.0
    return np.asarray(tail, dtype=np.float32)


def _background(count: int, rng: np.random.Generator) -> Samples:
    """Noise of unit RMS: spectral slope 0 to -6 dB an octave, swelling by a few dB, maybe with hum."""
    spectrum = np.fft.rfft(rng.standard_normal(count))
    slope = rng.uniform(0.0, 1.0)
    spectrum /= np.maximum(np.arange(spectrum.size), 40.0 * count / SAMPLE_RATE) ** slope
    noise = np.fft.irfft(spectrum, count)
    seconds = np.arange(count) / SAMPLE_RATE
    noise /= np.sqrt(np.mean(noise**2))
    noise *= 10 ** (
        rng.uniform(0.0, 3.0) * np.sin(2 * np.pi * rng.uniform(0.1, 1.0) * seconds + rng.uniform(0, 6)) / 20
    )
    if rng.random() < 0.3:
        base = rng.uniform(50.0, 180.0)
        for harmonic in range(1, 6):
            phase = rng.uniform(0.0, 2 * np.pi)
            noise += rng.uniform(0.0, 0.5) * np.sin(2 * np.pi * base * harmonic * seconds + phase)
    return np.asarray(noise / np.sqrt(np.mean(noise**2)), dtype=np.float32)


def _speech_frames(dry: Samples) -> npt.NDArray[np.bool_]:
    """Frames within 38 dB of the loudest one; gaps up to 120 ms inside a word count as speech."""
    count = max(1, dry.size // _FRAME)
    padded = np.pad(dry, (0, max(0, count * _FRAME - dry.size)))[: count * _FRAME]
    energy = np.mean(padded.reshape(count, _FRAME) ** 2, axis=1)
    speech = energy > max(energy.max() * 10 ** (-38 / 10), 1e-9)
    for left, right in itertools.pairwise(np.flatnonzero(speech)):
        if 1 < right - left <= 12:
            speech[left:right] = True
    return np.asarray(speech, dtype=np.bool_)
