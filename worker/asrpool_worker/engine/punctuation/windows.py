"""How a text is fed to the model: window by window, what is not yet a whole sentence being read again with the next.

FunASR's rules: a window is what is left over plus the next 20 words. After each but the last, the newest full stop or
question mark (not among the first two words nor on the last one) closes all words up to it. Where there is none in more than
200 words, the newest comma becomes a full stop. Pure: the marks come from outside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asrpool_worker.engine.punctuation.dims import PuncDims

WORDS_PER_WINDOW = 20
LONG_SENTENCE_WORDS = 200
CLOSING_MARKS = ("。", "？")
COMMA = "，"
FIRST_CLOSING_WORD = 2
"""FunASR lets no sentence end before this word (counted from 0)."""


@dataclass(frozen=True)
class Stretch:
    """Words that were closed together, with the number of the mark after each."""

    words: tuple[str, ...]
    marks: tuple[int, ...]


class Windows:
    """One text on its way through the model: run `window`, `take` its marks, until not `waiting`."""

    def __init__(self, words: Sequence[str], dims: PuncDims) -> None:
        self._words = tuple(words)
        self._dims = dims
        self._held: tuple[str, ...] = ()
        self._next = 0
        self.closed: list[Stretch] = []

    @property
    def waiting(self) -> bool:
        """Whether there are words that the model has not seen."""
        return self._next < len(self._words)

    @property
    def window(self) -> tuple[str, ...]:
        """The words to run now."""
        return self._held + self._words[self._next : self._next + WORDS_PER_WINDOW]

    def take(self, marks: Sequence[int]) -> None:
        """The model's mark after each word of `window`."""
        words, numbers = self.window, list(marks)
        self._next += WORDS_PER_WINDOW
        count = self._closable(numbers) if self.waiting else len(words)
        self.closed.append(Stretch(words[:count], tuple(numbers[:count])))
        self._held = words[count:]

    def _closable(self, numbers: list[int]) -> int:
        """How many of the window's words are done with. A comma that has to close a sentence becomes its full stop."""
        marks = [self._dims.marks[number] for number in numbers]
        end = last_closing(marks)
        if end is None and len(marks) > LONG_SENTENCE_WORDS:
            end = _newest(marks, (COMMA,))
            if end is not None:
                numbers[end] = self._dims.sentence_end
        return 0 if end is None else end + 1


def last_closing(marks: Sequence[str]) -> int | None:
    """The newest word after which a sentence ends for sure: the last word's mark may still change with what follows."""
    return _newest(marks, CLOSING_MARKS)


def _newest(marks: Sequence[str], wanted: tuple[str, ...]) -> int | None:
    places = range(len(marks) - 2, FIRST_CLOSING_WORD - 1, -1)
    return next((place for place in places if marks[place] in wanted), None)
