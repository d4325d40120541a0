"""Which session a request belongs to: the gateway's word, else the device's, else a name of our own."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

SESSION_HEADER = "X-Asrpool-Session"
POD_HEADER = "X-Asrpool-Pod"
DEVICE_HEADER = "Device-Id"
MAX_ID_CHARS = 256

_ALLOWED = re.compile(r"[\x21-\x7e]+")


@dataclass(frozen=True)
class Identity:
    """`resumable` is false for a name made here: no client can bring it back."""

    session_id: str
    resumable: bool


def identify(headers: Mapping[str, str], query: Mapping[str, str]) -> Identity | None:
    """The session's id, or None when the client's own is unusable (too long, or not printable ASCII: it goes into headers and logs).

    `headers` must look names up without regard to case, as HTTP does.
    """
    given = (
        headers.get(SESSION_HEADER)
        or headers.get(DEVICE_HEADER)
        or query.get(DEVICE_HEADER.lower())
        or query.get(DEVICE_HEADER)
    )
    if not given:
        return Identity(uuid.uuid4().hex, resumable=False)
    if len(given) > MAX_ID_CHARS or not _ALLOWED.fullmatch(given):
        return None
    return Identity(given, resumable=True)
