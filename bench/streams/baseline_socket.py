"""FunASR's WebSocket protocol as far as the baselines need it: one handler for each connection, and /readyz.

A baseline gives a `Session` for each connection. Its calls may block: they run in a pool of threads, one call of a
connection after the other, as FunASR's server does it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from http import HTTPStatus
from typing import Any, Protocol

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Message = dict[str, Any]


class Session(Protocol):
    """What one connection does with what it is sent; each call gives the messages to answer."""

    def configure(self, message: Message) -> None:
        """The first message, and any later one that is not the end."""

    def audio(self, data: bytes) -> Sequence[Message]:
        """One frame."""

    def end(self) -> Sequence[Message]:
        """`is_speaking: false`."""


def run(open_session: Callable[[], Session], pool: Executor, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    asyncio.run(_serve(open_session, pool, port))


async def _serve(open_session: Callable[[], Session], pool: Executor, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def connected(socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            await _converse(socket, open_session(), pool)

    async with serve(
        connected,
        "127.0.0.1",
        port,
        process_request=_answer_readiness,
        compression=None,
        ping_interval=None,
        close_timeout=1,
    ):
        await stop.wait()
    pool.shutdown(wait=False, cancel_futures=True)


def _answer_readiness(socket: ServerConnection, request: Request) -> Response | None:
    return socket.respond(HTTPStatus.OK, "ready\n") if request.path == "/readyz" else None


async def _converse(socket: ServerConnection, session: Session, pool: Executor) -> None:
    loop = asyncio.get_running_loop()
    async for raw in socket:
        if isinstance(raw, bytes):
            answers = await loop.run_in_executor(pool, session.audio, raw)
        else:
            message = json.loads(raw)
            if message.get("is_speaking", True):
                session.configure(message)
                continue
            answers = [*await loop.run_in_executor(pool, session.end), {"is_final": True, "is_end": True, "text": ""}]
        for answer in answers:
            await socket.send(json.dumps(answer, ensure_ascii=False))
