"""The reading chosen is the best there is, and hotwords change it only where the model held them possible."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrpool_worker.engine.hotword_bias import Candidates, HotwordTree, choose

BONUS = 1.5


def candidates(*places: dict[int, float]) -> Candidates:
    """Places as token → probability, best first, all of one width."""
    ordered = [sorted(place.items(), key=lambda item: -item[1]) for place in places]
    return Candidates(
        np.array([[token for token, _ in place] for place in ordered], dtype=np.int64).reshape(len(places), -1),
        np.log(np.array([[share for _, share in place] for place in ordered], dtype=np.float32)).reshape(
            len(places), -1
        ),
    )


def reading(found: Candidates, *words: tuple[int, ...]) -> list[int]:
    return choose(found, HotwordTree.of(words), BONUS)


DOUBTFUL = candidates({10: 0.6, 11: 0.3}, {20: 0.7, 21: 0.2}, {30: 0.9, 31: 0.1})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], [10, 20, 30]),
        ([(11, 21)], [11, 21, 30]),
        ([(11, 21, 31)], [11, 21, 31]),
        ([(11, 99)], [10, 20, 30]),
        ([(20, 31), (11,)], [11, 20, 31]),
        ([(11, 20, 30, 40)], [10, 20, 30]),
        ([(31,)], [10, 20, 30]),
        ([(20, 30), (11, 21)], [10, 20, 30]),
        ([(10, 20, 30), (11, 21)], [10, 20, 30]),
        ([()], [10, 20, 30]),
    ],
    ids=[
        "no hotwords",
        "a likely word",
        "a word with one unlikely token",
        "a word of which a token is not among the candidates",
        "two words one after the other",
        "a word longer than what is left",
        "a word too unlikely for its bonus",
        "of two that overlap the likelier",
        "of one within the other the longer",
        "an empty word",
    ],
)
def test_hotwords_are_taken_where_they_are_likely_enough(words: list[tuple[int, ...]], said: list[int]) -> None:
    assert reading(DOUBTFUL, *words) == said


def test_no_places_say_nothing() -> None:
    assert choose(Candidates(np.zeros((0, 8), dtype=np.int64), np.zeros((0, 8), dtype=np.float32)), HotwordTree()) == []


WORDS = st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=3).map(tuple), max_size=5)


@given(words=WORDS, places=st.integers(1, 5), seed=st.integers(0, 2**32 - 1))
def test_the_reading_is_the_best_of_all(words: list[tuple[int, ...]], places: int, seed: int) -> None:
    """Against every reading there is, each with the best way to cover it by hotwords."""
    rng = np.random.default_rng(seed)
    ids = np.stack([rng.permutation(5)[:3] for _ in range(places)])
    scores = -np.sort(rng.exponential(2.0, size=(places, 3)), axis=1).astype(np.float32)
    said = choose(Candidates(ids, scores), HotwordTree.of(words), BONUS)

    def worth(tokens: tuple[int, ...]) -> float:
        places_score = sum(scores[place, ids[place].tolist().index(token)] for place, token in enumerate(tokens))
        best = [0.0] * (len(tokens) + 1)
        for end in range(1, len(best)):
            best[end] = best[end - 1]
            for word in words:
                if tuple(tokens[max(0, end - len(word)) : end]) == word:
                    best[end] = max(best[end], best[end - len(word)] + BONUS * len(word))
        return float(places_score + best[-1])

    assert worth(tuple(said)) == pytest.approx(max(worth(tokens) for tokens in product(*ids.tolist())), abs=1e-4)
