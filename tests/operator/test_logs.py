"""Logs are one JSON object a line, whatever is in them."""

from __future__ import annotations

import json
import logging
import sys

from asrpool_operator.logs import JsonFormatter


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("asrpool_operator.x", logging.INFO, "f.py", 1, message, args, None)
    made.__dict__.update(extra)
    return made


def test_extras_become_fields_and_line_breaks_stay_inside_the_line() -> None:
    line = JsonFormatter().format(record("pool %s:\nsecond line 语", "p", pool="p"))
    assert "\n" not in line
    assert json.loads(line)["message"] == "pool p:\nsecond line 语"
    assert json.loads(line)["pool"] == "p"


def test_an_exception_is_told_in_full() -> None:
    made = record("failed")
    try:
        raise KeyError("oops")
    except KeyError:
        made.exc_info = sys.exc_info()
    assert "KeyError: 'oops'" in json.loads(JsonFormatter().format(made))["exception"]
