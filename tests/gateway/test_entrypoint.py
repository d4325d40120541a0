"""What the image's entrypoint does around HAProxy: check, reload in place, stop."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.gateway.fakes import FakeDns, address
from tests.gateway.harness import ENTRYPOINT, Gateway, Started, eventually

pytestmark = [pytest.mark.haproxy, pytest.mark.timeout(60)]


def reloads(gate: Gateway) -> int:
    return gate.log().count("configuration reloaded")


async def test_an_edit_is_reloaded_and_no_stream_notices(gateway: Started) -> None:
    gate = await gateway({}, gateway={"queueSeconds": 10})
    first = await gate.ask(device="aa")
    async with gate.reload():
        gate.configure({"gateway": {"queueSeconds": 1}})
    assert await first.echo()
    gate.workers["worker-1"].draining = True
    await eventually(lambda: not gate.up(), what="drain is seen")
    assert 0.9 < (await gate.ask()).seconds < 2, "the new queueSeconds count"
    assert await first.echo()


@pytest.mark.parametrize(("start_seconds", "reload_seconds"), [(0, 12), (3.5, 8)], ids=["at once", "on a busy machine"])
async def test_sessions_come_back_to_their_pod_after_a_reload(
    gateway: Started, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, start_seconds: float, reload_seconds: int
) -> None:
    """The edit comes at once, the reload only when HAProxy can hand its stick table on, however late HAProxy started.

    The device's pod is the second one, and the first has room: a newcomer would go there.
    """
    slow = tmp_path / "bin" / "haproxy"
    slow.parent.mkdir()
    slow.write_text(f'#!/bin/sh\n[ "$1" != -W ] || sleep {start_seconds}\nexec {shutil.which("haproxy")} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{slow.parent}:{os.environ['PATH']}")
    gate = await gateway({"capacity": 2}, {"capacity": 9}, sessions={"perPod": 9}, reload_seconds=reload_seconds)
    fillers = [await gate.ask() for _ in range(2)]
    device = await gate.ask(device="aa")
    assert ([filler.pod for filler in fillers], device.pod) == (["worker-1"] * 2, "worker-2")
    for stream in (device, *fillers):
        await stream.end()
    async with gate.reload():
        gate.configure({"sessions": {"perPod": 9}, "gateway": {"maxQueued": 5}})
    await eventually(lambda: f"server_key={address(2)}:" in gate.ask_haproxy("show table workers"), 15, "it is learnt")
    assert (await gate.ask()).pod == "worker-1", "where newcomers go"
    assert (await gate.ask(device="aa")).pod == "worker-2"


async def test_a_configuration_that_is_wrong_is_not_loaded(gateway: Started) -> None:
    """The one that runs goes on, and the next right one is loaded."""
    gate = await gateway({})
    first = await gate.ask()
    gate.configure({}, lambda text: text + "\nnonsense\n")
    await eventually(lambda: "not valid" in gate.log(), what="the error is told")
    assert reloads(gate) == 0
    assert await first.echo()
    assert (await gate.ask()).status == 101
    gate.configure({"gateway": {"maxQueued": 7}})
    await eventually(lambda: reloads(gate) == 1, what="reload")


async def test_files_that_are_gone_for_a_moment_end_nothing(gateway: Started) -> None:
    """If the entrypoint ended, its container would, and every stream with it."""
    gate = await gateway({})
    first = await gate.ask()
    config = gate.directory / "config"
    config.rename(gate.directory / "away")
    await asyncio.sleep(0.5)
    (gate.directory / "away").rename(config)
    async with gate.reload():
        gate.configure({"gateway": {"maxQueued": 7}})
    assert await first.echo()
    assert gate.process is not None
    assert gate.process.returncode is None


async def test_sigterm_finishes_the_streams_then_ends(gateway: Started) -> None:
    gate = await gateway({})
    first = await gate.ask()
    assert gate.process is not None
    gate.process.send_signal(signal.SIGTERM)
    await eventually(lambda: not gate.listening(), what="no newcomers")
    await asyncio.sleep(0.5)
    assert await first.echo()
    await first.end()
    await asyncio.wait_for(gate.process.wait(), timeout=10)


def test_sigterm_is_heard_from_the_first_moment() -> None:
    """In a pod, where this is process number 1, a signal that comes before its handler is lost for good."""
    text = ENTRYPOINT.read_text(encoding="utf-8")
    first_command = next(line for line in text.splitlines() if line and not line.startswith(("#", "set ", "stopping=")))
    assert first_command == "trap 'stopping=yes' TERM INT"


async def test_it_does_not_start_with_a_wrong_configuration(tmp_path: Path) -> None:
    gate = Gateway(directory=tmp_path, dns=FakeDns("_ws._tcp.demo-worker.speech.svc.cluster.local"))
    await gate.dns.start()
    gate.configure({}, lambda text: text.replace("balance roundrobin", "balance nonsense"))
    with pytest.raises(AssertionError):
        await gate.start()
    assert gate.process is not None
    assert await gate.process.wait() == 1
    assert "balance only supports" in gate.log()


async def test_more_connections_than_the_machine_allows_are_cut_down(tmp_path: Path) -> None:
    """HAProxy would not start: fewer connections are better than none."""
    gate = Gateway(directory=tmp_path, dns=FakeDns("_ws._tcp.demo-worker.speech.svc.cluster.local"))
    await gate.dns.start()
    gate.configure({"gateway": {"maxQueued": 100_000}})
    await gate.start(file_limit=3000)
    try:
        assert "maxconn 1222" in (tmp_path / "run" / "loaded" / "haproxy.cfg").read_text()
        assert "is all that" in gate.log()
    finally:
        await gate.stop()
        await gate.dns.stop()


async def test_the_admin_port_answers(gateway: Started) -> None:
    gate = await gateway({})
    await gate.ask()
    assert (await gate.admin("/healthz"))[0] == 200
    status, metrics = await gate.admin("/metrics")
    assert status == 200
    assert 'haproxy_backend_current_sessions{proxy="workers"} 1' in metrics
    assert (await gate.admin("/"))[0] == 404
    assert await gate.held() == {"held": 0, "queued": 0, "refused": 0}


async def test_who_is_held_while_an_edit_is_reloaded_is_served_all_the_same(gateway: Started) -> None:
    """The old process goes on looking for workers as long as somebody waits in it."""
    gate = await gateway(gateway={"queueSeconds": 15})
    waiting = asyncio.create_task(gate.ask())
    await asyncio.sleep(0.5)
    gate.configure({"gateway": {"queueSeconds": 14}})
    await eventually(lambda: reloads(gate) == 1, what="reload")
    await asyncio.sleep(1)
    await gate.add_worker(1)
    answer = await waiting
    print(gate.log())
    assert answer.status == 101
