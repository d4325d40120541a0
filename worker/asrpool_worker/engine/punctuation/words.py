"""How text becomes the words that a punctuation model knows, by FunASR's rules.

Words of an alphabet are split at spaces; every other character is a word. A model whose vocabulary holds Chinese words
of several characters carries a `jieba_usr_dict`; for it jieba joins the characters first.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path

from asrpool_worker.errors import ModelError

SplitWords = Callable[[str], list[str]]
ENGLISH = re.compile("[a-zA-Z']+")
CHARACTERS = re.compile(r"[\x00-\x7f]+|[^\x00-\x7f]")


def split_words(text: str) -> list[str]:
    """Runs of ASCII, and single characters of all else."""
    return [word for piece in text.split() for word in CHARACTERS.findall(piece)]


def jieba_splitter(user_dict: Path) -> SplitWords:
    """Splitting by jieba's dictionary and `user_dict`. Raises `ModelError` where jieba or the file cannot be used."""
    try:
        import jieba
    except ImportError as error:
        raise ModelError(f"{user_dict}: this model needs the package jieba, which is not installed") from error
    # It reports each start-up to stderr.
    jieba.setLogLevel(logging.WARNING)
    tokenizer = jieba.Tokenizer()
    try:
        tokenizer.load_userdict(str(user_dict))
    except (OSError, ValueError) as error:
        raise ModelError(f"{user_dict}: cannot be read ({error}); copy it from the original model") from error
    return lambda text: list(_with_dictionary(text, partial(tokenizer.cut, HMM=False)))


def _with_dictionary(text: str, cut: Callable[[str], Iterable[str]]) -> Iterator[str]:
    """English words stand for themselves; what lies between two of them is cut as one string."""
    for english, pieces in groupby(text.split(), key=lambda piece: ENGLISH.fullmatch(piece) is not None):
        if english:
            yield from pieces
        else:
            yield from cut("".join(pieces))
