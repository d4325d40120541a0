"""Who speaks: speakers as voices with a pitch and a vocal tract of their own, and utterances of theirs to learn from.

A speaker keeps the voice, and pitch and tract within a little; what is said, how fast, and where it is heard change
from one utterance to the next. Speakers to measure with have voices that no training speaker has. The corpus is cached
like the recognisers' (see `corpus`), as whole utterances of the bands that a speaker model reads.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
import torch

from tinyasr import lexicon, voices
from tinyasr.acoustics import Scene, draw_training_scene, record
from tinyasr.corpus import cache_root
from tinyasr.features import Features, speaker_mel
from tinyasr.speech import Delivery, Samples, synthesise

_PITCH_WANDERS, _TRACT_WANDERS = 4, 0.01


@dataclass(frozen=True)
class Speaker:
    """One person: ``pitch`` and ``tract`` are those around which single utterances lie."""

    voice: str
    pitch: int
    tract: float


@dataclass(frozen=True)
class Recipe:
    """What the corpus is made of. Raise ``version`` when the way of making it changes."""

    speakers_per_voice: int = 4
    utterances_per_speaker: int = 8
    seed: int = 20261121
    version: int = 1


@dataclass(frozen=True)
class SpeakerSpeech:
    """Utterances (frames, 80) and for each the number of who speaks, 0 … ``speakers`` - 1."""

    mel: list[npt.NDArray[np.float16]]
    numbers: list[int]

    @property
    def speakers(self) -> int:
        """How many different speakers there are."""
        return max(self.numbers) + 1


def draw_speaker(rng: random.Random, voice: str) -> Speaker:
    """A person with that voice."""
    return Speaker(voice, rng.randint(25, 75), rng.uniform(0.92, 1.08))


def say(rng: random.Random, speaker: Speaker, scene_of: Callable[[random.Random], Scene]) -> Samples:
    """A sentence of the speaker's in a scene that `scene_of` draws."""
    delivery = Delivery(
        voice=speaker.voice,
        words_per_minute=rng.randint(115, 205),
        pitch=speaker.pitch + rng.randint(-_PITCH_WANDERS, _PITCH_WANDERS),
        tract=speaker.tract + rng.uniform(-_TRACT_WANDERS, _TRACT_WANDERS),
    )
    spoken = synthesise(lexicon.draw_sentence(rng, 3, 6).pinyin, delivery)
    return record(spoken, scene_of(rng)).samples


def held_out(utterances: int, scene_of: Callable[[random.Random], Scene]) -> list[list[Samples]]:
    """For each voice kept back, `utterances` of one speaker; the same ones each time."""
    spoken = []
    for number, voice in enumerate(voices.HELD_OUT):
        rng = random.Random(977 * 15485863 + number)
        speaker = draw_speaker(rng, voice)
        spoken.append([say(rng, speaker, scene_of) for _ in range(utterances)])
    return spoken


def prepare(recipe: Recipe, log: Callable[[str], None]) -> SpeakerSpeech:
    """The training corpus: made in a minute or two, or read from the cache."""
    inputs = [asdict(recipe), lexicon.DIGITS, lexicon.WORDS, voices.TRAINING]
    digest = hashlib.sha256(json.dumps(inputs, ensure_ascii=False).encode()).hexdigest()[:16]
    path = cache_root() / f"speakers-{digest}.npz"
    if not path.exists():
        log("making speech")
        mel, numbers = _make(recipe)
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_suffix(f".{os.getpid()}.tmp")
        with temporary.open("wb") as stream:
            lengths = [len(one) for one in mel]
            np.savez(stream, mel=np.concatenate(mel).astype(np.float16), lengths=lengths, numbers=numbers)
        temporary.rename(path)
    with np.load(path) as stored:
        pieces = np.split(stored["mel"], np.cumsum(stored["lengths"])[:-1])
        return SpeakerSpeech(pieces, stored["numbers"].tolist())


def _make(recipe: Recipe) -> tuple[list[Features], list[int]]:
    torch.set_num_threads(1)
    mel, numbers = [], []
    for number in range(recipe.speakers_per_voice * len(voices.TRAINING)):
        rng = random.Random(recipe.seed * 1_000_003 + number)
        speaker = draw_speaker(rng, voices.TRAINING[number % len(voices.TRAINING)])
        for _ in range(recipe.utterances_per_speaker):
            mel.append(speaker_mel(say(rng, speaker, draw_training_scene)))
            numbers.append(number)
    return mel, numbers
