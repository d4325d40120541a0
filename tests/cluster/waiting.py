"""Wait for what a cluster does in its own time, and say what was seen when it does not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

Seen = TypeVar("Seen")
_LOOK_SECONDS = 0.2


async def eventually(
    look: Callable[[], Awaitable[Seen]], good: Callable[[Seen], bool], *, within_seconds: float, what: str
) -> Seen:
    """The first look that is good. Looking may fail (the API server may be away); time limits are for a busy machine."""
    deadline = time.monotonic() + within_seconds
    while True:
        seen = await look()
        if good(seen):
            return seen
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {within_seconds:g} s; last seen: {seen!r}")
        await asyncio.sleep(_LOOK_SECONDS)
