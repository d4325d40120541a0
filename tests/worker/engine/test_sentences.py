"""Sentences of a final: tokens between punctuation marks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asrpool_worker.engine.messages import Sentence
from asrpool_worker.engine.sentences import Times, sentences


def times(count: int) -> Times:
    return tuple((100 * number, 100 * number + 80) for number in range(count))


@pytest.mark.parametrize(
    ("tokens", "words", "marks", "expected"),
    [
        pytest.param(
            "开灯关窗",
            "开灯关窗",
            ["", "，", "", "。"],
            [("开灯", "，", 0, 180), ("关窗", "。", 200, 380)],
            id="characters",
        ),
        pytest.param(
            "开灯关窗", "开灯关窗", ["", "，", "", ""], [("开灯", "，", 0, 180), ("关窗", "", 200, 380)], id="open end"
        ),
        pytest.param(
            ["hel@@", "lo", "world"], ["hello", "world"], ["", "."], [("hello world", ".", 0, 280)], id="pieces"
        ),
        pytest.param(["a", "b", "c"], ["ABC"], ["."], [("ABC", ".", 0, 280)], id="spelled letters"),
        pytest.param("开灯", "开门", ["", "。"], [], id="another text"),
        pytest.param("开灯", "开", ["。"], [], id="text left over"),
        pytest.param("开", "开灯", ["", "。"], [], id="words left over"),
        pytest.param("", "", [], [], id="nothing"),
    ],
)
def test_tokens_between_marks(
    tokens: list[str], words: list[str], marks: list[str], expected: list[tuple[str, str, int, int]]
) -> None:
    found = sentences(list(tokens), times(len(tokens)), list(words), marks)
    assert [(one.text, one.punctuation, one.begin_ms, one.end_ms) for one in found] == expected


def test_a_model_without_times_gives_no_sentences() -> None:
    assert sentences(["开"], (), ["开"], ["。"]) == ()


@given(st.lists(st.sampled_from(["", "，", "。"]), min_size=1, max_size=30))
def test_no_token_is_lost_or_told_twice(marks: list[str]) -> None:
    tokens = [chr(0x4E00 + number) for number in range(len(marks))]
    found = sentences(tokens, times(len(tokens)), tokens, marks)
    assert "".join(one.text for one in found) == "".join(tokens)
    assert sum((one.timestamps_ms for one in found), ()) == times(len(tokens))
    assert all(isinstance(one, Sentence) and one.punctuation for one in found[:-1])
