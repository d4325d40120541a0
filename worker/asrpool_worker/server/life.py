"""The life of a worker process, top to bottom: listen, load, serve, drain, close, exit.

The public port listens before the models are loaded, so that probes get an answer (503) and a wrong port shows at once.
The first SIGTERM or SIGINT starts the drain: no newcomers, live streams finish within `drain_seconds`. A second signal,
or the end of that time, closes what is left with code 1012 and a sentence. An engine that dies ends the process with an
error, so that whoever runs it starts another: one that answers its probes and recognises nothing would draw streams for ever.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import uvicorn

from asrpool_worker.engine.messages import Engine, EngineObserver
from asrpool_worker.errors import EngineDiedError, SettingsError
from asrpool_worker.server.admin import AdminPort
from asrpool_worker.server.admission import Admission
from asrpool_worker.server.agent import agent_line, start_agent
from asrpool_worker.server.app import PublicPort
from asrpool_worker.server.connection import PING_SECONDS, StreamConnection
from asrpool_worker.server.gpu import gpu_collector
from asrpool_worker.server.requests import PromptRequests
from asrpool_worker.server.worker import StreamBounds, Worker
from asrpool_worker.session.funasr import Limits
from asrpool_worker.settings import Settings

log = logging.getLogger(__name__)

EngineBuilder = Callable[[Settings, EngineObserver], Engine]
_LOOPBACK = "127.0.0.1"
_CLOSE_SECONDS = 3.0


async def serve(settings: Settings, build_engine: EngineBuilder) -> None:
    """Run one worker until it has been told to stop and has drained.

    Raises `SettingsError` or `ModelError` at the start, `EngineDiedError` when the engine died under its streams.
    """
    stop = _Stop()
    death: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    admission = Admission(settings.sessions, settings.resume_seconds)
    worker = Worker(
        pod=settings.pod,
        admission=admission,
        limits=Limits(
            max_frame_bytes=settings.max_frame_bytes,
            idle_seconds=settings.idle_seconds,
            max_seconds=settings.max_seconds,
        ),
        bounds=StreamBounds(write_seconds=settings.write_seconds),
        model_names=tuple(Path(model).name for model in (settings.online, settings.offline) if model),
    )
    gpu = gpu_collector(settings.device)
    if gpu is not None:
        worker.metrics.registry.register(gpu)
    public = PublicPort(worker)
    admin = AdminPort(worker, settings.admin_token)
    admin_host = settings.host if settings.admin_token else _LOOPBACK
    sockets = [_bind("--port", settings.host, settings.port), _bind("--admin-port", admin_host, settings.admin_port)]
    try:
        agent = await start_agent(settings.host, settings.agent_port, lambda: agent_line(admission))
    except OSError as error:
        raise SettingsError(f"--agent-port: cannot listen on {settings.host}:{settings.agent_port}: {error}") from error
    servers = [_Server(public_config(public, settings.max_frame_bytes)), _Server(admin_config(admin))]
    serving = [asyncio.create_task(server.serve([bound])) for server, bound in zip(servers, sockets, strict=True)]
    log.info("listening", extra={"port": _port(sockets[0]), "admin_port": _port(sockets[1]), "admin_host": admin_host})
    if not settings.admin_token:
        log.warning("no --admin-token: the admin port listens on loopback only, so no operator can reach it")

    engine: Engine | None = None
    try:
        engine = await stop.unless_first(_load(worker, settings, build_engine, death))
        await stop.wait_or(death)
        if death.done() and not stop.told:
            worker.engine_died(time.monotonic())
            log.critical("the engine died; this process ends, to be started anew", extra={"reason": death.result()})
            await _until_empty(worker)
            raise EngineDiedError(f"the engine died: {death.result()}")
        worker.terminate(time.monotonic())
        log.info("draining", extra={"active": admission.active, "drain_seconds": settings.drain_seconds})
        if not await stop.wait_again_or(worker.empty, settings.drain_seconds):
            ended = public.end_streams("the worker had to end before this stream did; connect again")
            log.warning("streams were cut short", extra={"streams": ended})
            await _until_empty(worker)
    finally:
        for server in servers:
            server.should_exit = True
        agent.close()
        await asyncio.gather(*serving)
        if engine is not None:
            await asyncio.to_thread(engine.stop)
    log.info("bye", extra={"sessions": admission.ended.count})


async def _until_empty(worker: Worker) -> None:
    """A moment for the close frames of streams that were told to end."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(worker.empty.wait(), _CLOSE_SECONDS)


async def _load(worker: Worker, settings: Settings, build_engine: EngineBuilder, death: asyncio.Future[str]) -> Engine:
    """Load beside the event loop, then open the doors. `death` gets its result should the engine's thread end by itself."""
    began = time.monotonic()
    loop = asyncio.get_running_loop()
    loaded: asyncio.Future[Engine] = loop.create_future()

    def tell(engine: Engine | None, error: BaseException | None) -> None:
        if loaded.cancelled():
            return
        if engine is not None:
            loaded.set_result(engine)
        else:
            loaded.set_exception(error or RuntimeError("the loader ended without a word"))

    def on_death(reason: str) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: the process is at its end already
            loop.call_soon_threadsafe(death.set_result, reason)

    def build_and_start() -> None:
        engine, error = None, None
        try:
            engine = build_engine(settings, worker.metrics)
            engine.start(on_death)
        except BaseException as raised:  # noqa: BLE001 - handed over, not swallowed: it is raised in the event loop
            engine, error = None, raised
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any more
            loop.call_soon_threadsafe(tell, engine, error)

    # A daemon thread: a process that is told to stop while it loads must not wait for the load.
    threading.Thread(target=build_and_start, name="load", daemon=True).start()
    engine = await loaded
    seconds = time.monotonic() - began
    worker.opened(engine, seconds)
    phases = {phase: round(took, 3) for phase, took in engine.stats().load_phases_seconds.items()}
    log.info(
        "ready",
        extra={
            "load_seconds": round(seconds, 3),
            "load_phases": phases,
            "capacity": worker.admission.configured_capacity,
        },
    )
    return engine


class _Stop:
    """SIGTERM and SIGINT, counted."""

    def __init__(self) -> None:
        self._first, self._second = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._hear)

    @property
    def told(self) -> bool:
        """Whether a signal came."""
        return self._first.is_set()

    async def wait_or(self, death: asyncio.Future[str]) -> None:
        """Until the first signal, or `death`."""
        told = asyncio.create_task(self._first.wait())
        await asyncio.wait((told, death), return_when=asyncio.FIRST_COMPLETED)
        told.cancel()

    async def unless_first(self, work: Coroutine[Any, Any, Engine]) -> Engine | None:
        """The work's result, or None when the first signal came before it was done."""
        task, stopped = asyncio.create_task(work), asyncio.create_task(self._first.wait())
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if task.done():
            return task.result()
        task.cancel()
        return None

    async def wait_again_or(self, done: asyncio.Event, seconds: float) -> bool:
        """Until `done`, a second signal, or the time is over; True when it was `done`."""
        waits = [asyncio.create_task(event.wait()) for event in (done, self._second)]
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        return done.is_set()

    def _hear(self) -> None:
        (self._second if self._first.is_set() else self._first).set()


def public_config(
    public: PublicPort, max_frame_bytes: int, http: type[PromptRequests] = PromptRequests
) -> uvicorn.Config:
    """How the public port is served."""
    return uvicorn.Config(
        public.app,
        http=http,
        ws=StreamConnection,
        # Up to here the client is told in JSON what was wrong; beyond it the frame is not even read.
        ws_max_size=2 * max_frame_bytes + 1_048_576,
        ws_ping_interval=PING_SECONDS,
        ws_ping_timeout=None,
        ws_per_message_deflate=False,  # speech does not compress, and a small frame must not unpack to a large one
        **_COMMON,
    )


def admin_config(admin: AdminPort, http: type[PromptRequests] = PromptRequests) -> uvicorn.Config:
    """How the admin port is served."""
    return uvicorn.Config(admin.app, http=http, ws="none", **_COMMON)


_COMMON: dict[str, Any] = {
    "lifespan": "off",
    "log_config": None,
    "access_log": False,
    "server_header": False,
    "proxy_headers": False,
    "timeout_graceful_shutdown": int(_CLOSE_SECONDS),
}


def _bind(flag: str, host: str, port: int) -> socket.socket:
    """A listening socket, or a `SettingsError` that names the flag."""
    try:
        return socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=1_024
        )
    except OSError as error:
        raise SettingsError(f"{flag}: cannot listen on {host}:{port}: {error}") from error


def _port(bound: socket.socket) -> int:
    return int(bound.getsockname()[1])


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: this file decides when the process ends."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the process's signals alone."""
        yield
