"""The public port: FunASR's WebSocket protocol, health, and the list of models."""

from __future__ import annotations

import logging
import time

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, Response

from asrpool_worker.server.admission import Place, Refused
from asrpool_worker.server.identity import DEVICE_HEADER, MAX_ID_CHARS, POD_HEADER, SESSION_HEADER, identify
from asrpool_worker.server.stream import LiveStream
from asrpool_worker.server.worker import Worker
from asrpool_worker.session.errors import CLOSE_RESTART

log = logging.getLogger(__name__)


class PublicPort:
    """The FastAPI application over one `Worker`, and the streams that are live on it."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._streams: set[LiveStream] = set()
        self.app = FastAPI(title="asrpool worker", openapi_url=None)
        self.app.add_api_websocket_route("/", self._funasr)
        self.app.add_api_route("/healthz", self._healthz)
        self.app.add_api_route("/readyz", self._ready)
        self.app.add_api_route("/startupz", self._ready)
        self.app.add_api_route("/v1/models", self._models)

    def end_streams(self, message: str) -> int:
        """Close every live stream with the code for a server that restarts; returns how many there were."""
        streams = list(self._streams)
        for stream in streams:
            stream.end(message, CLOSE_RESTART, "drain_deadline")
        return len(streams)

    async def _healthz(self) -> Response:
        """The process answers."""
        return JSONResponse({"status": "ok"})

    async def _ready(self) -> Response:
        """The models are loaded. Load and drain never turn it false: a pod that is not ready would lose its live streams."""
        if self._worker.admission.ready:
            return JSONResponse({"status": "ready"})
        return JSONResponse({"status": "loading models"}, status_code=503)

    async def _models(self) -> Response:
        """The loaded models in OpenAI's form."""
        created = int(self._worker.started_unix)
        models = [
            {"id": name, "object": "model", "created": created, "owned_by": "asrpool"}
            for name in self._worker.model_names
        ]
        return JSONResponse({"object": "list", "data": models})

    async def _funasr(self, socket: WebSocket) -> None:
        worker = self._worker
        identity = identify(socket.headers, socket.query_params)
        if identity is None:
            message = f"the session's id ({DEVICE_HEADER}) must be 1 to {MAX_ID_CHARS} printable ASCII characters without spaces"
            await socket.send_denial_response(self._denial(400, "bad_id", message))
            return
        headers = {POD_HEADER: worker.pod, SESSION_HEADER: identity.session_id}
        place = worker.admission.admit(identity.session_id, time.monotonic(), resumable=identity.resumable)
        if isinstance(place, Refused):
            log.info("newcomer refused", extra={"session": identity.session_id, "reason": place.reason.value})
            worker.metrics.sessions.labels("refused").inc()
            headers["Retry-After"] = str(place.retry_after_seconds)
            await socket.send_denial_response(self._denial(503, place.reason.value, place.message, headers))
            return
        worker.occupied()
        await self._serve(socket, place, headers)

    async def _serve(self, socket: WebSocket, place: Place, headers: dict[str, str]) -> None:
        """From the place to its release, whatever happens between."""
        worker, result = self._worker, "server_error"
        try:
            # Old FunASR clients offer "binary" and want it back; others offer nothing and refuse a subprotocol they did not name.
            subprotocol = "binary" if "binary" in socket.scope["subprotocols"] else None
            await socket.accept(subprotocol, [(name.encode(), value.encode()) for name, value in headers.items()])
            log.info("session begins", extra={"session": place.session_id})
            assert worker.engine is not None, "admission admits nobody before the engine is loaded"  # noqa: S101
            stream = LiveStream(socket, worker, worker.engine, place.session_id)
            self._streams.add(stream)
            try:
                result = await stream.run()
            finally:
                self._streams.discard(stream)
        except WebSocketDisconnect:
            result = "client_gone"  # between its request and our answer
        finally:
            seconds = worker.release(place, result, time.monotonic())
            log.info(
                "session ends", extra={"session": place.session_id, "result": result, "seconds": round(seconds, 3)}
            )

    def _denial(self, status: int, reason: str, message: str, headers: dict[str, str] | None = None) -> Response:
        """An HTTP answer in place of the upgrade; the gateway reads its status, people its text."""
        body = {"error": {"reason": reason, "message": message, "pod": self._worker.pod}}
        return JSONResponse(body, status, headers or {POD_HEADER: self._worker.pod})
