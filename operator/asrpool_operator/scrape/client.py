"""Calls to admin ports: short, many at once, never retried (the next tick is the retry)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

import httpx

from asrpool_operator.errors import WorkerUnreachableError
from asrpool_operator.scrape.answers import GatewayCounts, gateway_counts, worker_status
from asrpool_operator.snapshot import WorkerStatus

WORKER_ADMIN_PORT = 10096
GATEWAY_ADMIN_PORT = 8404

TIMEOUT_SECONDS = 0.7
"""Less than a tick, so that a pod that hangs cannot make its pool's tick late by more than this."""

_MOST_AT_ONCE = 64


class AdminPorts(Protocol):
    """What the operator asks of pods directly. Every method may raise `WorkerUnreachableError`."""

    async def status(self, ip: str, token: str, *, percentile: float, window_seconds: int) -> WorkerStatus:
        """The worker's own words."""
        ...

    async def drain(self, ip: str, token: str) -> WorkerStatus:
        """Take no newcomers from now on."""
        ...

    async def undrain(self, ip: str, token: str) -> WorkerStatus:
        """Take newcomers again."""
        ...

    async def set_capacity(self, ip: str, token: str, sessions: int) -> WorkerStatus:
        """Admit at most this many sessions; nobody who is in is ended."""
        ...

    async def held(self, ip: str) -> GatewayCounts:
        """What waits at one gateway pod."""
        ...


class HttpAdminPorts:
    """`AdminPorts` over HTTP, with connections kept open between ticks."""

    def __init__(
        self,
        *,
        worker_port: int = WORKER_ADMIN_PORT,
        gateway_port: int = GATEWAY_ADMIN_PORT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._worker_port = worker_port
        self._gateway_port = gateway_port
        self._clock = clock
        self._slots = asyncio.Semaphore(_MOST_AT_ONCE)
        self._client = httpx.AsyncClient(
            timeout=TIMEOUT_SECONDS,
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=4096, keepalive_expiry=30.0),
            trust_env=False,  # pods are never behind a proxy
        )

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def status(self, ip: str, token: str, *, percentile: float, window_seconds: int) -> WorkerStatus:
        """See `AdminPorts.status`."""
        query = {"percentile": percentile, "window": window_seconds}
        return worker_status(await self._worker("GET", ip, "/status", token, query=query), self._clock())

    async def drain(self, ip: str, token: str) -> WorkerStatus:
        """See `AdminPorts.drain`."""
        return worker_status(await self._worker("POST", ip, "/drain", token), self._clock())

    async def undrain(self, ip: str, token: str) -> WorkerStatus:
        """See `AdminPorts.undrain`."""
        return worker_status(await self._worker("POST", ip, "/undrain", token), self._clock())

    async def set_capacity(self, ip: str, token: str, sessions: int) -> WorkerStatus:
        """See `AdminPorts.set_capacity`."""
        answer = await self._worker("POST", ip, "/capacity", token, body={"sessions": sessions})
        return worker_status(answer, self._clock())

    async def held(self, ip: str) -> GatewayCounts:
        """See `AdminPorts.held`."""
        return gateway_counts(await self._ask("GET", _url(ip, self._gateway_port, "/held"), {}, None, None))

    async def _worker(
        self,
        method: str,
        ip: str,
        path: str,
        token: str,
        *,
        query: dict[str, float] | None = None,
        body: dict[str, int] | None = None,
    ) -> object:
        headers = {"Authorization": f"Bearer {token}"}
        return await self._ask(method, _url(ip, self._worker_port, path), headers, query, body)

    async def _ask(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        query: dict[str, float] | None,
        body: dict[str, int] | None,
    ) -> object:
        try:
            # httpx limits each phase; this limits the whole, so that a pod that drips bytes is a pod that hangs.
            async with self._slots, asyncio.timeout(TIMEOUT_SECONDS):
                answer = await self._client.request(method, url, headers=headers, params=query, json=body)
        except (httpx.HTTPError, TimeoutError, OSError) as error:
            raise WorkerUnreachableError(f"{method} {url}: {error!r}") from error
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            raise WorkerUnreachableError(
                f"{method} {url}: the worker refused the token; it may have started before the pool's admin Secret "
                "was made anew: delete the pod once it is empty"
            )
        if answer.status_code != httpx.codes.OK:
            raise WorkerUnreachableError(f"{method} {url}: {answer.status_code} {answer.text[:200]}")
        try:
            parsed: object = answer.json()
        except ValueError as error:
            raise WorkerUnreachableError(f"{method} {url}: the answer is not JSON") from error
        return parsed


def _url(ip: str, port: int, path: str) -> str:
    host = f"[{ip}]" if ":" in ip else ip
    return f"http://{host}:{port}{path}"
