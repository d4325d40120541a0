"""Several gateways of one pool: what one knows of a session, all know."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.gateway.fakes import address
from tests.gateway.harness import Gateway, Started, eventually

pytestmark = [pytest.mark.haproxy, pytest.mark.timeout(60)]


async def beside(first: Gateway, directory: Path) -> Gateway:
    """A second gateway of the same pool; the first one hears of it as it would in a cluster: by its peers file."""
    second = Gateway(
        directory=directory, dns=first.dns, number=1, replicas=2, peer_port=first.peer_port, workers=first.workers
    )
    directory.mkdir()  # noqa: ASYNC240
    second.configure({"sessions": {"perPod": 9}})
    await second.start()
    await second.all_up()
    async with first.reload():
        dataclasses.replace(first, replicas=2).configure({"sessions": {"perPod": 9}})
    return second


async def test_a_session_finds_its_pod_through_any_gateway(gateway: Started, tmp_path: Path) -> None:
    """Also where that gateway would put a newcomer elsewhere."""
    first = await gateway({"capacity": 1}, {"capacity": 9}, sessions={"perPod": 9})
    second = await beside(first, tmp_path / "second")
    try:
        filler, stream = await first.ask(), await first.ask(device="aa")
        assert stream.pod == "worker-2"
        await eventually(lambda: f"server_key={address(2)}:" in second.ask_haproxy("show table workers"), what="told")
        await filler.end()
        await stream.end()
        assert (await second.ask(device="aa")).pod == "worker-2"
    finally:
        await second.stop()


async def test_two_gateways_never_overfill_a_worker(gateway: Started, tmp_path: Path) -> None:
    """Neither sees the other's streams: the worker's word counts, and nobody is refused while there is room."""
    first = await gateway({"capacity": 3}, {"capacity": 3}, sessions={"perPod": 9})
    second = await beside(first, tmp_path / "second")
    try:
        answers = [await gate.ask() for _ in range(3) for gate in (first, second)]
        assert [answer.status for answer in answers] == [101] * 6
        assert [worker.most_active for worker in first.workers.values()] == [3, 3]
    finally:
        await second.stop()
