"""Character error rate: how far a recognised text is from what was said.

The edit distance (Levenshtein: insertions, deletions, substitutions each cost one) divided by the
length of what was said. Over several utterances the distances and the lengths are summed first, so
that a long utterance counts for more than a short one.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence


def edit_distance(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """The fewest single-character edits that turn one text into the other."""
    row = list(range(len(hypothesis) + 1))
    for position, said in enumerate(reference, 1):
        diagonal, row[0] = row[0], position
        for column, heard in enumerate(hypothesis, 1):
            substituted = diagonal + (said != heard)
            diagonal = row[column]
            row[column] = min(substituted, diagonal + 1, row[column - 1] + 1)
    return row[-1]


def character_error_rate(pairs: Iterable[tuple[str, str]]) -> float:
    """The error rate over (said, recognised) pairs; white space and punctuation, which nobody says, do not count.

    Can exceed 1 where more was recognised than said. Raises ValueError if nothing was said at all,
    since no rate can be given then.
    """
    errors = characters = 0
    for said, recognised in pairs:
        reference = _spoken(said)
        errors += edit_distance(reference, _spoken(recognised))
        characters += len(reference)
    if characters == 0:
        raise ValueError("no reference text: a character error rate needs something that was said")
    return errors / characters


def _spoken(text: str) -> str:
    """`text` without the characters of Unicode's categories P (punctuation), Z (separators) and C (control)."""
    return "".join(character for character in text if unicodedata.category(character)[0] not in "PZC")
