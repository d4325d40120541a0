"""Floods of frames that carry nothing, and connections that never become a request: neither may hold up anybody else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from asrpool_worker.server.agent import agent_line, start_agent
from asrpool_worker.server.connection import (
    SMALL_FRAME_BURST,
    SMALL_FRAMES_PER_SECOND,
    FrameBudget,
)
from asrpool_worker.server.requests import PromptRequests
from asrpool_worker.session.funasr import Limits
from tests.worker.server.running import SECOND, Running, hear_all, running, say
from tests.worker.server.test_bad_input import beside_a_good_stream, deaf_client, ending, frame

pytestmark = pytest.mark.server

PONG = frame(10, b"")
EMPTY = frame(2, b"")
ONE_SAMPLE = frame(2, b"\x10\x20")
FRAGMENT = frame(2, b"", last=False) + frame(0, b"") * 3


@asynccontextmanager
async def flooding(server: Running, flood: bytes) -> AsyncIterator[asyncio.StreamWriter]:
    """A client that writes as fast as it is read, until the body is done."""
    writer = await deaf_client(server)
    writer.write(frame(1, json.dumps({"mode": "online"}).encode()))

    async def pour() -> None:
        while True:
            writer.write(flood)
            await writer.drain()

    pouring = asyncio.create_task(pour())
    try:
        yield writer
    finally:
        pouring.cancel()
        await asyncio.gather(pouring, return_exceptions=True)
        writer.transport.abort()


async def slowest_answer(ask: Callable[[], object], seconds: float) -> float:
    """The longest wait among answers asked for one after the other."""
    slowest, end = 0.0, time.monotonic() + seconds
    while (began := time.monotonic()) < end:
        await ask()  # type: ignore[misc]  # each caller passes a coroutine function
        slowest = max(slowest, time.monotonic() - began)
        await asyncio.sleep(0.02)
    return slowest


@pytest.mark.parametrize(
    "one", [PONG, EMPTY, ONE_SAMPLE, FRAGMENT], ids=["pongs", "empty frames", "single samples", "fragments"]
)
async def test_a_flood_of_small_frames_holds_nobody_up(one: bytes) -> None:
    """Seen without the budget: 40 000 pongs in one read kept health and the agent port waiting for seconds on end."""
    async with running() as server:
        agent = await start_agent("127.0.0.1", 0, lambda: agent_line(server.worker.admission))
        agent_port = agent.sockets[0].getsockname()[1]

        async def healthy() -> None:
            assert (await server.http.get("/healthz")).status_code == 200

        async def agent_answers() -> None:
            reader, writer = await asyncio.open_connection("127.0.0.1", agent_port)
            assert (await reader.readline()).startswith(b"ready up")
            writer.close()

        async with beside_a_good_stream(server), flooding(server, one * (1_000_000 // len(one))):
            waits = await asyncio.gather(slowest_answer(healthy, 2.0), slowest_answer(agent_answers, 2.0))
        agent.close()
        assert max(waits) < 0.8, "one burst's worth of parsing at most"


async def test_empty_frames_are_no_sign_of_life() -> None:
    async with running(limits=Limits(idle_seconds=0.4)) as server, server.connect() as bad:
        await say(bad, mode="online")

        async def tick() -> None:
            while True:
                await bad.send(b"")
                await asyncio.sleep(0.05)

        ticking = asyncio.create_task(tick())
        assert (await ending(bad))[0] == "nothing was received for 0.4 s"
        ticking.cancel()
        await asyncio.gather(ticking, return_exceptions=True)


async def test_small_frames_beyond_the_budget_only_wait() -> None:
    """A device that sends a minute in frames of 10 ms as fast as it can is slowed down, and loses nothing."""
    async with running() as server, server.connect() as fast:
        await say(fast, mode="2pass")
        frames = int(SMALL_FRAME_BURST + 1.5 * SMALL_FRAMES_PER_SECOND)
        began = time.monotonic()
        for _ in range(frames):
            await fast.send(SECOND[:320])
        await say(fast, is_speaking=False, is_end=True)
        messages = await hear_all(fast)
        assert time.monotonic() - began > 1.0
        assert len(server.engine.arrivals) == frames
        assert messages[-2]["text"] == "一" * (frames * 160 // 9_600)


def test_the_budget_grows_with_time_up_to_a_burst() -> None:
    budget = FrameBudget(now=100.0)
    budget.spend(SMALL_FRAME_BURST, 100.0)
    assert budget.wait_seconds == 0
    budget.spend(300, 100.0)
    assert budget.wait_seconds == pytest.approx(300 / SMALL_FRAMES_PER_SECOND)
    budget.spend(0, 100.5)
    assert budget.wait_seconds == pytest.approx(300 / SMALL_FRAMES_PER_SECOND - 0.5)
    budget.spend(SMALL_FRAME_BURST, 10_000.0)
    assert budget.wait_seconds == 0


class Hurried(PromptRequests):
    """As it is served, with less patience."""

    request_seconds = 0.4


@pytest.mark.parametrize("admin", [False, True], ids=["public port", "admin port"])
@pytest.mark.parametrize(
    "begun",
    [
        b"",
        b"\r\n",
        b"GET /heal",
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n",
        b"POST /drain HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
        b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET ",
    ],
    ids=["nothing", "a line feed", "half a line", "half the headers", "half a body", "half a second request"],
)
async def test_a_connection_that_never_completes_a_request_is_cut_off(begun: bytes, admin: bool) -> None:
    async with running(http=Hurried) as server:
        port = (server.admin if admin else server.http).base_url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(begun)
        async with asyncio.timeout(3):
            with suppress(ConnectionResetError):
                await reader.read()
        writer.close()


async def test_a_slow_request_that_comes_in_time_and_a_live_stream_are_left_alone() -> None:
    async with running(http=Hurried) as server, beside_a_good_stream(server):
        reader, writer = await asyncio.open_connection("127.0.0.1", server.http.base_url.port)
        for part in (b"GET /healthz HT", b"TP/1.1\r\nHost: x\r\n", b"\r\n"):
            writer.write(part)
            await asyncio.sleep(0.1)
        assert b"200" in await reader.readline()
        writer.close()
        await asyncio.sleep(1.0)
