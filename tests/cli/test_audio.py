"""Files that people give."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import pytest

from asrpool.audio import read_audio
from asrpool.errors import UsageError


def write(path: Path, data: bytes, *, channels: int = 1, width: int = 2, rate: int = 8_000) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(data)
    return path


def test_a_wav_file_keeps_its_rate(tmp_path: Path) -> None:
    pcm = read_audio(write(tmp_path / "a.wav", bytes(8_000)))
    assert (pcm.sample_rate_hz, pcm.seconds, pcm.frame_bytes(60)) == (8_000, 0.5, 960)


def test_channels_are_averaged(tmp_path: Path) -> None:
    pcm = read_audio(write(tmp_path / "a.wav", struct.pack("<4h", 100, 300, -5, 5), channels=2))
    assert struct.unpack("<2h", pcm.data) == (200, 0)


def test_raw_samples_have_the_rate_that_was_said_and_lose_half_a_sample(tmp_path: Path) -> None:
    (tmp_path / "a.pcm").write_bytes(bytes(321))
    pcm = read_audio(tmp_path / "a.pcm", raw_rate_hz=16_000)
    assert (len(pcm.data), pcm.sample_rate_hz) == (320, 16_000)


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("missing.wav", None, "cannot read"),
        ("text.txt", b"hello", "neither a WAV file nor named"),
        ("broken.wav", b"RIFF1234WAVE", "is not a PCM WAV file"),
    ],
)
def test_other_files_are_named(tmp_path: Path, name: str, content: bytes | None, sentence: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=sentence):
        read_audio(tmp_path / name)


def test_other_widths_are_refused_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has 8 bits a sample; convert it to 16"):
        read_audio(write(tmp_path / "a.wav", bytes(100), width=1))
