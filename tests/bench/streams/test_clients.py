"""The clients end in time whatever the server does, and count what it owes."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from websockets.asyncio.server import ServerConnection, serve

from bench.streams.clients import Plan, drive

Handler = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def plan_for(handler: Handler, seconds: float = 1.2) -> AsyncIterator[Plan]:
    """A plan of two streams against `handler`, whose window is the second one."""
    async with serve(handler, "127.0.0.1", 0, close_timeout=0.1) as server:
        port = server.sockets[0].getsockname()[1]
        now = time.monotonic()
        yield Plan(
            url=f"ws://127.0.0.1:{port}",
            mode="online",
            streams=2,
            seconds=seconds,
            begin_at=now + 0.1,
            join_seconds=0.1,
            window=(now + 0.5, now + 2.5),
            patience_seconds=0.6,
            limit_seconds=0.3,
        )


async def prompt(socket: ServerConnection) -> None:
    """Answers each stride at once, and each end."""
    frames = 0
    async for message in socket:
        if isinstance(message, bytes):
            frames += 1
            if frames % 10 == 0:
                await socket.send(json.dumps({"mode": "online", "text": "x", "is_final": False}))
        elif json.loads(message)["is_speaking"] is False:
            await socket.send(json.dumps({"mode": "online", "is_final": True, "is_end": True}))


async def mute(socket: ServerConnection) -> None:
    """Reads all and says nothing."""
    async for _ in socket:
        pass


async def cut(socket: ServerConnection) -> None:
    """Hangs up after the first message."""
    await socket.recv()


@pytest.mark.server
async def test_a_prompt_server_has_short_lags_and_tails() -> None:
    async with plan_for(prompt) as plan:
        heard = await drive(plan)
    assert heard.errors == []
    assert heard.unanswered == 0
    assert len(heard.lags) >= 2
    assert len(heard.tails) >= 2, "streams that ended were begun anew"
    assert min(heard.lags + heard.tails) >= 0
    assert heard.frames > 40


@pytest.mark.server
async def test_a_mute_server_is_given_up_and_its_debts_count() -> None:
    async with plan_for(mute) as plan:
        began = time.monotonic()
        heard = await drive(plan)
        assert time.monotonic() - began < 2.5 + plan.patience_seconds + 1.5
    assert heard.unanswered >= 2
    assert max(heard.tails) >= plan.patience_seconds * 0.9
    assert heard.lags, "strides that are past the limit"
    assert min(heard.lags) > plan.limit_seconds


@pytest.mark.server
async def test_a_stream_longer_than_the_window_is_left_at_its_end() -> None:
    async with plan_for(prompt, seconds=60.0) as plan:
        async with asyncio.timeout(5):
            heard = await drive(plan)
    assert heard.tails == []
    assert heard.lags


@pytest.mark.server
async def test_a_server_that_hangs_up_or_is_not_there_is_an_error() -> None:
    async with plan_for(cut) as plan:
        assert (await drive(plan)).errors
        gone = replace(plan, url="ws://127.0.0.1:9", window=(time.monotonic(), time.monotonic() + 0.5))
        assert (await drive(gone)).errors
