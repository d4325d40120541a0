"""Words and marks to text, by FunASR's rules, which differ between its two models.

Offline: sentences of an alphabet begin with a capital and a space and take ASCII marks; the text ends with a closing mark.
Realtime: marks are written as they are; the mark after the newest word is held back, since what follows may change it,
and is written before the first word of the next text.
"""

from __future__ import annotations

from collections.abc import Sequence

from asrpool_worker.engine.punctuation.dims import NO_MARK
from asrpool_worker.engine.punctuation.windows import CLOSING_MARKS

FULL_STOP = "。"
ASCII_MARKS = {"，": ",", "。": ".", "？": "?"}


def write_stretch(words: Sequence[str], marks: Sequence[str]) -> str:
    """The text of words that were closed together, as the offline model writes them."""
    pieces: list[str] = []
    for index, (word, mark) in enumerate(zip(words, marks, strict=True)):
        ascii_word = word[0].isascii()
        begins = index == 0 or marks[index - 1] in CLOSING_MARKS
        if ascii_word and (index == 0 or words[index - 1][0].isascii()):
            pieces.append(" ")
        pieces.append(word.capitalize() if ascii_word and begins else word)
        if mark != NO_MARK:
            pieces.append(ASCII_MARKS.get(mark, mark) if ascii_word else mark)
    return "".join(pieces)


def close(text: str) -> str:
    """`text` with a closing mark at its end, as the offline model leaves it."""
    last = text[-1]
    if last in "，、":
        return text[:-1] + FULL_STOP
    if last == ",":
        return text[:-1] + "."
    if last in "。？.?":
        return text
    return text + ("." if last.isascii() else FULL_STOP)


def write_realtime(words: Sequence[str], marks: Sequence[str], past: int) -> str:
    """The text of all words after the first `past`, with the mark that follows the past and with the last one.

    `past` words were written before, without the mark after the last of them.
    """
    pieces: list[str] = []
    for index, (word, mark) in enumerate(zip(words, marks, strict=True)):
        if index >= past:
            if index and word[0].isascii() and words[index - 1][-1].isascii():
                pieces.append(" ")
            pieces.append(word)
        if index >= past - 1 and mark != NO_MARK:
            pieces.append(mark)
    return "".join(pieces)
