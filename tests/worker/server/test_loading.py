"""From settings to an engine that is not started yet."""

from __future__ import annotations

import logging

import pytest

from asrpool_worker.server.loading import build_engine
from asrpool_worker.settings import read_settings


class _Nobody:
    def batch(self, stage: str, rows: int, seconds: float) -> None:
        """Nobody looks."""


@pytest.mark.parametrize(
    ("recogniser", "further", "told"),
    [
        ("online", {"punc": "p"}, True),
        ("online", {"speaker": "s"}, True),
        ("online", {"itn": "true"}, True),
        ("online", {"itn": "false"}, False),
        ("offline", {"punc": "p", "speaker": "s", "itn": "true"}, False),
    ],
)
def test_what_acts_on_finals_is_said_to_need_them(
    recogniser: str, further: dict[str, str], told: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    build_engine(read_settings({recogniser: "a", **further}, {}), _Nobody())
    assert any("need --offline" in record.message for record in caplog.records) is told
