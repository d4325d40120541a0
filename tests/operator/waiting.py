"""Wait for a condition that only time can bring about: tasks of the code under test that tell nobody when they did."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LIMIT_SECONDS = 5.0


async def until(condition: Callable[[], bool]) -> None:
    """Return as soon as the condition holds; fail after `LIMIT_SECONDS`."""
    async with asyncio.timeout(LIMIT_SECONDS):
        while not condition():  # noqa: ASYNC110  # the condition is of code that has no event for it
            await asyncio.sleep(0.005)
