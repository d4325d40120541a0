"""The training corpus: made once from seeds, kept as features outside the source tree.

A corpus is a pure function of its ``Recipe``, the lexicon and the voices, and is cached under a
hash of these (``~/.cache/asrpool/speech/<hash>``, or below ``$ASRPOOL_CACHE``). Shards are written
under a temporary name and renamed, so that an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import random
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from tinyasr import lexicon, voices
from tinyasr.acoustics import draw_talk_scene, draw_training_scene, record
from tinyasr.features import Features, log_mel
from tinyasr.speech import SAMPLE_RATE, Samples, draw_delivery, synthesise


@dataclass(frozen=True)
class Recipe:
    """What a corpus is made of. Raise ``version`` when the way of making it changes.

    ``turns``: single utterances, cut close. ``talk``: longer clips with silence between the
    utterances, and some with nobody speaking, so that silence is heard as silence.
    """

    utterances: int
    kind: Literal["turns", "talk"] = "turns"
    shard_size: int = 500
    seed: int = 20261120
    version: int = 1


TURNS = Recipe(16000)
TALK = Recipe(1200, kind="talk", shard_size=100)


@dataclass(frozen=True)
class Example:
    """One utterance: (frames, 80) features, its text, and for each frame whether it is speech."""

    mel: Features
    text: str
    speech: npt.NDArray[np.bool_]


def cache_root() -> Path:
    """Where made speech is kept between runs."""
    base = os.environ.get("ASRPOOL_CACHE")
    return (Path(base) if base else Path.home() / ".cache" / "asrpool") / "speech"


def folder_of(recipe: Recipe) -> Path:
    """The cache folder of a recipe: every input of the corpus enters the hash."""
    inputs = [asdict(recipe), lexicon.DIGITS, lexicon.WORDS, voices.TRAINING]
    digest = hashlib.sha256(json.dumps(inputs, ensure_ascii=False).encode()).hexdigest()
    return cache_root() / digest[:16]


def make_utterance(rng: random.Random, speakers: tuple[str, ...]) -> tuple[str, Samples]:
    """One speaker says one sentence or, now and then, two or three with pauses between them."""
    delivery = draw_delivery(rng, speakers)
    count = rng.choices([1, 2, 3], [0.85, 0.12, 0.03])[0]
    texts: list[str] = []
    pieces: list[Samples] = []
    for _ in range(count):
        sentence = lexicon.draw_sentence(rng, *((2, 6) if count == 1 else (1, 3)))
        if pieces:
            pieces.append(np.zeros(int(rng.uniform(0.2, 1.3) * SAMPLE_RATE), np.float32))
        texts.append(sentence.text)
        pieces.append(synthesise(sentence.pinyin, delivery))
    return "".join(texts), np.concatenate(pieces)


def make_example(kind: Literal["turns", "talk"], rng: random.Random) -> Example:
    """One training clip in a random scene."""
    if kind == "turns":
        text, samples = make_utterance(rng, voices.TRAINING)
        recording = record(samples, draw_training_scene(rng))
    else:
        text, samples = _make_talk(rng)
        recording = record(samples, draw_talk_scene(rng))
    mel = log_mel(recording.samples)
    # A 25 ms window belongs to the 10 ms it is centred on, hence the shift by one.
    return Example(mel, text, recording.speech[1 : len(mel) + 1])


def _make_talk(rng: random.Random) -> tuple[str, Samples]:
    """Up to three speakers one after another with half a second to three seconds between them."""
    texts: list[str] = []
    pieces: list[Samples] = []
    for _ in range(rng.choice([0, 1, 2, 2, 3])):
        sentence = lexicon.draw_sentence(rng, 1, 4)
        texts.append(sentence.text)
        pieces.append(synthesise(sentence.pinyin, draw_delivery(rng, voices.TRAINING)))
        pieces.append(np.zeros(int(rng.uniform(0.5, 3.0) * SAMPLE_RATE), np.float32))
    return "".join(texts), np.concatenate(pieces) if pieces else np.zeros(5 * SAMPLE_RATE, np.float32)


def _shard_path(folder: Path, shard: int) -> Path:
    return folder / f"shard-{shard:04d}.npz"


def _write_shard(recipe: Recipe, folder: Path, shard: int) -> int:
    """Make one shard; returns its number."""
    target = _shard_path(folder, shard)
    torch.set_num_threads(1)
    first = shard * recipe.shard_size
    count = min(recipe.shard_size, recipe.utterances - first)
    examples = [
        make_example(recipe.kind, random.Random(recipe.seed * 1_000_003 + first + offset)) for offset in range(count)
    ]
    temporary = target.with_suffix(f".{os.getpid()}.tmp")
    with temporary.open("wb") as stream:
        np.savez(
            stream,
            mel=np.concatenate([example.mel for example in examples]).astype(np.float16),
            speech=np.concatenate([example.speech for example in examples]),
            lengths=np.array([len(example.mel) for example in examples]),
            texts=np.array([example.text for example in examples]),
        )
    temporary.rename(target)
    return shard


def prepare(recipe: Recipe, processes: int = 2) -> Path:
    """Make what is missing of the corpus, in ``processes`` processes, and return its folder."""
    folder = folder_of(recipe)
    folder.mkdir(parents=True, exist_ok=True)
    count = -(-recipe.utterances // recipe.shard_size)
    missing = [shard for shard in range(count) if not _shard_path(folder, shard).exists()]
    if not missing:
        return folder
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for done, _ in enumerate(pool.imap_unordered(partial(_write_shard, recipe, folder), missing), 1):
            print(f"speech ({recipe.kind}): {done} of {len(missing)} shards", flush=True)
    return folder


def load(folder: Path) -> Iterator[Example]:
    """The examples of a prepared corpus, always in the same order."""
    for path in sorted(folder.glob("shard-*.npz")):
        with np.load(path) as shard:
            mel, speech = shard["mel"], shard["speech"]
            start = 0
            for length, text in zip(shard["lengths"].tolist(), shard["texts"].tolist(), strict=True):
                end = start + length
                yield Example(mel[start:end], text, speech[start:end])
                start = end
