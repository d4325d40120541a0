"""The voice activity detector finds sentences and their pauses, through FunASR's own end-point logic."""

from __future__ import annotations

import json
import wave
from typing import Any

import numpy as np
import pytest

from tests.models import recognise
from tests.models.recognise import MODELS
from tinyasr import testset
from tinyasr.speech import Samples

pytestmark = pytest.mark.model
_DATA = MODELS.parent / "tests" / "data"


@pytest.fixture(scope="module")
def detector() -> Any:
    return recognise.load("fsmn-vad-tiny")


def _events(detector: Any, samples: Samples, chunk_ms: int = 100) -> list[tuple[int, int, int]]:
    """(when it was said, start, end) in milliseconds, -1 where an event has none of the two."""
    cache: dict[str, Any] = {}
    events = []
    stride = chunk_ms * 16
    for begin in range(0, samples.size, stride):
        final = begin + stride >= samples.size
        result = detector.generate(
            input=samples[begin : begin + stride], cache=cache, is_final=final, chunk_size=chunk_ms
        )
        events += [((begin + stride) // 16, start, end) for start, end in result[0]["value"]]
    return events


@pytest.mark.parametrize("number", range(6))
def test_each_sentence_is_one_segment(detector: Any, number: int) -> None:
    """Three sentences with 1.2 s between them are three segments, and the pauses are in none."""
    utterance, sentences = testset.conversation(number, 3, 1.2)
    segments = detector.generate(input=utterance.samples)[0]["value"]
    assert len(segments) == len(sentences)
    loud = np.abs(utterance.samples) > 1e-3
    heard = np.zeros_like(loud)
    for start_ms, end_ms in segments:
        heard[start_ms * 16 : end_ms * 16] = True
    assert (loud & ~heard).sum() < 0.01 * loud.sum()


@pytest.mark.parametrize("number", range(6))
def test_end_of_speech_is_reported_within_eight_hundred_milliseconds(detector: Any, number: int) -> None:
    utterance, _ = testset.conversation(number, 1, 2.0)
    last_loud_ms = int(np.flatnonzero(np.abs(utterance.samples) > 1e-3)[-1]) // 16
    reported = [now for now, _, end in _events(detector, utterance.samples) if end >= 0]
    assert len(reported) == 1
    assert 300 <= reported[0] - last_loud_ms <= 800


@pytest.mark.parametrize("level", [0.0, 1e-4, 0.02], ids=["digital silence", "faint noise", "loud noise"])
def test_nobody_speaks_in_silence_or_noise(detector: Any, level: float) -> None:
    noise = np.random.default_rng(4).normal(0.0, 1.0, 16000 * 8).astype(np.float32) * level
    assert detector.generate(input=noise)[0]["value"] == []


def test_sample_files_are_what_their_texts_say(detector: Any) -> None:
    """The WAV files that other tests and the demo stream: format, lengths, and speech in each."""
    texts: dict[str, str] = json.loads((_DATA / "texts.json").read_text(encoding="utf-8"))
    assert {path.name for path in _DATA.glob("*.wav")} == set(texts)
    for name, text in texts.items():
        with wave.open(str(_DATA / name)) as file:
            assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16000)
            samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
        assert text
        assert 2.0 <= samples.size / 16000 <= 16.0
        assert len(detector.generate(input=samples)[0]["value"]) >= (3 if name.startswith("conversation") else 1)
