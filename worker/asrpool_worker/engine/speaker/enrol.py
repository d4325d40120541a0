"""A roster from a folder of recordings: `NAME.wav`, or a folder `NAME` with several; the name is the label.

Recordings are 16-bit WAV of any rate and number of channels, at least one window of speech for each person. Whatever
is wrong with one is a `SettingsError` that names it: a roster with somebody silently missing would give their speech
to others.
"""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import soxr

from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, Samples
from asrpool_worker.engine.modeldir import FloatArray
from asrpool_worker.engine.speaker.model import unit
from asrpool_worker.engine.speaker.roster import THRESHOLD, Roster
from asrpool_worker.engine.speaker.windows import WINDOW_SAMPLES
from asrpool_worker.errors import SettingsError

SAMPLE_BYTES = 2


class Embedder(Protocol):
    """What enrolment needs of a speaker model."""

    def embed(self, samples: Sequence[Samples]) -> list[FloatArray]:
        """One embedding of unit length for each utterance."""


def enrol(folder: Path, embedder: Embedder, threshold: float = THRESHOLD) -> Roster:
    """Everybody in `folder`, each as the mean of their recordings. Raises `SettingsError` naming the file at fault."""
    recordings = _recordings(folder)
    enrolled = {}
    for name, paths in recordings.items():
        spoken = [read_wav(path) for path in paths]
        seconds = sum(map(len, spoken)) / SAMPLE_RATE_HZ
        if seconds * SAMPLE_RATE_HZ < WINDOW_SAMPLES:
            raise SettingsError(
                f"{folder}: {name} has {seconds:.1f} s of speech, at least {WINDOW_SAMPLES / SAMPLE_RATE_HZ} s are needed"
            )
        enrolled[name] = unit(np.mean(embedder.embed(spoken), axis=0, dtype=np.float32))
    return Roster(enrolled, threshold)


def _recordings(folder: Path) -> dict[str, list[Path]]:
    """The files of each name, in order."""
    if not folder.is_dir():
        raise SettingsError(f"{folder}: no such folder of enrolled speakers; correct the path")
    found: dict[str, list[Path]] = {}
    for path in sorted([*folder.glob("*.wav"), *folder.glob("*/*.wav")]):
        name = path.stem if path.parent == folder else path.parent.name
        found.setdefault(name, []).append(path)
    if not found:
        raise SettingsError(f"{folder}: holds no NAME.wav and no NAME/*.wav; put one recording there for each speaker")
    return found


def read_wav(path: Path) -> Samples:
    """The mono samples of a 16-bit WAV at 16 kHz, in [-1, 1). Raises `SettingsError` naming the file."""
    try:
        with wave.open(str(path), "rb") as file:
            channels, width, rate = file.getnchannels(), file.getsampwidth(), file.getframerate()
            data = file.readframes(file.getnframes())
    except (OSError, EOFError, wave.Error) as error:
        raise SettingsError(f"{path}: not a readable WAV file ({error}); save it as 16-bit PCM") from error
    if width != SAMPLE_BYTES:
        raise SettingsError(f"{path}: has {8 * width}-bit samples; save it as 16-bit PCM")
    whole = len(data) // (SAMPLE_BYTES * channels) * SAMPLE_BYTES * channels
    if whole == 0:
        raise SettingsError(f"{path}: holds no audio; record it again")
    frames = np.frombuffer(data[:whole], dtype="<i2").reshape(-1, channels).astype(np.float32) / 32768.0
    mono: Samples = frames.mean(axis=1, dtype=np.float32)
    if rate == SAMPLE_RATE_HZ:
        return mono
    resampled: Samples = soxr.resample(mono, rate, SAMPLE_RATE_HZ).astype(np.float32)
    return resampled
