"""What the streams say: recorded sentences with pauses between them, in an order of each stream's own.

Every stream ends while it speaks, as a caller does, so that its tail holds the work of a last utterance. The pauses are
longer than the VAD waits, and hold the quiet noise of a room instead of digital silence, which no microphone gives.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from asrpool.audio import read_audio

SENTENCES = Path(__file__).resolve().parents[2] / "tests" / "data"
SAMPLE_RATE_HZ = 16_000
FRAME_MS = 60
FRAME_BYTES = 2 * SAMPLE_RATE_HZ * FRAME_MS // 1000
NOISE_LEVEL = 3.0
"""Standard deviation of the room's noise in 16-bit steps: about -80 dBFS."""

PAUSE_SECONDS = (1.0, 1.6)
LOUD = 200
"""16-bit steps; what lies outside the first and the last sample above it is a recording's own silence."""

Pcm = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Speech:
    """Audio of one stream: 16-bit mono PCM at 16 kHz, a whole number of frames."""

    data: bytes

    @property
    def frames(self) -> int:
        """Frames of 60 ms."""
        return len(self.data) // FRAME_BYTES

    def frame(self, number: int) -> bytes:
        """Frame `number` of it."""
        return self.data[number * FRAME_BYTES : (number + 1) * FRAME_BYTES]


def speech(seconds: float, seed: int) -> Speech:
    """So many seconds of sentences and pauses, the same for the same seed."""
    order = random.Random(seed)
    sentences = _sentences()
    samples = max(1, round(seconds * 1000 / FRAME_MS)) * FRAME_BYTES // 2
    parts: list[Pcm] = []
    length = 0
    while length < samples:
        parts.insert(0, order.choice(sentences))
        parts.insert(0, np.zeros(round(order.uniform(*PAUSE_SECONDS) * SAMPLE_RATE_HZ)))
        length += len(parts[0]) + len(parts[1])
    joined = np.concatenate(parts)[-samples:]
    noise = np.random.default_rng(seed).normal(0.0, NOISE_LEVEL, samples)
    return Speech(np.clip(np.rint(joined + noise), -32768, 32767).astype("<i2").tobytes())


def _sentences() -> list[Pcm]:
    found = [_trimmed(path) for path in sorted(SENTENCES.glob("utterance-*.wav"))]
    if not found:
        raise FileNotFoundError(f"{SENTENCES}: no utterance-*.wav; run `make models` to make the test speech anew")
    return found


def _trimmed(path: Path) -> Pcm:
    samples = np.frombuffer(read_audio(path).data, dtype="<i2").astype(np.float64)
    loud = np.flatnonzero(np.abs(samples) > LOUD)
    return samples[loud[0] : loud[-1] + 1]
