"""Text to speech through the espeak-ng program: one call, one utterance, 16 kHz.

Deterministic: the same arguments always give the same samples.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import soxr

Samples = npt.NDArray[np.float32]

SAMPLE_RATE = 16000
_ESPEAK_RATE = 22050
_WAV_HEADER_BYTES = 44


class SynthesiserMissingError(RuntimeError):
    """espeak-ng is not installed, so no speech can be made."""


@dataclass(frozen=True)
class Delivery:
    """How a sentence is spoken; ``tract`` > 1 shortens the vocal tract and quickens the speech."""

    voice: str
    words_per_minute: int
    pitch: int
    tract: float


def draw_delivery(rng: random.Random, voices: tuple[str, ...]) -> Delivery:
    """A voice with a random pace, pitch and vocal tract."""
    return Delivery(
        voice=rng.choice(voices),
        words_per_minute=rng.randint(115, 205),
        pitch=rng.randint(25, 75),
        tract=rng.uniform(0.92, 1.08),
    )


def synthesise(pinyin: str, delivery: Delivery) -> Samples:
    """Speak numbered pinyin. Returns samples in [-1, 1] at 16 kHz, silence at both ends trimmed."""
    program = shutil.which("espeak-ng")
    if program is None:
        raise SynthesiserMissingError("espeak-ng is not installed: run `apt-get install espeak-ng`")
    command = [
        program,
        "-v", f"cmn-latn-pinyin+{delivery.voice}",
        "-s", str(delivery.words_per_minute),
        "-p", str(delivery.pitch),
        "--stdout",
        pinyin,
    ]  # fmt: skip
    wav = subprocess.run(command, check=True, capture_output=True).stdout
    raw = np.frombuffer(wav[_WAV_HEADER_BYTES:], dtype="<i2").astype(np.float32) / 32768.0
    samples = soxr.resample(raw, _ESPEAK_RATE * delivery.tract, SAMPLE_RATE).astype(np.float32)
    loud = np.flatnonzero(np.abs(samples) > 1e-3)
    if loud.size == 0:
        raise RuntimeError(f"espeak-ng said nothing for {pinyin!r} with voice {delivery.voice!r}")
    return np.asarray(samples[loud[0] : loud[-1] + 1])
