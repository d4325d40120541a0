"""FunASR's three ways to write hot words in one string, read into one dictionary of weights."""

from __future__ import annotations

import json
import re

from asrpool_worker.session.errors import ProtocolError

DEFAULT_WEIGHT = 20
MAX_HOTWORDS = 1_000
MAX_WORD_CHARS = 64
MAX_WEIGHT = 1_000


def parse_hotwords(value: object) -> dict[str, int]:
    """Read `{"word": weight}` as a JSON string or object, or words parted by commas or spaces.

    Raises `ProtocolError` for another type, a weight that is no whole number in 0..1000, or more than 1000 words.
    """
    if value is None or value == "":
        return {}
    if isinstance(value, str):
        value = _parse_string(value)
    if not isinstance(value, dict):
        raise ProtocolError(
            '"hotwords" must be a string: a JSON object {"word": weight}, or words parted by commas or spaces'
        )
    if len(value) > MAX_HOTWORDS:
        raise ProtocolError(f'"hotwords" holds {len(value)} words; at most {MAX_HOTWORDS} are allowed')
    return {word: _weight(word, weight) for word, weight in value.items() if word}


def _parse_string(text: str) -> object:
    stripped = text.strip()
    if stripped.startswith("{"):
        try:
            return json.loads(stripped)
        except (ValueError, RecursionError):
            raise ProtocolError('"hotwords" starts like a JSON object but is not one') from None
    return dict.fromkeys(re.split(r"[,，\s]+", stripped), DEFAULT_WEIGHT)


def _weight(word: str, weight: object) -> int:
    if len(word) > MAX_WORD_CHARS:
        raise ProtocolError(f'"hotwords": a word has {len(word)} characters; at most {MAX_WORD_CHARS} are allowed')
    if isinstance(weight, str) and weight.strip().isdecimal():
        weight = int(weight[:8])
    if (
        isinstance(weight, bool)
        or not isinstance(weight, int | float)
        or not 0 <= weight <= MAX_WEIGHT
        or weight != int(weight)
    ):
        raise ProtocolError(f'"hotwords": the weight of {word!r} must be a whole number from 0 to {MAX_WEIGHT}')
    return int(weight)
