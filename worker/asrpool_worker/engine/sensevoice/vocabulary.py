"""From token numbers to text: the directory's sentencepiece model, or its tokens.json where it has no such model.

sentencepiece is imported only when a directory has a model for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.errors import ModelError

WORD_BEGIN = "\u2581"
"""sentencepiece's mark before a piece that begins a word."""

UNKNOWN, UNKNOWN_TEXT = "<unk>", " \u2047 "
SILENT_PIECES = frozenset({"<s>", "</s>"})


class Vocabulary(Protocol):
    """The tokens of a model."""

    def __len__(self) -> int:
        """How many tokens there are."""

    def piece(self, number: int) -> str:
        """Token `number` as written in the vocabulary."""

    def text(self, numbers: Sequence[int]) -> str:
        """The text of tokens in a row."""


class SentencepieceVocabulary:
    """A sentencepiece model."""

    def __init__(self, path: Path) -> None:
        import sentencepiece

        try:
            self._processor = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (OSError, RuntimeError) as error:
            raise ModelError(f"{path}: not a sentencepiece model; copy it from the original model ({error})") from error

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def piece(self, number: int) -> str:
        """See `Vocabulary`."""
        return str(self._processor.id_to_piece(number))

    def text(self, numbers: Sequence[int]) -> str:
        """See `Vocabulary`."""
        return str(self._processor.decode(list(numbers)))


class ListedVocabulary:
    """The pieces of tokens.json, written as sentencepiece writes them."""

    def __init__(self, pieces: tuple[str, ...]) -> None:
        self._pieces = pieces

    def __len__(self) -> int:
        return len(self._pieces)

    def piece(self, number: int) -> str:
        """See `Vocabulary`."""
        return self._pieces[number]

    def text(self, numbers: Sequence[int]) -> str:
        """See `Vocabulary`."""
        pieces = (self._pieces[number] for number in numbers)
        written = (UNKNOWN_TEXT if piece == UNKNOWN else piece for piece in pieces if piece not in SILENT_PIECES)
        return "".join(written).replace(WORD_BEGIN, " ")


def read_vocabulary(model: ModelDir) -> Vocabulary:
    """The vocabulary of `model`. Raises `ModelError` when it has none that can be read."""
    if model.sentencepiece_path is not None:
        return SentencepieceVocabulary(model.sentencepiece_path)
    if not model.tokens:
        raise ModelError(
            f"{model.path}: has neither a sentencepiece model nor tokens.json; copy it from the original model"
        )
    return ListedVocabulary(model.tokens)
