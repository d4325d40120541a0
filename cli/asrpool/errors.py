"""What can go wrong for a person at the command line, by what they should do about it."""

from __future__ import annotations


class AsrpoolError(Exception):
    """Base of the errors that the commands show as one sentence."""


class UsageError(AsrpoolError):
    """A flag or a file is wrong: exit status 2."""


class StreamError(AsrpoolError):
    """The stream did not get through: exit status 1. `lost`: it had begun and was cut or told of an error."""

    def __init__(self, message: str, *, lost: bool) -> None:
        super().__init__(message)
        self.lost = lost


class RefusedError(StreamError):
    """The server said no before the upgrade; for 503 it says when to come back."""

    def __init__(self, status: int, reason: str, retry_after_seconds: float | None, pod: str | None) -> None:
        super().__init__(f"refused with HTTP {status}{': ' + reason if reason else ''}", lost=False)
        self.status = status
        self.retry_after_seconds = retry_after_seconds
        self.pod = pod
