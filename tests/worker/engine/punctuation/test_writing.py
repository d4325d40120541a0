"""How words and marks are written; every expectation here is what FunASR writes (test_funasr_parity runs both)."""

from __future__ import annotations

import pytest

from asrpool_worker.engine.punctuation.writing import close, write_realtime, write_stretch


@pytest.mark.parametrize(
    ("words", "marks", "text"),
    [
        ("今 天 好", "_ ， 。", "今天，好。"),
        ("hello world", "_ 。", " Hello world."),
        ("hello OK go", "。 ， 、", " Hello. Ok, go、"),
        ("开 tv 灯", "_ ？ _", "开tv?灯"),
        ("好 iPhone ok", "。 _ _", "好。Iphone ok"),
    ],
)
def test_offline(words: str, marks: str, text: str) -> None:
    assert write_stretch(words.split(), marks.split()) == text


@pytest.mark.parametrize(
    ("text", "closed"),
    [
        ("好", "好。"),
        ("好，", "好。"),
        ("ok、", "ok。"),
        ("ok", "ok."),
        ("ok,", "ok."),
        ("好。", "好。"),
        ("好？", "好？"),
        ("ok?", "ok?"),
        ("ok.", "ok."),
        ("é", "é。"),
    ],
)
def test_the_last_mark_closes(text: str, closed: str) -> None:
    assert close(text) == closed


@pytest.mark.parametrize(
    ("words", "marks", "past", "text"),
    [
        ("今 天", "_ 。", 0, "今天。"),
        ("hello world", "， 。", 0, "hello， world。"),
        ("今 天 好", "， ？ _", 2, "？好"),
        ("今 天 好", "， _ _", 2, "好"),
        ("hello world", "_ _", 1, " world"),
        ("开 tv on", "_ _ _", 1, "tv on"),
    ],
)
def test_realtime(words: str, marks: str, past: int, text: str) -> None:
    """From the past only the mark after its last word is written: it was held back."""
    assert write_realtime(words.split(), marks.split(), past) == text
