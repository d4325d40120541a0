"""A folder of recordings becomes a roster; a recording that cannot be used is named."""

from __future__ import annotations

import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from asrpool_worker.engine.messages import Samples
from asrpool_worker.engine.modeldir import FloatArray
from asrpool_worker.engine.speaker.enrol import enrol, read_wav
from asrpool_worker.errors import SettingsError


class Loudness:
    """Stands in for a model: quiet speech points one way, loud speech another."""

    def embed(self, samples: Sequence[Samples]) -> list[FloatArray]:
        angles = [float(np.abs(one).mean()) for one in samples]
        return [np.array([np.cos(angle), np.sin(angle)], np.float32) for angle in angles]


def write_wav(
    path: Path, level: float, seconds: float = 2.0, rate: int = 16_000, channels: int = 1, width: int = 2
) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        samples = np.full((int(seconds * rate), channels), level * 32768.0)
        file.writeframes(samples.astype("<i2").tobytes() if width == 2 else bytes(samples.size * width))


def test_files_and_folders_name_their_speakers(tmp_path: Path) -> None:
    write_wav(tmp_path / "anna.wav", 0.5)
    for number, level in enumerate((0.1, 0.3)):
        write_wav(tmp_path / "ben" / f"take-{number}.wav", level, seconds=1.0)
    (tmp_path / "README.txt").write_text("two people")
    roster = enrol(tmp_path, Loudness(), threshold=0.9)
    assert roster.threshold == 0.9
    assert set(roster.enrolled) == {"anna", "ben"}
    for name, angle in (("anna", 0.5), ("ben", 0.2)):
        assert np.allclose(roster.enrolled[name], [np.cos(angle), np.sin(angle)], atol=1e-3)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 2), (48_000, 1)])
def test_any_rate_and_channels_become_16_khz_mono(tmp_path: Path, rate: int, channels: int) -> None:
    write_wav(tmp_path / "a.wav", 0.25, seconds=2.0, rate=rate, channels=channels)
    samples = read_wav(tmp_path / "a.wav")
    assert samples.dtype == np.float32
    assert samples.shape == (32_000,)
    assert np.allclose(samples[8_000:24_000], 0.25, atol=1e-3)


def test_channels_are_mixed(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(np.tile(np.array([16_384, 0], "<i2"), 100).tobytes())
    assert np.allclose(read_wav(tmp_path / "a.wav"), 0.25)


def test_a_recording_that_stops_short_gives_what_it_has(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav", 0.5, seconds=2.0)
    data = (tmp_path / "a.wav").read_bytes()
    (tmp_path / "a.wav").write_bytes(data[:20_045])
    assert np.allclose(read_wav(tmp_path / "a.wav"), 0.5)


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not audio at all", None], ids=["empty", "cut", "text", "24 bit"])
def test_an_unreadable_recording_is_named(tmp_path: Path, content: bytes | None) -> None:
    write_wav(tmp_path / "anna.wav", 0.5)
    if content is None:
        write_wav(tmp_path / "ben.wav", 0.5, width=3)
    else:
        (tmp_path / "ben.wav").write_bytes(content)
    with pytest.raises(SettingsError, match=r"ben\.wav.*16-bit PCM"):
        enrol(tmp_path, Loudness())


def test_too_little_speech_is_named(tmp_path: Path) -> None:
    write_wav(tmp_path / "ben" / "a.wav", 0.5, seconds=0.7)
    write_wav(tmp_path / "ben" / "b.wav", 0.5, seconds=0.7)
    with pytest.raises(SettingsError, match=r"ben has 1\.4 s"):
        enrol(tmp_path, Loudness())


def test_a_recording_without_audio_is_named(tmp_path: Path) -> None:
    write_wav(tmp_path / "ben.wav", 0.5, seconds=0.0)
    with pytest.raises(SettingsError, match=r"ben\.wav: holds no audio"):
        enrol(tmp_path, Loudness())


@pytest.mark.parametrize("make", [True, False], ids=["empty", "absent"])
def test_a_folder_without_recordings_is_named(tmp_path: Path, make: bool) -> None:
    folder = tmp_path / "people"
    if make:
        folder.mkdir()
    with pytest.raises(SettingsError, match="people"):
        enrol(folder, Loudness())


def test_a_name_of_unknown_speakers_is_refused(tmp_path: Path) -> None:
    write_wav(tmp_path / "speaker-1.wav", 0.5)
    with pytest.raises(SettingsError, match="speaker-1"):
        enrol(tmp_path, Loudness())
