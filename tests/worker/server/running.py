"""A real uvicorn server over a fake engine, in the test's own loop, on ports that the system chose."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import uvicorn
from websockets.asyncio.client import ClientConnection, connect

from asrpool_worker.server.admin import AdminPort
from asrpool_worker.server.admission import Admission
from asrpool_worker.server.app import PublicPort
from asrpool_worker.server.life import admin_config, public_config
from asrpool_worker.server.requests import PromptRequests
from asrpool_worker.server.worker import StreamBounds, Worker
from asrpool_worker.session.funasr import Limits
from tests.worker.fakes import FakeEngine

TOKEN = "s3cret"
SECOND = b"\x10\x20" * 16_000


@dataclass
class Running:
    """What a test needs of the server."""

    worker: Worker
    engine: FakeEngine
    public: PublicPort
    url: str
    admin: httpx.AsyncClient
    http: httpx.AsyncClient

    def connect(self, **arguments: Any) -> connect:
        return connect(self.url, proxy=None, **arguments)

    async def until_empty(self) -> None:
        async with asyncio.timeout(5):
            await self.worker.empty.wait()

    def ended(self, result: str) -> float:
        value = self.worker.metrics.registry.get_sample_value("asrpool_sessions_total", {"result": result})
        return value or 0.0


@asynccontextmanager
async def running(
    *,
    capacity: int = 4,
    resume_seconds: float = 60.0,
    limits: Limits | None = None,
    bounds: StreamBounds | None = None,
    engine: FakeEngine | None = None,
    ready: bool = True,
    send_buffer_bytes: int | None = None,
    http: type[PromptRequests] = PromptRequests,
) -> AsyncIterator[Running]:
    engine = engine or FakeEngine()
    worker = Worker(
        "pod-1", Admission(capacity, resume_seconds), limits or Limits(), bounds or StreamBounds(), ("tiny",)
    )
    if ready:
        engine.start()
        worker.opened(engine, 0.5)
    public, admin = PublicPort(worker), AdminPort(worker, TOKEN)
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
    if send_buffer_bytes is not None:
        sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send_buffer_bytes)
    ports = [bound.getsockname()[1] for bound in sockets]
    servers = [
        uvicorn.Server(public_config(public, worker.limits.max_frame_bytes, http)),
        uvicorn.Server(admin_config(admin, http)),
    ]
    serving = [asyncio.create_task(server._serve([bound])) for server, bound in zip(servers, sockets, strict=True)]
    try:
        async with (
            httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{ports[1]}", headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False
            ) as admin_client,
            httpx.AsyncClient(base_url=f"http://127.0.0.1:{ports[0]}", trust_env=False) as http_client,
        ):
            yield Running(worker, engine, public, f"ws://127.0.0.1:{ports[0]}/", admin_client, http_client)
    finally:
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)
        if ready:
            engine.stop()


async def say(socket: ClientConnection, **message: Any) -> None:
    """Send one JSON text message."""
    await socket.send(json.dumps(message, ensure_ascii=False))


async def hear(socket: ClientConnection) -> dict[str, Any]:
    """The next JSON text message, within five seconds."""
    async with asyncio.timeout(5):
        message: dict[str, Any] = json.loads(await socket.recv())
        return message


async def hear_all(socket: ClientConnection, until: str = "is_end") -> list[dict[str, Any]]:
    """Messages up to and with the first in which `until` is true."""
    messages = [await hear(socket)]
    while not messages[-1].get(until):
        messages.append(await hear(socket))
    return messages
