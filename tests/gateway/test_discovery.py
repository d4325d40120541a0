"""Workers come and go in DNS, and streams live on, with the real HAProxy."""

from __future__ import annotations

import asyncio
import re

import pytest

from tests.gateway.fakes import address
from tests.gateway.harness import Started, eventually

pytestmark = [pytest.mark.haproxy, pytest.mark.timeout(60)]


async def test_a_new_worker_is_in_service_soon_after_it_is_ready(gateway: Started) -> None:
    gate = await gateway({"capacity": 1}, sessions={"perPod": 1})
    await gate.ask()
    waiting = asyncio.create_task(gate.ask())
    await gate.add_worker(2, capacity=1)
    answer = await asyncio.wait_for(waiting, timeout=3)
    assert (answer.status, answer.pod) == (101, "worker-2")


async def test_a_worker_that_is_named_before_it_listens_gets_no_newcomer(gateway: Started) -> None:
    """HAProxy takes it as up until its first check: nobody may be sent there on that guess."""
    gate = await gateway({"capacity": 2}, sessions={"perPod": 2})
    gate.dns.workers["early"] = address(99)
    answers = [asyncio.create_task(gate.ask()) for _ in range(2)]
    for _ in range(8):
        await asyncio.sleep(0.25)
        answers.append(asyncio.create_task(gate.ask()))
    done, waiting = await asyncio.wait(answers, timeout=0.5)
    assert [task.result().status for task in done] == [101, 101]
    assert len(waiting) == 8
    for task in waiting:
        task.cancel()


async def test_a_stream_outlives_the_dns_record_of_its_worker(gateway: Started) -> None:
    gate = await gateway({}, {})
    first = await gate.ask(device="aa")
    del gate.dns.workers[address(1).replace(".", "-")]
    await eventually(lambda: gate.up() == [address(2)], within_seconds=8, what="record is gone")
    await asyncio.sleep(1)
    assert await first.echo()
    assert (await gate.ask()).pod == "worker-2"


async def test_a_slot_that_goes_to_another_pod_takes_no_sessions_with_it(gateway: Started) -> None:
    """HAProxy gives a freed slot to the next address it finds. The session belongs to the address, not the slot."""
    gate = await gateway({}, {}, edit=lambda text: re.sub("server-template w 1-[0-9]+", "server-template w 1-2", text))
    slot = {row[73].split(":")[0]: row[1] for row in _servers(gate.ask_haproxy("show stat"))}
    first = await gate.ask(device="aa")
    old = gate.workers[first.pod].ip
    await first.end()
    del gate.dns.workers[old.replace(".", "-")]
    await eventually(lambda: old not in gate.up(), within_seconds=8, what="record is gone")
    await gate.add_worker(3)
    await eventually(lambda: address(3) in gate.up(), within_seconds=8, what="the third worker is up")
    now = {row[73].split(":")[0]: row[1] for row in _servers(gate.ask_haproxy("show stat"))}
    assert now[address(3)] == slot[old], "the slot was not used again: this test tests nothing"
    assert (await gate.ask()).pod == "worker-2"
    assert (await gate.ask(device="aa")).pod == "worker-2", "it was sent to the slot's new pod, or waits for it"


async def test_three_generations_of_pods_are_all_known(gateway: Started) -> None:
    """Two rollouts overlap, and the pods of the first ones still hold streams: they keep their records and slots."""
    gate = await gateway(*[{"capacity": 1}] * 24, scaling={"maxReplicas": 8}, sessions={"perPod": 1})
    answers = [await gate.ask() for _ in range(24)]
    assert {answer.pod for answer in answers} == set(gate.workers)


async def test_a_lower_max_replicas_hides_no_pod_that_still_drains(gateway: Started) -> None:
    """The pod that is to serve newcomers may come last in DNS."""
    gate = await gateway(*[{"capacity": 1}] * 32, scaling={"maxReplicas": 32}, sessions={"perPod": 1})
    streams = [await gate.ask() for _ in range(32)]
    for worker in gate.workers.values():
        worker.draining = True
    async with gate.reload(up=0):
        gate.configure({"scaling": {"maxReplicas": 4}, "sessions": {"perPod": 1}})
    await gate.add_worker(33)
    assert (await asyncio.wait_for(gate.ask(), timeout=8)).pod == "worker-33"
    assert all([await stream.echo() for stream in streams])


def _servers(stat: str) -> list[list[str]]:
    return [row.split(",") for row in stat.splitlines() if row.startswith("workers,w")]


async def test_a_dns_outage_takes_no_worker_away(gateway: Started) -> None:
    gate = await gateway({})
    await gate.dns.stop()
    await asyncio.sleep(5)
    assert (await gate.ask()).pod == "worker-1"


async def test_failed_checks_end_no_stream(gateway: Started) -> None:
    """A worker too busy to answer its checks takes nobody, and keeps whom it has."""
    gate = await gateway({}, {})
    first = await gate.ask()
    gate.workers[first.pod].ready = False
    await eventually(lambda: len(gate.up()) == 1, within_seconds=8, what="the check is seen to fail")
    await asyncio.sleep(3)
    assert await first.echo()
    assert (await gate.ask()).pod != first.pod


async def test_a_lowered_capacity_is_followed(gateway: Started) -> None:
    """The agent-check's word counts, not the configured number."""
    gate = await gateway({"capacity": 4}, {"capacity": 4}, sessions={"perPod": 4})
    first = await gate.ask()
    gate.workers[first.pod].capacity = 1
    await asyncio.sleep(1.2)
    others = [await gate.ask() for _ in range(3)]
    assert first.pod not in {other.pod for other in others}
