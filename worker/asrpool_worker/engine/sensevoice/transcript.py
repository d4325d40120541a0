"""What the tokens of one utterance say: text, words and their times, and what the model heard besides speech.

The greedy path of a CTC model: a token stands for as many frames as it is the best of, one after the other; repeats and
blanks fall away. The time of a token is those frames, shifted back by half a frame as FunASR does it; FunASR aligns
the text anew with the scores, which gives the same frames wherever its tokenizer cuts the text into the same tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from asrpool_worker.engine.recogniser import Recognised
from asrpool_worker.engine.sensevoice.dims import LANGUAGE_QUERIES, QUERIES
from asrpool_worker.engine.sensevoice.vocabulary import WORD_BEGIN, Vocabulary
from asrpool_worker.engine.text import CONTROL_TOKENS

FRAME_MS, SHIFT_MS = 60, 30
MARK = re.compile(r"<\|([^|]*)\|>")
"""A token that is no speech, such as <|zh|> or <|HAPPY|>."""

LANGUAGES = frozenset(LANGUAGE_QUERIES) - {"auto"}
EMOTIONS = {name: name for name in ("happy", "sad", "angry", "neutral", "fearful", "disgusted", "surprised")} | {
    "emo_unknown": "unknown"
}
SOUND_EVENTS = {
    name: name
    for name in ("speech", "bgm", "applause", "laughter", "cry", "sneeze", "breath", "cough", "sing", "speech_noise")
} | {"event_unk": "unknown", "gbg": "noise"}
"""FunASR's marks in lower case → the plain word for them."""

HALLUCINATION = "The."
"""What the released weights write for noise; FunASR's post-processing drops it too."""


@dataclass(frozen=True)
class Span:
    """A token and the frames it was the best of; those of the queries are before frame 0."""

    token: int
    begin: int
    end: int


def spans(token_ids: Sequence[int], blank: int) -> list[Span]:
    """The tokens of a greedy path over queries and frames, blanks and repeats removed."""
    found = []
    place = -QUERIES
    for token, repeats in groupby(token_ids):
        end = place + sum(1 for _ in repeats)
        if token != blank:
            found.append(Span(token, place, end))
        place = end
    return found


def read(token_ids: Sequence[int], vocabulary: Vocabulary, blank: int, itn: bool) -> Recognised:
    """What the greedy path `token_ids` of one utterance says; `itn` is how it was asked."""
    path = spans(token_ids, blank)
    text = MARK.sub("", vocabulary.text([span.token for span in path])).strip()
    marks = [
        match[1].lower()
        for span in path
        if span.begin < 0 and (match := MARK.fullmatch(vocabulary.piece(span.token))) is not None
    ]
    if text == HALLUCINATION:
        text, path = "", []
    words = list(_words(path, vocabulary, len(token_ids) - QUERIES))
    return Recognised(
        tokens=tuple(word for word, _ in words),
        times_ms=tuple(time for _, time in words),
        text=text,
        language=next((mark for mark in marks if mark in LANGUAGES), ""),
        emotion=next((EMOTIONS[mark] for mark in marks if mark in EMOTIONS), ""),
        sound_event=next((SOUND_EVENTS[mark] for mark in marks if mark in SOUND_EVENTS), ""),
        punctuated=itn,
    )


def _words(path: Sequence[Span], vocabulary: Vocabulary, frames: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """Pieces put together to words, as FunASR does for its time stamps; a character of Chinese is a word of its own."""
    word, begin_ms, end_ms = "", 0, 0
    for span in path:
        piece = vocabulary.piece(span.token)
        if piece in CONTROL_TOKENS or MARK.fullmatch(piece):
            continue
        letters = piece.removeprefix(WORD_BEGIN)
        if word and (letters != piece or not (_alphabetic(word) and _alphabetic(letters))):
            yield word, (begin_ms, end_ms)
            word = ""
        if letters:
            begin_ms = begin_ms if word else _edge_ms(span.begin, frames)
            word, end_ms = word + letters, _edge_ms(span.end, frames)
    if word:
        yield word, (begin_ms, end_ms)


def _alphabetic(letters: str) -> bool:
    return letters.isascii() and letters.replace("'", "a").isalpha()


def _edge_ms(frame: int, frames: int) -> int:
    """When frame number `frame` of an utterance of `frames` begins, as FunASR counts it."""
    return max(0, min(frame, frames) * FRAME_MS - SHIFT_MS)
