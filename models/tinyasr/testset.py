"""Utterances for measuring: voices that no model was trained on, the same ones each time.

``build("clean", 300)`` and ``build("noisy", 300)`` speak the same sentences in the same voices;
noisy adds 10 to 15 dB of noise and a room. Made by espeak-ng when asked for, and cached.
"""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass
from typing import Literal

import numpy as np

from tinyasr import lexicon, voices
from tinyasr.acoustics import draw_clean_scene, draw_noisy_scene, record
from tinyasr.corpus import cache_root
from tinyasr.speech import SAMPLE_RATE, Samples, draw_delivery, synthesise

_VERSION = 1
_SEED = 977


@dataclass(frozen=True)
class Utterance:
    """Audio in [-1, 1] at 16 kHz, and what is said in it."""

    samples: Samples
    text: str


def build(kind: Literal["clean", "noisy"], count: int) -> list[Utterance]:
    """The first ``count`` utterances of the test set, clean or in noise and a room."""
    key = json.dumps([_VERSION, kind, count, lexicon.DIGITS, lexicon.WORDS, voices.HELD_OUT], ensure_ascii=False)
    path = cache_root() / f"test-{hashlib.sha256(key.encode()).hexdigest()[:16]}.npz"
    if not path.exists():
        utterances = [utterance(kind, number) for number in range(count)]
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(".tmp")
        with temporary.open("wb") as stream:
            np.savez(
                stream,
                samples=np.concatenate([as_pcm16(utterance.samples) for utterance in utterances]),
                lengths=np.array([utterance.samples.size for utterance in utterances]),
                texts=np.array([utterance.text for utterance in utterances]),
            )
        temporary.rename(path)
    with np.load(path) as stored:
        pieces = np.split(stored["samples"], np.cumsum(stored["lengths"])[:-1])
        texts = stored["texts"].tolist()
    return [Utterance(piece.astype(np.float32) / 32768.0, text) for piece, text in zip(pieces, texts, strict=True)]


def utterance(kind: Literal["clean", "noisy"], number: int) -> Utterance:
    """The utterance of that number: same voice and words in both kinds, another scene."""
    rng = random.Random(_SEED * 104729 + number)
    delivery = draw_delivery(rng, voices.HELD_OUT)
    sentence = lexicon.draw_sentence(rng)
    spoken = synthesise(sentence.pinyin, delivery)
    scene = (draw_clean_scene if kind == "clean" else draw_noisy_scene)(rng)
    return Utterance(record(spoken, scene).samples, sentence.text)


def conversation(number: int, sentences: int, pause_seconds: float) -> tuple[Utterance, list[str]]:
    """One held-out voice says several sentences with pauses: the audio, and each sentence's text."""
    rng = random.Random(_SEED * 7919 + number)
    delivery = draw_delivery(rng, voices.HELD_OUT)
    spoken = [lexicon.draw_sentence(rng, 2, 4) for _ in range(sentences)]
    pause = np.zeros(int(pause_seconds * SAMPLE_RATE), np.float32)
    pieces = [piece for sentence in spoken for piece in (synthesise(sentence.pinyin, delivery), pause)]
    recording = record(np.concatenate(pieces), draw_clean_scene(rng))
    texts = [sentence.text for sentence in spoken]
    return Utterance(recording.samples, "".join(texts)), texts


def as_pcm16(samples: Samples) -> np.ndarray[tuple[int, ...], np.dtype[np.int16]]:
    """The 16-bit samples a device would send."""
    return np.round(np.clip(samples, -1.0, 1.0) * 32767.0).astype(np.int16)
