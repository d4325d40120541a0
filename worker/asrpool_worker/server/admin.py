"""The admin port: what the operator reads and orders (with a token), and what Prometheus scrapes (without)."""

from __future__ import annotations

import hmac
import json
import logging
import time
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Query, Request
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST

from asrpool_worker.server.latency import MAX_WINDOW_SECONDS
from asrpool_worker.server.worker import Worker

log = logging.getLogger(__name__)

_MAX_BODY_BYTES = 1_024
_Percentile = Annotated[float, Query(gt=0, le=100)]
_Window = Annotated[float, Query(gt=0, le=MAX_WINDOW_SECONDS)]


class AdminPort:
    """The FastAPI application over one `Worker`. Without a token it must be bound to loopback only."""

    def __init__(self, worker: Worker, token: str | None) -> None:
        self._worker = worker
        self._token = token
        self.app = FastAPI(title="asrpool worker admin", openapi_url=None)
        authorized = [Depends(self._authorize)]
        self.app.add_api_route("/metrics", self._metrics)
        self.app.add_api_route("/status", self._status, dependencies=authorized)
        self.app.add_api_route("/drain", self._drain, methods=["POST"], dependencies=authorized)
        self.app.add_api_route("/undrain", self._undrain, methods=["POST"], dependencies=authorized)
        self.app.add_api_route("/capacity", self._capacity, methods=["POST"], dependencies=authorized)

    async def _authorize(self, request: Request) -> None:
        given = request.headers.get("Authorization", "")
        if self._token is not None and not hmac.compare_digest(given.encode(), f"Bearer {self._token}".encode()):
            raise HTTPException(
                401, "give the pool's admin token as 'Authorization: Bearer ...'", {"WWW-Authenticate": "Bearer"}
            )

    async def _metrics(self) -> Response:
        return Response(self._worker.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    async def _status(self, percentile: _Percentile = 95, window: _Window = 30) -> Response:
        return JSONResponse(self._worker.status(percentile, window, time.monotonic()))

    async def _drain(self) -> Response:
        self._worker.admission.drain(time.monotonic())
        log.info("drain ordered", extra={"active": self._worker.admission.active})
        return await self._status()

    async def _undrain(self) -> Response:
        self._worker.undrain()
        log.info("drain called off", extra={"active": self._worker.admission.active})
        return await self._status()

    async def _capacity(self, request: Request) -> Response:
        self._worker.admission.set_capacity(await _sessions(request))
        log.info("capacity set", extra={"capacity": self._worker.admission.capacity})
        return await self._status()


async def _sessions(request: Request) -> int:
    """The body's `sessions`, read without trusting its length."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BODY_BYTES:
            raise HTTPException(413, f"the body may have {_MAX_BODY_BYTES} bytes")
    try:
        message = json.loads(body)
    except ValueError:
        message = None
    sessions = message.get("sessions") if isinstance(message, dict) else None
    if isinstance(sessions, bool) or not isinstance(sessions, int) or sessions < 0:
        raise HTTPException(422, 'send {"sessions": N} with a whole number N of 0 or more')
    return sessions
