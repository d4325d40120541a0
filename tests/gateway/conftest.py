"""The `gateway` fixture: starts gateways for a test and leaves none behind."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.gateway.fakes import FakeDns
from tests.gateway.harness import Gateway, Started


@pytest_asyncio.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[Started]:
    """A function that starts a gateway with the given spec over workers `worker-1`, `worker-2`, …"""
    if shutil.which("haproxy") is None:
        pytest.fail("these tests run the real HAProxy: apt-get install haproxy")
    gateways: list[Gateway] = []

    async def start(
        *workers: dict[str, Any], edit: Callable[[str], str] = lambda text: text, reload_seconds: int = 0, **spec: Any
    ) -> Gateway:
        dns = FakeDns("_ws._tcp.demo-worker.speech.svc.cluster.local")
        await dns.start()
        made = Gateway(directory=tmp_path / str(len(gateways)), dns=dns, reload_seconds=reload_seconds)
        made.directory.mkdir()
        gateways.append(made)
        made.configure(spec, edit)
        for number, settings in enumerate(workers, start=1):
            await made.add_worker(number, **settings)
        await made.start()
        await made.all_up()
        return made

    yield start
    for made in gateways:
        await made.stop()
        await made.dns.stop()
        for worker in made.workers.values():
            await worker.stop()
    await asyncio.sleep(0.05)  # what was reset above ends before the loop does
