"""Punctuation as the engine uses it: texts of many sessions in, each one's text with marks out.

What a session keeps between its texts is `past`, the words of the sentence that is not closed, as a plain value: the
realtime model reads them again with the next text, so no tensor outlives a call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from asrpool_worker.engine.backend import RunGraph
from asrpool_worker.engine.modeldir import ModelDir
from asrpool_worker.engine.punctuation.dims import NO_MARK, PuncDims
from asrpool_worker.engine.punctuation.windows import Windows, last_closing
from asrpool_worker.engine.punctuation.words import SplitWords, jieba_splitter, split_words
from asrpool_worker.engine.punctuation.writing import close, write_realtime, write_stretch
from asrpool_worker.engine.slots import Arrays

PAST_WORDS_LIMIT = 500
"""A sentence that is still open after this many words is forgotten: a stream of hours must not cost more from call to call."""

USER_DICT = "jieba_usr_dict"


@dataclass(frozen=True)
class PuncRow:
    """The text of one utterance without punctuation; `past` is what the session's previous result gave, () at its start."""

    text: str
    past: tuple[str, ...] = ()


@dataclass(frozen=True)
class Punctuated:
    """The row's text with marks, and the `past` for the session's next row (always () from the offline model).

    `words` are the row's own words and `marks` what follows each, from the model's punc_list ("" for nothing). As FunASR
    writes it, `text` may begin with a space (before a word of an alphabet) or, from the realtime model, with the mark
    that the previous text held back.
    """

    text: str
    past: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    marks: tuple[str, ...] = ()


class PuncModel:
    """CTTransformer or CTTransformerStreaming."""

    def __init__(self, model: ModelDir, dims: PuncDims, graph: RunGraph, arrays: Arrays) -> None:
        self.model = model
        self.dims = dims
        self._graph = graph
        self._arrays = arrays
        self._numbers = {token: number for number, token in enumerate(model.tokens)}
        user_dict = model.path / USER_DICT
        by_dictionary = user_dict.is_file() and not dims.realtime
        self._split: SplitWords = jieba_splitter(user_dict) if by_dictionary else split_words

    @property
    def realtime(self) -> bool:
        """Whether a session's rows build on each other (pass `past` on), or each stands alone."""
        return self.dims.realtime

    def run(self, rows: Sequence[PuncRow]) -> list[Punctuated]:
        """Punctuate the rows; all windows that are due at the same time share one run of the graph."""
        pasts = [row.past if self.realtime else () for row in rows]
        news = [self._split(row.text) for row in rows]
        # A row without words of its own has nothing to say about the words before it either.
        texts = [Windows((*past, *new) if new else (), self.dims) for past, new in zip(pasts, news, strict=True)]
        while due := [index for index, text in enumerate(texts) if text.waiting]:
            marks = self._marks([texts[index].window for index in due], [len(pasts[index]) for index in due])
            for index, numbers in zip(due, marks, strict=True):
                texts[index].take(numbers)
        return [
            Punctuated("", past)
            if not new
            else self._realtime(text, len(past))
            if self.realtime
            else self._offline(text)
            for text, past, new in zip(texts, pasts, news, strict=True)
        ]

    def _marks(self, windows: Sequence[Sequence[str]], past_words: Sequence[int]) -> list[list[int]]:
        """Run the graph once: the number of the likeliest mark after each word of each window."""
        longest = max(map(len, windows))
        words = np.zeros((len(windows), longest), dtype=np.int64)
        word_mask = np.zeros((len(windows), longest), dtype=np.float32)
        for index, window in enumerate(windows):
            words[index, : len(window)] = [self._numbers.get(word, self.dims.unknown) for word in window]
            word_mask[index, : len(window)] = 1.0
        named: dict[str, npt.NDArray[Any]] = {"words": words, "word_mask": word_mask}
        if self.realtime:
            named["past_words"] = np.array(past_words, dtype=np.int64)
        (logits,) = self._graph({name: self._arrays.from_host(array) for name, array in named.items()})
        likeliest = self._arrays.to_host(logits).argmax(axis=-1)
        return [likeliest[index, : len(window)].tolist() for index, window in enumerate(windows)]

    def _symbols(self, numbers: Sequence[int]) -> tuple[str, ...]:
        return tuple(self.dims.marks[number] for number in numbers)

    def _offline(self, text: Windows) -> Punctuated:
        stretches = [(stretch.words, self._symbols(stretch.marks)) for stretch in text.closed]
        written = "".join(write_stretch(words, marks) for words, marks in stretches)
        closed = close(written)
        words = tuple(word for stretch, _ in stretches for word in stretch)
        marks = [mark for _, stretch in stretches for mark in stretch]
        if closed != written:
            marks[-1] = self.dims.marks[self.dims.sentence_end]
        return Punctuated(closed, (), words, _plain(marks))

    def _realtime(self, text: Windows, past: int) -> Punctuated:
        words = tuple(word for stretch in text.closed for word in stretch.words)
        marks = self._symbols([number for stretch in text.closed for number in stretch.marks])
        written = write_realtime(words, marks, past)
        own = list(marks[past:])
        if written[-1] in self.dims.marks:
            written, own[-1] = written[:-1], NO_MARK
        end = last_closing(marks)
        still_open = words if end is None else words[end + 1 :]
        kept = still_open if len(still_open) <= PAST_WORDS_LIMIT else ()
        return Punctuated(written, kept, words[past:], _plain(own))


def _plain(marks: Sequence[str]) -> tuple[str, ...]:
    return tuple("" if mark == NO_MARK else mark for mark in marks)
