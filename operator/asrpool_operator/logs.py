"""Logs for machines (one JSON object a line) or for people."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import TextIO

_RECORD_FIELDS = frozenset(vars(logging.makeLogRecord({})))
_QUIET = {
    "aiohttp.access": logging.WARNING,
    "httpcore": logging.WARNING,
    "httpx": logging.WARNING,
    "kopf": logging.WARNING,
    "kopf._core.reactor.running": logging.ERROR,  # warns that it does not handle signals: the process does
    "kubernetes": logging.WARNING,
}


class JsonFormatter(logging.Formatter):
    """One object a line: time, level, logger, message, and whatever was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """See `logging.Formatter.format`."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        line.update(
            {key: value for key, value in vars(record).items() if key not in _RECORD_FIELDS and key != "message"}
        )
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


def configure(*, json_lines: bool, level: str, stream: TextIO = sys.stderr) -> None:
    """Send all logs of this process to one stream, in one form."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        JsonFormatter() if json_lines else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name, quiet_level in _QUIET.items():
        logging.getLogger(name).setLevel(max(quiet_level, root.level))
