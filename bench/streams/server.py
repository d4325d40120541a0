"""One server under test, in processes of its own: start, readiness, what it takes of the machine, and its end.

A server here is a command that serves FunASR's WebSocket protocol on a loopback port and answers 200 on /readyz once it
can. Only processes started here are ever signalled, by their ids.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

LOOPBACK = "127.0.0.1"
POLL_SECONDS = 0.05
STOP_SECONDS = 15.0


class ServerError(RuntimeError):
    """The server did not start, or is gone; the message has its last words."""


@dataclass(frozen=True)
class ServerSpec:
    """A server to start: its command (with `{port}` and `{admin_port}` in it), and where its metrics are, if it has any."""

    name: str
    command: tuple[str, ...]
    has_metrics: bool = False
    environment: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Usage:
    """A moment's reading of a server's processes: CPU seconds since their start, resident bytes, and its metrics' text."""

    at: float
    cpu_seconds: float
    resident_bytes: int
    metrics: str


class Server:
    """A server that is ready. Made by `running`."""

    def __init__(
        self, process: subprocess.Popen[bytes], spec: ServerSpec, port: int, admin_port: int, log: Path
    ) -> None:
        self.spec = spec
        self.url = f"ws://{LOOPBACK}:{port}"
        self.ready_seconds = 0.0
        self._process = process
        self._watched = psutil.Process(process.pid)
        self._readiness = f"http://{LOOPBACK}:{port}/readyz"
        self._metrics = f"http://{LOOPBACK}:{admin_port}/metrics" if spec.has_metrics else None
        self._log = log

    def wait_until_ready(self, patience_seconds: float) -> None:
        """Until /readyz says 200. Raises `ServerError`."""
        began = time.monotonic()
        while time.monotonic() - began < patience_seconds:
            self.check_alive()
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(self._readiness, timeout=5).status_code == httpx.codes.OK:
                    self.ready_seconds = time.monotonic() - began
                    return
            time.sleep(POLL_SECONDS)
        raise ServerError(
            f"{self.spec.name}: not ready after {patience_seconds:g} s; its log ends:\n{self._last_words()}"
        )

    def check_alive(self) -> None:
        """Raises `ServerError` when the process has ended."""
        status = self._process.poll()
        if status is not None:
            raise ServerError(f"{self.spec.name}: ended with exit status {status}; its log ends:\n{self._last_words()}")

    def usage(self) -> Usage:
        """What it has taken so far. Raises `ServerError` when it is gone."""
        self.check_alive()
        cpu, resident = 0.0, 0
        for process in [self._watched, *self._watched.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                cpu += times.user + times.system
                resident += process.memory_info().rss
        return Usage(time.monotonic(), cpu, resident, self._metrics_text())

    def _metrics_text(self) -> str:
        if self._metrics is None:
            return ""
        try:
            return httpx.get(self._metrics, timeout=10).text
        except httpx.TransportError as error:
            print(f"{self.spec.name}: no metrics ({error!r})", file=sys.stderr)
            return ""

    def stop(self) -> None:
        """End it: politely, then at once."""
        family = [self._process.pid, *(child.pid for child in self._children())]
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for pid in family[1:]:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()

    def _children(self) -> list[psutil.Process]:
        try:
            return list(self._watched.children(recursive=True))
        except psutil.NoSuchProcess:
            return []

    def _last_words(self) -> str:
        return "\n".join(self._log.read_text(encoding="utf-8", errors="replace").splitlines()[-15:])


@contextlib.contextmanager
def running(spec: ServerSpec, logs: Path, ready_seconds: float = 300.0) -> Iterator[Server]:
    """The server, ready; it is stopped however the block is left. Raises `ServerError`."""
    port, admin_port, agent_port = free_ports(3)
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{spec.name.replace(' ', '-')}.log"
    ports = {"port": str(port), "admin_port": str(admin_port), "agent_port": str(agent_port)}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [part.format_map(ports) for part in spec.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(dict(spec.environment)),
            start_new_session=True,  # a Ctrl-C is ours to pass on
        )
    server = Server(process, spec, port, admin_port, log)
    try:
        server.wait_until_ready(ready_seconds)
        yield server
    finally:
        server.stop()


def free_ports(count: int) -> list[int]:
    """Loopback ports that nobody listens on now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind((LOOPBACK, 0))
        return [each.getsockname()[1] for each in sockets]


def _environment(extra: Mapping[str, str]) -> dict[str, str]:
    from bench.streams.model_dirs import PROJECT

    path: Sequence[str] = [str(PROJECT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(part for part in path if part), **extra}
