"""What people read of a final beside its text."""

from __future__ import annotations

from typing import Any

import pytest

from asrpool.client import Heard
from asrpool.stream_view import LinesView, how, who


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({}, ""),
        ({"spk_name": ""}, ""),
        ({"spk_name": "alice", "spk_score": 0.8154}, "alice (0.82): "),
        ({"spk_name": "speaker-1", "spk_score": 1}, "speaker-1 (1.00): "),
        ({"spk_name": "alice"}, "alice: "),
    ],
)
def test_who_speaks(message: dict[str, Any], shown: str) -> None:
    assert who(message) == shown


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ({"text": "你好"}, ""),
        ({"language": "", "emotion": "sad"}, " [sad]"),
        ({"event": "laughter", "language": "yue", "emotion": "happy"}, " [yue, happy, laughter]"),
    ],
)
def test_how_it_sounds(message: dict[str, Any], shown: str) -> None:
    assert how(message) == shown


def test_a_final_without_text_is_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    LinesView().heard(Heard("", final=True, end=False, message={"spk_name": "alice", "emotion": "sad"}))
    assert capsys.readouterr().out == ""
