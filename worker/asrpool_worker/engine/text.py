"""From tokens to text, by FunASR's rules: no space inside Chinese, one between words of an alphabet.

A token that ends in "@@" is glued to the next one; letters spelled one by one become an abbreviation ("a b c" → "ABC").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

CONTROL_TOKENS = frozenset({"<blank>", "<s>", "</s>", "<unk>", "<OOV>"})
GLUE = "@@"


def spoken(tokens: Iterable[str]) -> tuple[str, ...]:
    """`tokens` without those that stand for no speech."""
    return tuple(token for token in tokens if token not in CONTROL_TOKENS)


def join(tokens: Sequence[str], previous: str = "") -> str:
    """The text of `tokens`; `previous` is the token before them, so that a partial may begin with the space it needs."""
    pieces: list[str] = []
    for index, token in enumerate(tokens):
        before = tokens[index - 1] if index else previous
        if _is_word(token) and _is_word(before) and not before.endswith(GLUE) and not _spelled(before, token):
            pieces.append(" ")
        after = tokens[index + 1] if index + 1 < len(tokens) else ""
        upper = _spelled(before, token) or _spelled(token, after)
        pieces.append(token.upper() if upper else token.removesuffix(GLUE))
    return "".join(pieces)


def _is_word(token: str) -> bool:
    letters = token.removesuffix(GLUE).replace("'", "")
    return bool(letters) and letters.isascii() and letters.isalpha()


def _spelled(token: str, following: str) -> bool:
    return (
        len(token) == len(following) == 1 and token.isascii() and following.isascii() and (token + following).isalpha()
    )
