"""The made speech: what is said, by whom, and that it is the same each time."""

from __future__ import annotations

import itertools
import random
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tinyasr import corpus, lexicon, testset, voices
from tinyasr.acoustics import Scene, draw_noisy_scene, record
from tinyasr.speech import Delivery, synthesise

_QUIET = Scene(0.5, 0.4, -20.0, None, None, 0.0, 7)


def test_vocabulary_is_at_least_sixty_characters() -> None:
    assert len(lexicon.characters()) >= 60
    assert len(set(lexicon.characters())) == len(lexicon.characters())


def test_no_two_characters_sound_alike() -> None:
    """Not even by tone alone: a wrong character is then always a wrong sound."""
    sounds: dict[str, set[str]] = {}
    for text, pinyin in (lexicon.DIGITS | lexicon.WORDS).items():
        for character, syllable in zip(text, pinyin.split(), strict=True):
            sounds.setdefault(syllable.rstrip("12345"), set()).add(character)
    assert {sound: names for sound, names in sounds.items() if len(names) > 1} == {}


def test_tokens_stand_in_funasrs_order() -> None:
    tokens = lexicon.token_list()
    assert tokens[:3] == ["<blank>", "<s>", "</s>"]
    assert tokens[-1] == "<unk>"


def test_sentences_come_in_free_order() -> None:
    """Any word may follow any word."""
    rng = random.Random(1)
    pairs: set[tuple[str, str]] = set()
    for _ in range(20000):
        units = lexicon.draw_sentence(rng).text
        pairs.update(itertools.pairwise(units))
    followers = {second for first, second in pairs if first == "开"}
    assert followers == {word[0] for word in lexicon.WORDS} | set(lexicon.DIGITS)


def test_measured_voices_were_never_trained_on() -> None:
    assert set(voices.TRAINING).isdisjoint(voices.HELD_OUT)


def test_espeak_has_every_voice() -> None:
    """An unknown variant would be spoken by the base voice without a word."""
    listing = subprocess.run(["espeak-ng", "--voices=variant"], check=True, capture_output=True, text=True).stdout
    known = set(re.findall(r"!v/(\S+)", listing))
    assert set(voices.TRAINING + voices.HELD_OUT) <= known


def test_speech_is_the_same_each_time() -> None:
    delivery = Delivery("f4", 150, 50, 1.03)
    np.testing.assert_array_equal(synthesise("da3kai1", delivery), synthesise("da3kai1", delivery))


def test_examples_depend_on_the_seed_alone() -> None:
    first, again = (corpus.make_example("turns", random.Random(5)) for _ in range(2))
    assert first.text == again.text
    np.testing.assert_array_equal(first.mel, again.mel)
    assert corpus.make_example("turns", random.Random(6)).text != first.text


def test_another_recipe_has_another_folder() -> None:
    folders = {corpus.folder_of(recipe) for recipe in (corpus.TURNS, corpus.TALK, replace(corpus.TURNS, seed=1))}
    assert len(folders) == 3


@pytest.mark.parametrize("snr_db", [10.0, 15.0])
def test_scene_has_the_noise_it_names(snr_db: float) -> None:
    speech = synthesise("da3kai1 kong1tiao2", Delivery("f4", 150, 50, 1.0))
    quiet = record(speech, _QUIET).samples
    noise = record(speech, replace(_QUIET, snr_db=snr_db)).samples - quiet
    spoken = quiet[8000:-6400]
    measured = 20 * np.log10(np.sqrt(np.mean(spoken**2)) / np.sqrt(np.mean(noise**2)))
    assert measured == pytest.approx(snr_db, abs=0.5)


def test_noisy_scenes_are_ten_to_fifteen_decibels_in_a_room() -> None:
    scenes = [draw_noisy_scene(random.Random(seed)) for seed in range(200)]
    assert all(scene.snr_db is not None and 10.0 <= scene.snr_db <= 15.0 for scene in scenes)
    assert all(scene.reverb_seconds is not None and scene.reverb_seconds >= 0.2 for scene in scenes)


def test_speech_frames_are_where_the_speech_is() -> None:
    speech = synthesise("da3kai1", Delivery("f4", 150, 50, 1.0))
    frames = np.flatnonzero(record(speech, _QUIET).speech)
    assert 50 <= frames[0] <= 53
    assert abs(frames[-1] - (50 + speech.size // 160)) <= 8


def test_clean_and_noisy_say_the_same() -> None:
    clean, noisy = testset.utterance("clean", 3), testset.utterance("noisy", 3)
    assert clean.text == noisy.text
    assert not np.array_equal(clean.samples[:16000], noisy.samples[:16000])


def test_corpus_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shard that is there is kept as it is; one that is missing is made, the same as before."""
    monkeypatch.setenv("ASRPOOL_CACHE", str(tmp_path))
    recipe = corpus.Recipe(3, shard_size=1)
    folder = corpus.prepare(recipe, processes=1)
    first, second, _ = (path for path in sorted(folder.iterdir()))
    before = [example.text for example in corpus.load(folder)]
    kept = first.stat().st_mtime_ns
    second.unlink()
    corpus.prepare(recipe, processes=1)
    assert first.stat().st_mtime_ns == kept
    assert [example.text for example in corpus.load(folder)] == before
