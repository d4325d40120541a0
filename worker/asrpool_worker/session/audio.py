"""From the client's bytes to what the engine hears: 16-bit little-endian mono, any rate, to float32 at 16 kHz.

Resampling is streamed (soxr): samples near the end of a frame come out with the next one, and the rest at `flush`.
"""

from __future__ import annotations

import struct

import numpy as np
import soxr

from asrpool_worker.engine.messages import SAMPLE_RATE_HZ, Samples
from asrpool_worker.session.errors import CLOSE_POLICY, CLOSE_TOO_BIG, ProtocolError

MAX_WAV_HEADER_BYTES = 65_536
_WAVE_FORMAT_PCM = 1
_WAVE_FORMAT_EXTENSIBLE = 0xFFFE
_NOTHING: Samples = np.empty(0, np.float32)


class AudioInput:
    """One utterance's audio on its way in. Holds at most a WAV header and the resampler's few milliseconds."""

    def __init__(self, wav_format: str, sample_rate_hz: int) -> None:
        self._header: bytes | None = b"" if wav_format == "wav" else None
        self._resampler = _resampler(sample_rate_hz)

    def push(self, data: bytes) -> Samples:
        """Samples that these bytes complete. Raises `ProtocolError` on an odd byte count or a WAV file of another kind."""
        if self._header is not None:
            data = self._after_header(self._header + data)
        if len(data) % 2:
            raise ProtocolError(f"audio frame of {len(data)} bytes: 16-bit samples need an even number of bytes")
        if not data:
            return _NOTHING
        samples = np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)
        return samples if self._resampler is None else _resample(self._resampler, samples, last=False)

    def flush(self) -> Samples:
        """What the resampler still held. The object is done after it."""
        return _NOTHING if self._resampler is None else _resample(self._resampler, _NOTHING, last=True)

    def _after_header(self, header: bytes) -> bytes:
        """The audio bytes once the header is complete, else nothing yet."""
        found = _read_wav_header(header)
        if found is None:
            if len(header) > MAX_WAV_HEADER_BYTES:
                raise ProtocolError(
                    f'no "data" chunk in the first {MAX_WAV_HEADER_BYTES} bytes of the WAV file', CLOSE_TOO_BIG
                )
            self._header = header
            return b""
        offset, sample_rate_hz = found
        self._header = None
        self._resampler = _resampler(sample_rate_hz)
        return header[offset:]


def _resample(resampler: soxr.ResampleStream, samples: Samples, *, last: bool) -> Samples:
    resampled: Samples = resampler.resample_chunk(samples, last=last).astype(np.float32, copy=False)
    return resampled


def _resampler(sample_rate_hz: int) -> soxr.ResampleStream | None:
    if sample_rate_hz == SAMPLE_RATE_HZ:
        return None
    return soxr.ResampleStream(sample_rate_hz, SAMPLE_RATE_HZ, 1, dtype="float32")


def _read_wav_header(header: bytes) -> tuple[int, int] | None:
    """(offset of the first sample, sample rate), or None when more bytes are needed. Layout: RIFF, Microsoft 1991/1994."""
    if len(header) < 12:
        return None
    if header[:4] != b"RIFF" or header[8:12] != b"WAVE":
        raise ProtocolError('"wav_format" is "wav" but the audio does not start with a RIFF/WAVE header')
    position, sample_rate_hz = 12, 0
    while position + 8 <= len(header):
        name, size = header[position : position + 4], struct.unpack_from("<I", header, position + 4)[0]
        body = position + 8
        if name == b"data":
            if not sample_rate_hz:
                raise ProtocolError('the WAV file has its "data" before its "fmt " chunk')
            return body, sample_rate_hz
        if name == b"fmt ":
            if body + 16 > len(header):
                return None
            sample_rate_hz = _check_format(*struct.unpack_from("<HHIIHH", header, body))
        position = body + size + size % 2
    return None


def _check_format(tag: int, channels: int, rate_hz: int, _bytes_per_second: int, _block_bytes: int, bits: int) -> int:
    if tag not in (_WAVE_FORMAT_PCM, _WAVE_FORMAT_EXTENSIBLE) or bits != 16 or channels != 1:
        raise ProtocolError(
            f"WAV file with format {tag}, {channels} channels, {bits} bits; only 16-bit mono PCM is served",
            CLOSE_POLICY,
        )
    if not 4_000 <= rate_hz <= 192_000:
        raise ProtocolError(f"WAV file with {rate_hz} samples a second; allowed are 4000 to 192000", CLOSE_POLICY)
    return rate_hz
