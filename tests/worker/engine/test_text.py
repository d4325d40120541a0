"""From tokens to text."""

from __future__ import annotations

import pytest

from asrpool_worker.engine.text import join, spoken


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        pytest.param(["打", "开", "灯"], "打开灯", id="Chinese"),
        pytest.param(["turn", "on", "the", "light"], "turn on the light", id="words"),
        pytest.param(["hel@@", "lo", "world"], "hello world", id="pieces of a word"),
        pytest.param(["打", "开", "wifi", "和", "灯"], "打开wifi和灯", id="mixed, without spaces at the seams"),
        pytest.param(["watch", "the", "n", "b", "a"], "watch the NBA", id="spelled letters"),
        pytest.param(["it's", "here"], "it's here", id="apostrophe"),
        pytest.param([], "", id="nothing"),
    ],
)
def test_join(tokens: list[str], text: str) -> None:
    assert join(tokens) == text


def test_a_partial_brings_the_space_it_needs() -> None:
    """A client that appends partials reads words, not one long word."""
    assert join(["on"]) + join(["the", "light"], previous="on") == "on the light"
    assert join(["hel@@"]) + join(["lo"], previous="hel@@") == "hello"
    assert join(["灯"]) + join(["on"], previous="灯") == "灯on"


def test_marks_are_not_spoken() -> None:
    assert spoken(["<s>", "开", "<unk>", "<blank>", "灯", "</s>"]) == ("开", "灯")
