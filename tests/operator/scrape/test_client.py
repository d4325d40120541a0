"""Admin ports over real HTTP on loopback: answers, refusals, and pods that hang."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from asrpool_operator.errors import WorkerUnreachableError
from asrpool_operator.scrape.client import TIMEOUT_SECONDS, HttpAdminPorts

STATUS: dict[str, Any] = {
    "pod": "p-worker-x",
    "ready": True,
    "draining": False,
    "draining_since": None,
    "sessions": {
        "active": 3,
        "capacity": 4,
        "configured_capacity": 4,
        "ages_seconds": [12.5, 3.1, 80.0],
        "held_ids": 1,
    },
    "latency": {
        "percentile": 95,
        "window_seconds": 30,
        "partial_ms": 210.0,
        "final_ms": None,
        "samples": 120,
        "partial_samples": 117,
        "final_samples": 3,
    },
    "ended": {"count": 41, "seconds_sum": 5120.4, "seconds_sq_sum": 9.1e5},
    "lag_seconds": 0.0,
    "started_unix": 1.0,
    "load_seconds": 1.7,
}
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Pod:
    """A pod's two admin ports in one; the test sets what they answer."""

    def __init__(self) -> None:
        self.answer: Handler = self.good
        self.asked: list[str] = []

    async def good(self, request: web.Request) -> web.Response:
        return web.json_response({"held": 2, "queued": 1, "refused": 7} if request.path == "/held" else STATUS)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        body = await request.text()
        self.asked.append(f"{request.method} {request.path_qs} {request.headers.get('Authorization')} {body}".strip())
        return await self.answer(request)


@pytest.fixture
async def pod() -> AsyncIterator[Pod]:
    served = Pod()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", served.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    served.ports = HttpAdminPorts(worker_port=port, gateway_port=port, clock=lambda: 99.0)  # type: ignore[attr-defined]
    yield served
    await served.ports.close()  # type: ignore[attr-defined]
    await runner.cleanup()


async def test_the_contracts_status_is_understood(pod: Pod) -> None:
    status = await pod.ports.status("127.0.0.1", "t", percentile=95, window_seconds=30)  # type: ignore[attr-defined]
    assert (status.active, status.capacity, status.held_ids, status.partial_ms) == (3, 4, 1, 210.0)
    assert (status.latency_samples, status.partial_samples, status.final_samples) == (120, 117, 3)
    assert (status.ended_count, status.ages_seconds, status.scraped_unix_seconds) == (41, (12.5, 3.1, 80.0), 99.0)
    assert pod.asked == ["GET /status?percentile=95&window=30 Bearer t"]


async def test_drain_undrain_and_capacity_are_posts_with_the_token(pod: Pod) -> None:
    ports: HttpAdminPorts = pod.ports  # type: ignore[attr-defined]
    await ports.drain("127.0.0.1", "t")
    await ports.undrain("127.0.0.1", "t")
    await ports.set_capacity("127.0.0.1", "t", 3)
    assert pod.asked == ["POST /drain Bearer t", "POST /undrain Bearer t", 'POST /capacity Bearer t {"sessions":3}']


async def test_a_gateways_counts(pod: Pod) -> None:
    counts = await pod.ports.held("127.0.0.1")  # type: ignore[attr-defined]
    assert (counts.held, counts.queued, counts.refused) == (2, 1, 7)


async def hang(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(10)
    raise AssertionError


async def drip(request: web.Request) -> web.StreamResponse:
    """Never silent for long, never done."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.05)


async def refuse(_: web.Request) -> web.StreamResponse:
    return web.Response(status=401)


async def break_(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500, text="boom")


async def babble(_: web.Request) -> web.StreamResponse:
    return web.Response(text="no json")


async def negative(_: web.Request) -> web.StreamResponse:
    return web.json_response({**STATUS, "sessions": {**STATUS["sessions"], "active": -1}})


async def silent_about_draining(_: web.Request) -> web.StreamResponse:
    return web.json_response({key: value for key, value in STATUS.items() if key != "draining"})


@pytest.mark.parametrize("answer", [hang, drip, refuse, break_, babble, negative, silent_about_draining])
async def test_a_bad_answer_is_no_answer_and_costs_less_than_a_tick(pod: Pod, answer: Handler) -> None:
    pod.answer = answer
    started = time.monotonic()
    with pytest.raises(WorkerUnreachableError):
        await pod.ports.status("127.0.0.1", "t", percentile=95, window_seconds=30)  # type: ignore[attr-defined]
    assert time.monotonic() - started < TIMEOUT_SECONDS + 0.5


async def test_a_refused_token_says_what_to_do(pod: Pod) -> None:
    pod.answer = refuse
    with pytest.raises(WorkerUnreachableError, match="refused the token"):
        await pod.ports.drain("127.0.0.1", "t")  # type: ignore[attr-defined]


async def test_nobody_listens() -> None:
    ports = HttpAdminPorts(worker_port=1)
    with pytest.raises(WorkerUnreachableError):
        await ports.status("127.0.0.1", "t", percentile=95, window_seconds=30)
    await ports.close()
