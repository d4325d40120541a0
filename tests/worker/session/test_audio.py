"""Bytes to samples: formats, rates, and that it does not matter where frames are cut."""

from __future__ import annotations

import io
import struct
import wave

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from asrpool_worker.session.audio import AudioInput
from asrpool_worker.session.errors import ProtocolError


def tone(rate_hz: int, seconds: float, hertz: float = 440.0) -> bytes:
    times = np.arange(int(rate_hz * seconds)) / rate_hz
    return (np.sin(2 * np.pi * hertz * times) * 12_000).astype("<i2").tobytes()


def wav(data: bytes, rate_hz: int = 16_000, channels: int = 1, width: int = 2) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(channels)
        writer.setsampwidth(width)
        writer.setframerate(rate_hz)
        writer.writeframes(data)
    return file.getvalue()


def test_pcm_becomes_floats_between_minus_one_and_one() -> None:
    samples = AudioInput("pcm", 16_000).push(struct.pack("<4h", 0, 16384, 32767, -32768))
    assert samples.dtype == np.float32
    assert samples.tolist() == [0.0, 0.5, 32767 / 32768, -1.0]


def test_an_odd_byte_count_is_refused() -> None:
    with pytest.raises(ProtocolError, match="audio frame of 3 bytes: 16-bit samples need an even number"):
        AudioInput("pcm", 16_000).push(b"abc")


def test_an_empty_frame_is_nothing() -> None:
    assert len(AudioInput("pcm", 8_000).push(b"")) == 0


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 22_050, 44_100, 48_000])
def test_any_rate_becomes_16_khz_with_the_same_tone(rate_hz: int) -> None:
    audio = AudioInput("pcm", rate_hz)
    data = tone(rate_hz, 1.0)
    parts = [audio.push(data[start : start + 1_764]) for start in range(0, len(data), 1_764)] + [audio.flush()]
    samples = np.concatenate(parts)
    assert abs(len(samples) - 16_000) <= 2
    peak_hertz = np.argmax(np.abs(np.fft.rfft(samples[:16_000])))
    assert abs(int(peak_hertz) - 440) <= 1


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 3_000), min_size=1, max_size=20))
def test_where_frames_are_cut_does_not_change_the_samples(cuts: list[int]) -> None:
    data = tone(8_000, 0.5)
    audio, parts, start = AudioInput("pcm", 8_000), [], 0
    for cut in cuts:
        parts.append(audio.push(data[start : start + 2 * cut]))
        start += 2 * cut
    parts += [audio.push(data[start:]), audio.flush()]
    whole = soxr.ResampleStream(8_000, 16_000, 1, dtype="float32")
    expected = whole.resample_chunk(np.frombuffer(data, "<i2").astype(np.float32) / 32768, last=True)
    assert np.allclose(np.concatenate(parts), expected, atol=1e-5)


@pytest.mark.parametrize("cut", [1, 3, 11, 12, 20, 43, 44, 45, 4_000])
def test_a_wav_header_is_skipped_wherever_the_frame_is_cut(cut: int) -> None:
    data = tone(16_000, 0.25)
    file = wav(data)
    audio = AudioInput("wav", 16_000)
    cut += cut > 44 and cut % 2
    samples = np.concatenate([audio.push(file[:cut]), audio.push(file[cut:])])
    assert np.array_equal(samples, np.frombuffer(data, "<i2") / np.float32(32768))


def test_the_wav_headers_rate_counts_and_other_chunks_are_passed_over() -> None:
    file = wav(tone(8_000, 0.5), rate_hz=8_000)
    listed = file[:36] + b"LIST" + struct.pack("<I", 5) + b"odd!!\0" + file[36:]
    audio = AudioInput("wav", 48_000)
    samples = np.concatenate([audio.push(listed), audio.flush()])
    assert abs(len(samples) - 8_000) <= 2


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        pytest.param(b"OggS" + bytes(40), "does not start with a RIFF/WAVE header", id="not WAV"),
        pytest.param(wav(bytes(400), channels=2), "2 channels", id="stereo"),
        pytest.param(wav(bytes(400), width=1), "8 bits", id="8 bits"),
        pytest.param(wav(bytes(400), rate_hz=1_000), "1000 samples a second", id="rate"),
        pytest.param(b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd", "before its", id="no format"),
        pytest.param(
            b"RIFF\0\0\0\0WAVE" + b"JUNK" + struct.pack("<I", 1 << 31) + bytes(70_000),
            'no "data"',
            id="no end of header",
        ),
    ],
)
def test_refuses_other_files(file: bytes, sentence: str) -> None:
    with pytest.raises(ProtocolError, match=sentence):
        AudioInput("wav", 16_000).push(file)


def test_a_header_that_trickles_in_for_ever_is_refused() -> None:
    audio = AudioInput("wav", 16_000)
    audio.push(b"RIFF\0\0\0\0WAVE" + b"JUNK" + struct.pack("<I", 1 << 31))
    for _ in range(65):
        audio.push(bytes(1_000))
    with pytest.raises(ProtocolError, match='no "data" chunk in the first 65536 bytes'):
        audio.push(bytes(1_000))
