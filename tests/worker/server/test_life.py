"""The worker as a process: start, drain by signal, and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.worker.server.running import SECOND, hear, hear_all, say

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[3]


@dataclass
class Process:
    """A started worker, seen through its log."""

    handle: asyncio.subprocess.Process
    lines: list[dict[str, Any]] = field(default_factory=list)

    async def said(self, message: str) -> dict[str, Any]:
        """The next log line with this message."""
        assert self.handle.stderr is not None
        async with asyncio.timeout(20):
            while line := await self.handle.stderr.readline():
                self.lines.append(json.loads(line))
                if self.lines[-1]["message"] == message:
                    return self.lines[-1]
        raise AssertionError(f"the process ended without {message!r}: {self.lines}")

    async def exits(self, seconds: float = 10.0) -> int:
        async with asyncio.timeout(seconds):
            return await self.handle.wait()

    def send(self, number: signal.Signals) -> None:
        self.handle.send_signal(number)


@asynccontextmanager
async def worker(
    *flags: str, module: str = "tests.worker.server.process", **environment: str
) -> AsyncIterator[Process]:
    arguments = [
        sys.executable,
        "-m",
        module,
        "serve",
        *flags,
        "--port=0",
        "--admin-port=0",
        "--agent-port=0",
        "--json",
    ]
    paths = os.pathsep.join(str(ROOT / part) for part in (".", "worker"))
    handle = await asyncio.create_subprocess_exec(
        *arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": paths, **environment}, stderr=subprocess.PIPE
    )
    try:
        yield Process(handle)
    finally:
        if handle.returncode is None:
            handle.kill()
        await handle.wait()


def url(listening: dict[str, Any], scheme: str = "ws") -> str:
    return f"{scheme}://127.0.0.1:{listening['port']}"


async def test_the_port_answers_before_the_models_are_loaded() -> None:
    async with worker("--online=x", FAKE_LOAD_SECONDS="1") as process:
        listening = await process.said("listening")
        async with httpx.AsyncClient(base_url=url(listening, "http"), trust_env=False) as client:
            assert (await client.get("/startupz")).status_code == 503
            assert (await client.get("/healthz")).status_code == 200
            ready = await process.said("ready")
            assert ready["load_seconds"] >= 1
            assert (await client.get("/startupz")).status_code == 200


async def test_sigterm_finishes_live_streams_and_takes_no_newcomers() -> None:
    async with worker("--online=x", "--pod-name=p1") as process:
        listening = await process.said("listening")
        await process.said("ready")
        async with connect(url(listening), proxy=None) as stream:
            await say(stream, mode="2pass")
            await stream.send(SECOND)
            await hear(stream)
            process.send(signal.SIGTERM)
            assert (await process.said("draining"))["active"] == 1
            async with httpx.AsyncClient(
                base_url=f"http://127.0.0.1:{listening['admin_port']}", trust_env=False
            ) as admin:
                undrained = await admin.post("/undrain")
            assert undrained.json()["draining"] is True, "a process that must end does not take newcomers again"
            with pytest.raises(InvalidStatus) as refused:
                await connect(url(listening), proxy=None)
            assert refused.value.response.status_code == 503
            await asyncio.sleep(0.5)
            assert process.handle.returncode is None
            await stream.send(SECOND)
            await say(stream, is_speaking=False, is_end=True)
            assert [message.get("text") for message in await hear_all(stream)] == ["一", "一", "一一一", None]
        assert await process.exits() == 0
        ended = [line for line in process.lines if line["message"] == "session begins"]
        assert {line["pod"] for line in ended} == {"p1"}
        assert all(line["session"] for line in ended)


async def test_sigterm_without_streams_ends_at_once() -> None:
    async with worker("--online=x") as process:
        await process.said("ready")
        began = time.monotonic()
        process.send(signal.SIGTERM)
        assert await process.exits() == 0
        assert time.monotonic() - began < 2


@pytest.mark.parametrize("again", [signal.SIGTERM, signal.SIGINT, None])
async def test_a_second_signal_or_the_end_of_the_drain_closes_what_is_left_with_a_reason(
    again: signal.Signals | None,
) -> None:
    async with worker("--online=x", "--drain-seconds=1" if again is None else "--drain-seconds=600") as process:
        listening = await process.said("listening")
        await process.said("ready")
        async with connect(url(listening), proxy=None) as stream:
            await say(stream, mode="2pass")
            await stream.send(SECOND)
            await hear(stream)
            process.send(signal.SIGTERM)
            await process.said("draining")
            if again is not None:
                process.send(again)
            assert "had to end before this stream did" in (await hear(stream))["error"]
            with pytest.raises(ConnectionClosed) as closed:
                await stream.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1012
        assert (await process.said("streams were cut short"))["streams"] == 1
        assert await process.exits() == 0


async def test_a_dead_engine_ends_the_process_with_an_error_and_every_stream_with_a_reason() -> None:
    async with worker("--online=x", "--capacity=8") as process:
        listening = await process.said("listening")
        await process.said("ready")
        async with connect(url(listening), proxy=None) as stream:
            await say(stream, mode="2pass")
            await stream.send(SECOND)
            await hear(stream)
            async with connect(url(listening), proxy=None, additional_headers={"Device-Id": "deadly"}) as deadly:
                await say(deadly, mode="2pass")
                await deadly.send(SECOND)
                for ended in (stream, deadly):
                    assert "the worker is stopping" in (await hear(ended))["error"]
                    with pytest.raises(ConnectionClosed) as closed:
                        await ended.recv()
                    assert closed.value.rcvd is not None
                    assert closed.value.rcvd.code == 1011
        told = await process.said("the engine died; this process ends, to be started anew")
        assert (told["level"], told["reason"]) == ("critical", "the device is gone")
        assert await process.exits() == 1


async def test_a_process_that_is_told_to_stop_while_it_loads_does_not_wait_for_the_load() -> None:
    async with worker("--online=x", FAKE_LOAD_SECONDS="60") as process:
        await process.said("listening")
        process.send(signal.SIGTERM)
        assert await process.exits(5) == 0


async def test_a_broken_model_ends_the_process_with_its_name() -> None:
    async with worker("--online=broken") as process:
        assert await process.exits() == 1
        assert process.handle.stderr is not None
        assert b"broken: config.yaml is missing" in await process.handle.stderr.read()


async def test_a_model_id_with_the_onnx_engine_ends_with_what_to_do_instead() -> None:
    status, told = await run(
        "--online=paraformer-zh-streaming",
        "--host=127.0.0.1",
        *(f"{flag}=0" for flag in ("--port", "--admin-port", "--agent-port")),
        module="asrpool_worker.main",
    )
    assert status == 1
    assert "paraformer-zh-streaming: is no directory here" in told
    assert "use engine torch" in told
    assert "Traceback" not in told


async def run(*flags: str, module: str = "tests.worker.server.process") -> tuple[int, str]:
    """(exit status, stderr) of a worker that does not get far."""
    handle = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        "serve",
        *flags,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "worker")))},
        stderr=subprocess.PIPE,
    )
    _, stderr = await asyncio.wait_for(handle.communicate(), 10)
    assert handle.returncode is not None
    return handle.returncode, stderr.decode()


async def test_wrong_settings_end_with_status_2_and_a_line_each() -> None:
    status, told = await run("--port=99999", "--capacity=many")
    assert status == 2
    assert "asrpool-worker: --port: '99999'" in told
    assert "asrpool-worker: --capacity: 'many'" in told
    assert "asrpool-worker: no model" in told


@pytest.mark.parametrize("flag", ["--port", "--admin-port", "--agent-port"])
async def test_a_port_that_is_taken_is_named_by_its_flag(flag: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        number = taken.getsockname()[1]
        ports = {"--port": 0, "--admin-port": 0, "--agent-port": 0, flag: number}
        status, told = await run("--online=x", "--host=127.0.0.1", *(f"{name}={port}" for name, port in ports.items()))
    assert status == 2
    assert f"asrpool-worker: {flag}: cannot listen on 127.0.0.1:{number}" in told
