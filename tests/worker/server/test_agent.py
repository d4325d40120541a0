"""What HAProxy is told, and that the real HAProxy takes it as it is meant."""

from __future__ import annotations

import asyncio
import csv
import shutil
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from asrpool_worker.server.admission import Admission
from asrpool_worker.server.agent import agent_line, start_agent


def book(*, capacity: int = 4, lowered: int | None = None, active: int = 0, draining: bool = False) -> Admission:
    admission = Admission(capacity, 60)
    admission.ready = True
    for number in range(active):
        admission.admit(str(number), 0)
    if lowered is not None:
        admission.set_capacity(lowered)
    if draining:
        admission.drain(0)
    return admission


@pytest.mark.parametrize(
    ("admission", "line"),
    [
        pytest.param(Admission(4, 60), "drain", id="loading"),
        pytest.param(book(), "ready up maxconn:4", id="free"),
        pytest.param(book(active=4), "ready up maxconn:4", id="full: the gateway counts for itself"),
        pytest.param(book(draining=True), "drain", id="draining"),
        pytest.param(book(lowered=3, active=2), "ready up maxconn:3", id="lowered, with room"),
        pytest.param(
            book(lowered=2, active=2), "drain maxconn:4", id="lowered to what is live: known devices still get in"
        ),
        pytest.param(book(lowered=1, active=3), "drain maxconn:4", id="lowered below what is live"),
        pytest.param(
            book(lowered=0), "drain maxconn:4", id="lowered to nothing: never maxconn:0, which means no limit"
        ),
        pytest.param(book(lowered=3, active=1, draining=True), "drain maxconn:4", id="lowered and draining"),
    ],
)
def test_the_line(admission: Admission, line: str) -> None:
    assert agent_line(admission) == line


@pytest.mark.server
async def test_each_connection_gets_one_line_and_is_closed() -> None:
    async with await start_agent("127.0.0.1", 0, lambda: "ready up maxconn:4") as agent:
        port = agent.sockets[0].getsockname()[1]
        for _ in range(2):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            assert await reader.read() == b"ready up maxconn:4\n"
            writer.close()


class Proxy:
    """A HAProxy with one server, seen through its runtime socket."""

    def __init__(self, control: Path) -> None:
        self._control = control

    async def server(self) -> tuple[str, str]:
        """(status, maxconn) of the server now."""
        reader, writer = await asyncio.open_unix_connection(str(self._control))
        writer.write(b"show stat\n")
        rows = csv.DictReader((await reader.read()).decode().removeprefix("# ").splitlines())
        writer.close()
        row = next(row for row in rows if row["svname"] == "pod")
        return row["status"].split()[0], row["slim"]

    async def becomes(self, status: str, maxconn: str) -> None:
        async with asyncio.timeout(5):
            while await self.server() != (status, maxconn):  # noqa: ASYNC110 - HAProxy tells nobody
                await asyncio.sleep(0.02)


@asynccontextmanager
async def haproxy(folder: Path, agent_port: int) -> AsyncIterator[Proxy]:
    control = folder / "control"
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "haproxy.cfg").write_text(
        f"""
global
    stats socket {control} mode 600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend front
    bind 127.0.0.1:{port}
    default_backend pods
backend pods
    server pod 127.0.0.1:{agent_port} maxconn 9 check inter 50ms agent-check agent-port {agent_port} agent-inter 50ms
"""
    )
    process = await asyncio.create_subprocess_exec(
        "haproxy", "-f", str(folder / "haproxy.cfg"), stderr=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(5):
            while not control.exists():  # noqa: ASYNC110 - another process makes it
                await asyncio.sleep(0.02)
        yield Proxy(control)
    finally:
        process.terminate()
        await process.wait()


@pytest.mark.haproxy
@pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed (apt-get install haproxy)")
async def test_haproxy_takes_every_line_as_meant(tmp_path: Path) -> None:
    """A drain with a limit sets both; `ready` calls the drain off again."""
    admission = book(capacity=4)
    async with (
        await start_agent("127.0.0.1", 0, lambda: agent_line(admission)) as agent,
        haproxy(tmp_path, agent.sockets[0].getsockname()[1]) as proxy,
    ):
        await proxy.becomes("UP", "4")
        admission.set_capacity(2)
        await proxy.becomes("UP", "2")
        for number in range(2):
            admission.admit(str(number), 0)
        await proxy.becomes("DRAIN", "4")
        admission.set_capacity(3)
        await proxy.becomes("UP", "3")
        admission.drain(0)
        await proxy.becomes("DRAIN", "4")
        admission.undrain()
        admission.set_capacity(4)
        await proxy.becomes("UP", "4")
