"""From a session's hotwords to a model's tokens.

A model spells a Chinese word in characters and an English one in the pieces that its `seg_dict` gives. A word of which a
part has no token cannot be heard by the model; it is left out, and said so, instead of standing in the list as "unknown".
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.text import CONTROL_TOKENS
from asrpool_worker.errors import ModelError

MAX_HOTWORDS = 500
"""The most that a session may name: what a model attends to for each of its tokens."""

MAX_HOTWORD_TOKENS = 32
SPELLED_LISTS = 1024
"""Hotword lists that a model keeps spelled: a session sends the same with each of its utterances."""

PARTS = re.compile(r"[a-z0-9']*[a-z'][a-z0-9']*|.")
"""A run of letters is looked up as a word, everything else character by character."""


@dataclass(frozen=True)
class SkippedHotword:
    """A hotword that is not listened for, and why, in words for whoever named it."""

    word: str
    reason: str


@dataclass(frozen=True)
class Hotwords:
    """What the model listens for, in tokens, and what it does not."""

    token_ids: tuple[tuple[int, ...], ...]
    skipped: tuple[SkippedHotword, ...] = ()


class Speller:
    """Spells words in the tokens of one model."""

    def __init__(self, model: ModelDir) -> None:
        self._numbers = {token: number for number, token in enumerate(model.tokens) if token not in CONTROL_TOKENS}
        self._pieces = _read_seg_dict(model)

    def spell_all(self, words: Iterable[str]) -> Hotwords:
        """`words` in tokens, in their order."""
        spelled: list[tuple[int, ...]] = []
        skipped = []
        for word in words:
            found = self.spell(word)
            if isinstance(found, str):
                skipped.append(SkippedHotword(word, found))
            elif len(spelled) == MAX_HOTWORDS:
                skipped.append(SkippedHotword(word, f"only {MAX_HOTWORDS} hotwords are listened for at once"))
            else:
                spelled.append(found)
        return Hotwords(tuple(spelled), tuple(skipped))

    def spell(self, word: str) -> tuple[int, ...] | str:
        """The tokens of `word`, or why it has none."""
        tokens: list[str] = []
        for part in word.lower().split():
            tokens += self._tokens(part)
            if len(tokens) > MAX_HOTWORD_TOKENS:
                return f"is longer than {MAX_HOTWORD_TOKENS} tokens"
        unknown = next((token for token in tokens if token not in self._numbers), None)
        if unknown is not None:
            return f"the model has no token for {unknown!r}"
        return tuple(self._numbers[token] for token in tokens) or "is empty"

    def _tokens(self, part: str) -> list[str]:
        whole = self._pieces.get(part)
        if whole is not None:
            return list(whole)
        return [token for piece in PARTS.findall(part) for token in self._pieces.get(piece, (piece,))]


def _read_seg_dict(model: ModelDir) -> dict[str, tuple[str, ...]]:
    """The directory's own spelling of words: a word and its tokens on each line; none where there is no such file."""
    path = model.path / "seg_dict"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: cannot be read ({error}); copy it from the original model") from error
    entries = (line.split() for line in lines)
    return {word: tuple(tokens) for word, *tokens in filter(None, entries)}
