"""Hotwords for recognisers that have no bias encoder: a choice among the tokens that the model itself held possible.

A non-autoregressive model gives, for each token, its best candidates with their log-probabilities, and no token depends on
another's choice. The best reading is therefore found exactly, by a walk over the tokens: each step takes the best candidate,
or a whole hotword whose tokens are all among the candidates there and whose length is paid with a bonus. A word gets its
bonus only when it is complete, so that beginnings of hotwords are not favoured.

The tree of words and the bonus are those of shallow-fusion biasing: Zhao et al., "Shallow-Fusion End-to-End Contextual
Biasing" (Interspeech 2019); Le et al., "Contextualized Streaming End-to-End Speech Recognition with Trie-Based Deep Biasing
and Shallow Fusion" (2021), arXiv:2104.02194. A hotword can take the place of as many tokens as it has, no more and no
fewer, and only where the model held each of them possible.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from asrpool_worker.engine.modeldir import FloatArray

CANDIDATES = 8
"""How many tokens a model gives for each place."""

TOKEN_BONUS = 1.5
"""What a token of a hotword is worth, in nats: one that is up to 4.5 times less likely than the best is taken for its own sake."""

IndexArray = npt.NDArray[np.int64]


@dataclass
class HotwordTree:
    """Hotwords that share their beginnings: the words' tokens from the root down; `ends` where a word is complete."""

    children: dict[int, HotwordTree] = field(default_factory=dict)
    ends: bool = False

    @classmethod
    def of(cls, words: Sequence[Sequence[int]]) -> HotwordTree:
        """The tree of words given by their tokens."""
        root = cls()
        for word in words:
            node = root
            for token in word:
                node = node.children.setdefault(token, cls())
            node.ends = bool(word)
        return root


@dataclass(frozen=True)
class Candidates:
    """The likely tokens of each place of an utterance, best first: numbers (U, k) and log-probabilities (U, k)."""

    token_ids: IndexArray
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.token_ids)


def choose(candidates: Candidates, tree: HotwordTree, token_bonus: float = TOKEN_BONUS) -> list[int]:
    """The best reading of an utterance: one token for each place."""
    places = [
        dict(zip(numbers, scores, strict=True))
        for numbers, scores in zip(candidates.token_ids.tolist(), candidates.scores.tolist(), strict=True)
    ]
    best = [0.0] + [-np.inf] * len(places)
    readings: list[tuple[int, ...]] = [()] * len(best)
    for begin, place in enumerate(places):
        token, score = max(place.items(), key=lambda item: item[1])
        if best[begin] + score >= best[begin + 1]:
            best[begin + 1], readings[begin + 1] = best[begin] + score, (token,)
        for word, word_score in _words_at(places, begin, tree):
            end = begin + len(word)
            total = best[begin] + word_score + token_bonus * len(word)
            if total > best[end]:
                best[end], readings[end] = total, word
    said: list[int] = []
    end = len(places)
    while end:
        said[:0] = readings[end]
        end -= len(readings[end])
    return said


def _words_at(
    places: Sequence[dict[int, float]], begin: int, tree: HotwordTree
) -> Iterator[tuple[tuple[int, ...], float]]:
    """The hotwords that the candidates from `begin` on allow, with their scores."""
    open_words: list[tuple[HotwordTree, tuple[int, ...], float]] = [(tree, (), 0.0)]
    while open_words:
        node, word, score = open_words.pop()
        if node.ends:
            yield word, score
        if begin + len(word) < len(places):
            place = places[begin + len(word)]
            open_words.extend(
                (node.children[token], (*word, token), score + place[token])
                for token in place.keys() & node.children.keys()
            )
