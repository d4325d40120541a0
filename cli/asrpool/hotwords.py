"""Hot words as people give them on a command line: words, words with weights, or FunASR's files of them."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Mapping
from pathlib import Path

DEFAULT_WEIGHT = 20
MAX_WEIGHT = 1_000


def hotwords(text: str) -> dict[str, int]:
    """`WORD`, `WORD:WEIGHT`, or an existing file with `WORD [WEIGHT]` on each line, as FunASR's client reads it.

    Raises `argparse.ArgumentTypeError`, so that argparse can take it as a type.
    """
    path = _file(text)
    if path is None:
        word, colon, weight = text.rpartition(":")
        return _weighted(word, weight, text) if colon else _weighted(text, str(DEFAULT_WEIGHT), text)
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise argparse.ArgumentTypeError(f"cannot read hot words from {text}: {error}") from error
    found: dict[str, int] = {}
    for number, line in enumerate(lines, 1):
        *words, last = line.split() or [""]
        if words and _is_number(last):
            found |= _weighted(" ".join(words), last, f"{text}, line {number}")
        elif last:
            found[" ".join((*words, last))] = DEFAULT_WEIGHT
    return found


def as_message(given: Iterable[Mapping[str, int]]) -> str:
    """All of them in one string, as the protocol wants it; a later weight of the same word counts."""
    words: dict[str, int] = {}
    for more in given:
        words |= more
    return json.dumps(words, ensure_ascii=False) if words else ""


def _weighted(word: str, weight: str, where: str) -> dict[str, int]:
    word = word.strip()
    if not word:
        raise argparse.ArgumentTypeError(f"{where!r} holds no word; write WORD or WORD:WEIGHT")
    if not (weight.isdecimal() and int(weight) <= MAX_WEIGHT):
        raise argparse.ArgumentTypeError(f"{where!r}: weight {weight!r} is no whole number from 0 to {MAX_WEIGHT}")
    return {word: int(weight)}


def _is_number(text: str) -> bool:
    return text.lstrip("+-").replace(".", "", 1).isdecimal()


def _file(text: str) -> Path | None:
    try:
        return Path(text) if Path(text).is_file() else None
    except (OSError, ValueError):  # too long or no name for a file at all
        return None
