"""Batches: everything once, and rows of several utterances keep each one's tokens and place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tinyasr import corpus
from tinyasr.batches import SpeechSet
from tinyasr.configuration import LFR_HOP

_COUNT = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ASRPOOL_CACHE", str(tmp_path_factory.mktemp("cache")))
        return corpus.prepare(corpus.Recipe(_COUNT, kind="talk", shard_size=_COUNT, seed=3), processes=1)


@pytest.mark.parametrize("most_joined", [1, 4])
def test_every_token_comes_once_an_epoch(folder: Path, most_joined: int) -> None:
    said = sum(len(example.text) for example in corpus.load(folder))
    assert said > 0
    batches = list(SpeechSet(folder).epoch(10**6, np.random.default_rng(1), most_joined))
    assert sum(int(batch.counts.sum()) for batch in batches) == said
    assert all((batch.targets >= 0).sum(1).eq(batch.counts).all() for batch in batches)


def test_joined_rows_end_where_their_utterances_end(folder: Path) -> None:
    (batch,) = SpeechSet(folder).epoch(10**6, np.random.default_rng(1), 4)
    frames = sum(-(-len(example.mel) // LFR_HOP) for example in corpus.load(folder))
    assert int(batch.lengths.sum()) == frames
    last = (batch.spoken >= 0).sum(1) - 1
    rows = range(len(last))
    assert (batch.spoken >= 0).sum() == _COUNT
    assert [int(batch.ends[row, last[row]]) + 1 for row in rows] == batch.lengths.tolist()
    assert [int(batch.spoken[row, last[row]]) for row in rows] == batch.counts.tolist()


def test_silent_frames_are_away_from_speech(folder: Path) -> None:
    """No frame marked silent has speech in it, and clips of talk have many."""
    (batch,) = SpeechSet(folder).epoch(10**6, np.random.default_rng(1))
    by_length = {-(-len(example.mel) // LFR_HOP): example.speech for example in corpus.load(folder)}
    for row, length in enumerate(batch.lengths.tolist()):
        silent = batch.silent[row, :length].numpy()
        speech = np.pad(by_length[length], (0, length * LFR_HOP - len(by_length[length])))
        assert not (silent & speech.reshape(length, LFR_HOP).any(1)).any()
    assert 0.1 < float(batch.silent.float().mean()) < 0.9
