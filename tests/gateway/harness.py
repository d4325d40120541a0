"""One gateway as it runs in its pod: the real entrypoint and HAProxy, over fake workers and a fake cluster DNS."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from asrpool_operator.api import ASRPool, parse
from asrpool_operator.render import haproxy
from tests.gateway.fakes import FakeDns, FakeWorker, address

ENTRYPOINT = Path(__file__).parents[2] / "gateway" / "entrypoint.sh"
UPGRADE = (
    "GET {target} HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
)


def pool(spec: Mapping[str, Any] | None = None) -> ASRPool:
    """A pool named `demo`, with what a test sets on top."""
    return parse(
        {
            "apiVersion": "asrpool.dev/v1alpha1",
            "kind": "ASRPool",
            "metadata": {"name": "demo", "namespace": "speech", "uid": "0d9b2b4e-1f0e-4c5e-9a55-2c1c7e4c0b11"},
            "spec": {"models": {"online": "/models/online"}, **(spec or {})},
        }
    )


def free_port() -> int:
    """A TCP port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


async def eventually(condition: Callable[[], bool], within_seconds: float = 5, what: str = "") -> float:
    """Wait until the condition holds; the seconds it took."""
    started = time.monotonic()
    while not condition():
        assert time.monotonic() - started < within_seconds, f"not within {within_seconds} s: {what}"
        await asyncio.sleep(0.01)
    return time.monotonic() - started


@dataclass
class Answer:
    """What the gateway answered to one request; a live stream where the status is 101."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    seconds: float

    @property
    def pod(self) -> str:
        """The worker that answered."""
        return self.headers.get("x-asrpool-pod", "")

    async def echo(self, text: bytes = b"audio") -> bool:
        """Whether the stream still carries bytes to its worker and back."""
        try:
            self.writer.write(text)
            async with asyncio.timeout(2):
                return await self.reader.readexactly(len(text)) == text
        except (OSError, asyncio.IncompleteReadError, TimeoutError):
            return False

    async def end(self) -> None:
        """End the stream from the client's side."""
        self.writer.close()
        with contextlib.suppress(OSError):
            await self.writer.wait_closed()

    async def ended(self, within_seconds: float) -> bool:
        """Whether the other side ends the stream in this time."""
        try:
            async with asyncio.timeout(within_seconds):
                return await self.reader.read() == b""
        except ConnectionError:
            return True
        except TimeoutError:
            return False


@dataclass
class Gateway:
    """A running gateway and what is around it."""

    directory: Path
    dns: FakeDns
    number: int = 0
    replicas: int = 1
    reload_seconds: int = 0
    port: int = field(default_factory=free_port)
    admin_port: int = field(default_factory=free_port)
    peer_port: int = field(default_factory=free_port)
    workers: dict[str, FakeWorker] = field(default_factory=dict)
    process: asyncio.subprocess.Process | None = None
    answers: list[Answer] = field(default_factory=list)
    """Every answer so far: a stream lives until the test ends it, not until it is forgotten."""

    def configure(self, spec: Mapping[str, Any] | None = None, edit: Callable[[str], str] = lambda text: text) -> None:
        """Write what the ConfigMap would hold."""
        text = haproxy.haproxy_cfg(pool(spec), "cluster.local")
        text = text.replace("bind :8080", f"bind 127.0.0.1:{self.port}")
        text = text.replace("bind :8404", f"bind 127.0.0.1:{self.admin_port}")
        config = self.directory / "config"
        config.mkdir(exist_ok=True)
        (config / "gateway.lua").write_text(haproxy.gateway_lua(), encoding="utf-8")
        peers = [f"demo-gateway-{number} {address(200 + number)}\n" for number in range(self.replicas)]
        (config / "peers").write_text("".join(peers), encoding="utf-8")
        (config / "haproxy.cfg.new").write_text(edit(text), encoding="utf-8")
        (config / "haproxy.cfg.new").rename(config / "haproxy.cfg")

    async def start(self, file_limit: int | None = None) -> None:
        """Start it (with at most this many open files) and wait until it takes connections."""
        environment = {
            **os.environ,
            "ASRPOOL_CONFIG_DIR": str(self.directory / "config"),
            "ASRPOOL_RUN_DIR": str(self.directory / "run"),
            "ASRPOOL_NAMESERVER": f"127.0.0.1:{self.dns.port}",
            "ASRPOOL_PEER_PORT": str(self.peer_port),
            "ASRPOOL_POLL_SECONDS": "0.1",
            "ASRPOOL_RELOAD_SECONDS": str(self.reload_seconds),
            "ASRPOOL_STOP_DELAY_SECONDS": "0.1",
            "POD_NAME": f"demo-gateway-{self.number}",
            "POD_IP": address(200 + self.number),
        }
        with (self.directory / "log").open("ab") as log:
            command = [str(ENTRYPOINT)]
            if file_limit is not None:
                command = ["prlimit", f"--nofile={file_limit}:{file_limit}", *command]
            self.process = await asyncio.create_subprocess_exec(
                *command, env=environment, stdout=log, stderr=log, start_new_session=True
            )
        process = self.process
        await eventually(lambda: self.started() or process.returncode is not None, what="gateway listens")
        assert process.returncode is None, self.log()

    @contextlib.asynccontextmanager
    async def reload(self, up: int | None = None) -> AsyncIterator[None]:
        """Around an edit: ends when the new process has the port and its workers (or so many of them) are up."""
        before = self.log().count("Loading success")
        yield
        waits = self.reload_seconds + 5
        await eventually(lambda: self.log().count("Loading success") > before, within_seconds=waits, what="reload")
        await eventually(lambda: "Proxy streams stopped" in self.log(), what="the old process lets go")
        if up is None:
            await self.all_up()
        else:
            await eventually(lambda: len(self.up()) == up, what=f"{up} workers up")

    def log(self) -> str:
        """What it has printed so far."""
        return (self.directory / "log").read_text(encoding="utf-8", errors="replace")

    def listening(self) -> bool:
        """Whether the stream port takes connections."""
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def started(self) -> bool:
        """Whether HAProxy is up: its own socket comes with its ports."""
        return (self.directory / "run" / "haproxy.sock").exists() and self.listening()

    def ask_haproxy(self, command: str) -> str:
        """One command on HAProxy's own socket."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(str(self.directory / "run" / "haproxy.sock"))
            sock.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: sock.recv(65536), b"")).decode()

    async def stop(self) -> None:
        """End it and all its processes, at once."""
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        await self.process.wait()

    async def add_worker(self, number: int, **settings: Any) -> FakeWorker:
        """Start a worker and let DNS name it."""
        worker = FakeWorker(ip=address(number), name=f"worker-{number}", **settings)
        await worker.start()
        self.workers[worker.name] = worker
        self.dns.workers[worker.ip.replace(".", "-")] = worker.ip
        return worker

    def up(self) -> list[str]:
        """Addresses of the workers that HAProxy has in service after a passed check."""
        rows = [row.split(",") for row in self.ask_haproxy("show stat").splitlines() if row.startswith("workers,w")]
        return [row[73].split(":")[0] for row in rows if row[17] == "UP" and row[36].strip("* ") == "L7OK"]

    async def all_up(self) -> None:
        """Wait until every worker is in service."""
        addresses = {worker.ip for worker in self.workers.values()}
        await eventually(lambda: set(self.up()) == addresses, what=f"workers up: {self.log()}")

    async def ask(self, target: str = "/", device: str = "", headers: str = "", upgrade: bool = True) -> Answer:
        """Open a stream (or send one plain request) and read the head of the answer."""
        started = time.monotonic()
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        if device:
            headers += f"Device-Id: {device}\r\n"
        text = UPGRADE if upgrade else "GET {target} HTTP/1.1\r\nHost: gateway\r\n{headers}\r\n"
        writer.write(text.format(target=target, headers=headers).encode())
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.CancelledError:
            writer.close()
            raise
        first, *rest = head.rstrip().split("\r\n")
        pairs = (line.split(":", 1) for line in rest)
        fields = {name.strip().lower(): value.strip() for name, value in pairs}
        answer = Answer(int(first.split(" ")[1]), fields, reader, writer, time.monotonic() - started)
        self.answers.append(answer)
        return answer

    async def admin(self, path: str) -> tuple[int, str]:
        """One GET on the admin port: status and body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.admin_port)
        writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
        head, _, body = (await reader.read()).decode().partition("\r\n\r\n")
        writer.close()
        return int(head.split(" ")[1]), body

    async def held(self) -> dict[str, int]:
        """The counts of `/held`."""
        _, body = await self.admin("/held")
        counts: dict[str, int] = json.loads(body)
        return counts


Started = Callable[..., Awaitable[Gateway]]
