"""The character error rate: what counts as an error, and how utterances are summed."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrpool.cer import character_error_rate, edit_distance

_TEXT = st.text(alphabet="一二三四五", max_size=12)


@pytest.mark.parametrize(
    ("said", "heard", "errors"),
    [
        pytest.param("", "", 0, id="nothing said, nothing heard"),
        pytest.param("打开空调", "打开空调", 0, id="the same"),
        pytest.param("打开空调", "打开电调", 1, id="one character wrong"),
        pytest.param("打开空调", "打空调", 1, id="one lost"),
        pytest.param("打开空调", "打开了空调", 1, id="one too many"),
        pytest.param("一二三四", "二三四五", 2, id="shifted by one"),
        pytest.param("一二", "", 2, id="nothing heard"),
        pytest.param("", "一二", 2, id="heard in silence"),
    ],
)
def test_edit_distance_counts(said: str, heard: str, errors: int) -> None:
    assert edit_distance(said, heard) == errors


@given(_TEXT, _TEXT)
def test_edit_distance_is_a_distance(one: str, other: str) -> None:
    """Symmetric, zero only for equal texts, between the difference of lengths and the longer length."""
    distance = edit_distance(one, other)
    assert distance == edit_distance(other, one)
    assert (distance == 0) == (one == other)
    assert abs(len(one) - len(other)) <= distance <= max(len(one), len(other))


@given(_TEXT, _TEXT, _TEXT)
def test_edit_distance_has_no_shortcuts(one: str, middle: str, other: str) -> None:
    """Going by way of a third text never takes fewer edits."""
    assert edit_distance(one, other) <= edit_distance(one, middle) + edit_distance(middle, other)


def test_rate_weighs_utterances_by_length() -> None:
    """One error in two characters and none in eight are 10 %, not 25 %."""
    assert character_error_rate([("一二", "一"), ("一二三四五六七八", "一二三四五六七八")]) == pytest.approx(0.1)


def test_rate_ignores_white_space_and_punctuation() -> None:
    """A server that writes marks is not worse than one that writes none."""
    assert character_error_rate([("打开 空调", "打开空调\n")]) == 0.0
    assert character_error_rate([("打开空调二十度", "打开空调，二十度。")]) == 0.0
    assert character_error_rate([("打开空调，", "打开电调。")]) == pytest.approx(0.25)


def test_rate_may_exceed_one() -> None:
    assert character_error_rate([("一", "一二三")]) == 2.0


def test_rate_needs_something_said() -> None:
    with pytest.raises(ValueError, match="no reference text"):
        character_error_rate([("", "一")])
