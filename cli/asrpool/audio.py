"""WAV and raw PCM files as what goes over the wire: 16-bit little-endian mono, at the file's own rate."""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from asrpool.errors import UsageError

RIFF = b"RIFF"


@dataclass(frozen=True)
class Pcm:
    """Audio in memory."""

    data: bytes
    sample_rate_hz: int

    @property
    def seconds(self) -> float:
        """How long it plays."""
        return len(self.data) / (2 * self.sample_rate_hz)

    def frame_bytes(self, milliseconds: float) -> int:
        """Bytes of so many milliseconds, a whole number of samples and at least one."""
        return 2 * max(1, round(self.sample_rate_hz * milliseconds / 1000))


def read_audio(path: Path, raw_rate_hz: int = 16_000) -> Pcm:
    """A WAV file by its header; anything else as raw samples of `raw_rate_hz`. Raises `UsageError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    if content.startswith(RIFF):
        return read_wav(io.BytesIO(content), str(path))
    if path.suffix.lower() not in (".pcm", ".raw", ".s16"):
        raise UsageError(f"{path} is neither a WAV file nor named .pcm, .raw or .s16")
    return Pcm(content[: len(content) // 2 * 2], raw_rate_hz)


def read_wav(file: BinaryIO, name: str) -> Pcm:
    """A 16-bit PCM WAV file; several channels are averaged. Raises `UsageError`."""
    try:
        with wave.open(file) as wav:
            channels, width, rate_hz = wav.getnchannels(), wav.getsampwidth(), wav.getframerate()
            data = wav.readframes(wav.getnframes())
    except (wave.Error, EOFError) as error:
        raise UsageError(f"{name} is not a PCM WAV file: {error}") from error
    if width != 2:
        raise UsageError(f"{name} has {8 * width} bits a sample; convert it to 16 (sox {name} -b 16 out.wav)")
    if channels > 1:
        samples = np.frombuffer(data, "<i2").reshape(-1, channels).mean(axis=1)
        data = samples.astype("<i2").tobytes()
    return Pcm(data, rate_hz)
