"""Which tokens a punctuation mark closes: a final's sentences with their times, for clients that show text beside audio.

The punctuation model splits text into words of its own (a character of Chinese, a word of an alphabet); the recogniser
gave times to tokens (a character, a piece of a word). Both spell the same text, so one walk over it matches them.
"""

from __future__ import annotations

from collections.abc import Sequence

from asrpool_worker.engine.messages import Sentence
from asrpool_worker.engine.text import GLUE, join

Times = tuple[tuple[int, int], ...]


def sentences(
    tokens: Sequence[str], times_ms: Times, words: Sequence[str], marks: Sequence[str]
) -> tuple[Sentence, ...]:
    """The stretches of `tokens` between marks, `marks[i]` ("" for none) following `words[i]`; nothing where they spell different texts."""
    if len(times_ms) != len(tokens) or not tokens:
        return ()
    found = []
    first = token = 0
    for word, mark in zip(words, marks, strict=True):
        token = _after(tokens, token, word)
        if token < 0:
            return ()
        if mark:
            found.append(_sentence(tokens[first:token], times_ms[first:token], mark))
            first = token
    if token != len(tokens):
        return ()
    if first < token:
        found.append(_sentence(tokens[first:], times_ms[first:], ""))
    return tuple(found)


def _after(tokens: Sequence[str], begin: int, word: str) -> int:
    """The token after those from `begin` on that spell `word`; below 0 where they do not."""
    left = word.replace(" ", "").casefold()
    while left:
        if begin == len(tokens):
            return -1
        piece = tokens[begin].removesuffix(GLUE).casefold()
        if not piece or not left.startswith(piece):
            return -1
        left = left.removeprefix(piece)
        begin += 1
    return begin


def _sentence(tokens: Sequence[str], times_ms: Times, mark: str) -> Sentence:
    return Sentence(join(tokens), mark, times_ms[0][0], times_ms[-1][1], times_ms)
