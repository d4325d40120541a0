"""The bench's speech: of the length asked, the same for a seed, with pauses, ending while it speaks."""

from __future__ import annotations

import numpy as np

from bench.streams.speech import FRAME_BYTES, SAMPLE_RATE_HZ, speech


def test_it_has_the_length_asked_in_whole_frames() -> None:
    audio = speech(30, seed=3)
    assert audio.frames == 500
    assert all(len(audio.frame(number)) == FRAME_BYTES for number in (0, 250, 499))
    assert audio.frame(500) == b""


def test_a_seed_gives_the_same_speech_and_another_one_other_speech() -> None:
    assert speech(5, seed=1) == speech(5, seed=1)
    assert speech(5, seed=1) != speech(5, seed=2)


def test_it_pauses_for_longer_than_the_vad_waits_and_ends_while_it_speaks() -> None:
    samples = np.abs(np.frombuffer(speech(30, seed=5).data, dtype="<i2").astype(np.int64))
    loud = np.flatnonzero(samples > 200)
    pauses = np.diff(loud) / SAMPLE_RATE_HZ
    assert 3 <= (pauses > 0.95).sum() <= 12
    assert samples.size - loud[-1] < 0.1 * SAMPLE_RATE_HZ
    assert samples.reshape(-1, 1600).max(axis=1).min() > 0, "no digital silence"
