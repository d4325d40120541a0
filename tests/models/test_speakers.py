"""The speaker model tells voices apart that it was not trained on, and is the model that FunASR loads."""

from __future__ import annotations

import numpy as np
import pytest

from asrpool_worker.engine.modeldir import FloatArray
from asrpool_worker.engine.onnx_backend import OnnxBackend
from asrpool_worker.engine.speaker.model import unit
from asrpool_worker.engine.speaker.roster import Roster, SessionSpeakers
from asrpool_worker.engine.speaker.windows import WINDOW_SAMPLES
from tests.models.recognise import MODELS
from tests.worker.engine.speaker.loading import funasr_embedding, funasr_model, load
from tinyasr import speakers, voices
from tinyasr.acoustics import draw_clean_scene, draw_noisy_scene

DIRECTORY = MODELS / "campplus-tiny"
UTTERANCES = 8


def equal_error_rate(spoken: list[list[FloatArray]]) -> float:
    """Over all pairs of utterances: the share taken for one voice wrongly, where as many are taken for two wrongly."""
    embeddings = np.concatenate([np.stack(utterances) for utterances in spoken])
    who = np.repeat(np.arange(len(spoken)), [len(utterances) for utterances in spoken])
    pairs = np.triu_indices(len(who), 1)
    cosines = (embeddings @ embeddings.T)[pairs]
    same = (who[:, None] == who[None, :])[pairs]
    thresholds = np.unique(cosines)
    missed = np.searchsorted(np.sort(cosines[same]), thresholds) / same.sum()
    mistaken = 1.0 - np.searchsorted(np.sort(cosines[~same]), thresholds) / (~same).sum()
    return float(np.maximum(missed, mistaken).min())


@pytest.fixture(scope="module")
def clean() -> list[list[FloatArray]]:
    """Embeddings of the voices kept back, by the exported graph."""
    model = load(DIRECTORY, OnnxBackend("cpu", threads=1))
    return [model.embed(utterances) for utterances in speakers.held_out(UTTERANCES, draw_clean_scene)]


def test_the_measure_itself() -> None:
    """Nothing is wrong where voices are apart, half is where they are not to be told apart."""
    axes = np.eye(3, dtype=np.float32)
    assert equal_error_rate([[axis, axis] for axis in axes]) == 0.0
    rng = np.random.default_rng(1)
    noise = rng.normal(size=(20, 8, 30)).astype(np.float32)
    assert equal_error_rate([list(one / np.linalg.norm(one, axis=1, keepdims=True)) for one in noise]) > 0.4


def test_no_voice_is_in_both_lists() -> None:
    assert not set(voices.TRAINING) & set(voices.HELD_OUT)


@pytest.mark.model
def test_voices_never_heard_are_told_apart(clean: list[list[FloatArray]]) -> None:
    rate = equal_error_rate(clean)
    print(f"equal error rate, clean: {rate:.3f}")
    assert rate <= 0.09


@pytest.mark.model
def test_also_in_noise_and_rooms() -> None:
    model = load(DIRECTORY, OnnxBackend("cpu", threads=1))
    rate = equal_error_rate([model.embed(one) for one in speakers.held_out(UTTERANCES, draw_noisy_scene)])
    print(f"equal error rate, noisy: {rate:.3f}")
    assert rate <= 0.17


@pytest.mark.model
def test_a_conversation_is_labelled(clean: list[list[FloatArray]]) -> None:
    """One person is enrolled by two utterances; with another, unknown, both are told apart for most of what they say."""
    right = 0
    for number, known in enumerate(clean):
        roster = Roster({"anna": unit(known[0] + known[1])})
        speakers_here = SessionSpeakers(roster)
        for one, other in zip(known[2:], clean[(number + 1) % len(clean)], strict=False):
            right += speakers_here.label(one).name == "anna"
            right += speakers_here.label(other).name == "speaker-1"
    assert right / (len(clean) * 2 * (UTTERANCES - 2)) >= 0.8


@pytest.mark.model
def test_funasr_says_the_same() -> None:
    window = speakers.held_out(1, draw_clean_scene)[0][0][:WINDOW_SAMPLES]
    expected = funasr_embedding(funasr_model(DIRECTORY), window)
    (found,) = load(DIRECTORY).embed([window])
    assert np.abs(found - unit(expected)).max() < 1e-4
