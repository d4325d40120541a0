"""A session comes back to its pod, with the real HAProxy."""

from __future__ import annotations

import asyncio
import re
import time

import pytest

from tests.gateway.harness import Started, eventually

pytestmark = [pytest.mark.haproxy, pytest.mark.timeout(60)]


async def test_a_device_comes_back_to_its_pod(gateway: Started) -> None:
    """Even where a newcomer would be put elsewhere: the other pod is the fuller one."""
    gate = await gateway({"capacity": 2}, {"capacity": 9}, sessions={"perPod": 9})
    first = await gate.ask(device="aa:bb")
    filler = await gate.ask()
    others = [await gate.ask() for _ in range(3)]
    assert {first.pod, filler.pod} == {"worker-1"}
    assert {other.pod for other in others} == {"worker-2"}
    await first.end()
    assert (await gate.ask(device="aa:bb")).pod == "worker-1"


@pytest.mark.parametrize(
    ("settings", "target", "headers"),
    [
        pytest.param({}, "/?device-id=aa", "", id="where a client cannot set the header"),
        pytest.param({"stickyOn": {"query": "who"}}, "/xiaozhi/v1/?who=aa", "Device-Id: other\r\n", id="query"),
        pytest.param({"stickyOn": {"header": "X-Call"}}, "/", "x-call: aa\r\n", id="another header"),
    ],
)
async def test_the_session_id_is_taken_from_sticky_on_and_passed_on(
    gateway: Started, settings: dict[str, object], target: str, headers: str
) -> None:
    gate = await gateway({}, gateway=settings)
    await gate.ask(target, headers=headers + "X-Asrpool-Session: forged\r\n")
    (request,) = gate.workers["worker-1"].requests
    assert request.headers["x-asrpool-session"] == "aa"


async def test_a_session_id_of_the_clients_own_making_is_not_passed_on(gateway: Started) -> None:
    gate = await gateway({})
    await gate.ask(headers="X-Asrpool-Session: forged\r\n")
    (request,) = gate.workers["worker-1"].requests
    assert "x-asrpool-session" not in request.headers


async def test_control_characters_in_an_id_never_reach_a_worker(gateway: Started) -> None:
    gate = await gateway({})
    await gate.ask("/?device-id=aa%0d%0aX-Evil:%201")
    (request,) = gate.workers["worker-1"].requests
    assert request.headers["x-asrpool-session"] == "aaX-Evil:1"
    assert "x-evil" not in request.headers


async def test_a_draining_pod_takes_its_own_sessions_but_no_newcomers(gateway: Started) -> None:
    gate = await gateway({}, {})
    first = await gate.ask(device="aa")
    gate.workers["worker-1"].draining = True
    await eventually(lambda: gate.up() == [gate.workers["worker-2"].ip], what="drain is seen")
    assert [(await gate.ask()).pod for _ in range(2)] == ["worker-2"] * 2
    assert await first.echo(), "the stream that is there goes on"
    await first.end()
    assert (await gate.ask(device="aa")).pod == "worker-1"


async def test_newcomers_are_held_where_all_pods_drain_and_served_after_undrain(gateway: Started) -> None:
    gate = await gateway({})
    gate.workers["worker-1"].draining = True
    await eventually(lambda: not gate.up(), what="drain is seen")
    waiting = asyncio.create_task(gate.ask())
    await asyncio.sleep(0.5)
    assert not waiting.done()
    gate.workers["worker-1"].draining = False
    assert (await waiting).status == 101


async def test_an_entry_lives_as_long_as_its_stream_and_resume_seconds_longer(gateway: Started) -> None:
    """The stream lasts longer than any expiry that began when it started."""
    gate = await gateway({"capacity": 2}, {"capacity": 9}, sessions={"perPod": 9, "resumeSeconds": 1})
    first, filler = await gate.ask(device="aa"), await gate.ask()
    for _ in range(3):
        assert (await gate.ask()).pod == "worker-2"
    await asyncio.sleep(4.5)
    await first.end()
    await asyncio.sleep(0.8)
    again = await gate.ask(device="aa")
    assert again.pod == "worker-1"
    await again.end()
    await asyncio.sleep(3.6)
    assert (await gate.ask(device="aa")).pod == "worker-2", "after that it is a newcomer"
    assert await filler.echo()


async def test_of_too_many_ended_sessions_the_oldest_are_left_to_their_pods(gateway: Started) -> None:
    """What is remembered of the past is bounded: of a session beyond it, only its pod knows that it is over."""
    gate = await gateway(
        {"capacity": 2},
        {"capacity": 9},
        sessions={"perPod": 9, "resumeSeconds": 1},
        edit=lambda text: re.sub("MOST_ENDED [0-9]+", "MOST_ENDED 2", text),
    )
    first, second = await gate.ask(device="aa"), await gate.ask(device="bb")
    for stream in (first, second):
        await stream.end()
        await asyncio.sleep(1.2)
    fillers = [await gate.ask() for _ in range(2)]
    later = [await gate.ask(device=f"later-{number}") for number in range(2)]
    await later[0].end()
    await asyncio.sleep(2.5)
    for filler in fillers:
        await filler.end()
    await eventually(lambda: gate.workers["worker-1"].active == 0, what="the first worker is empty")
    await asyncio.sleep(0.3)
    busy = await gate.ask()
    assert (busy.pod, later[1].pod) == ("worker-2", "worker-2")
    assert (await gate.ask(device="bb")).pod == "worker-2", "it is known that it ended long ago: a newcomer"
    assert (await gate.ask(device="aa")).pod == "worker-1", "nothing is known of it here: its pod decides"


async def test_a_session_whose_pod_is_full_waits_for_it_and_goes_before_newcomers(gateway: Started) -> None:
    gate = await gateway({"capacity": 2}, sessions={"perPod": 2})
    first, second = await gate.ask(device="aa"), await gate.ask(device="bb")
    newcomer = asyncio.create_task(gate.ask(device="new"))
    await asyncio.sleep(0.2)
    returning = asyncio.create_task(gate.ask(device="aa"))
    await asyncio.sleep(0.3)
    assert not returning.done()
    await second.end()
    assert (await returning).status == 101
    assert not newcomer.done()
    await first.end()
    assert (await newcomer).status == 101


async def test_a_session_is_not_moved_because_its_pod_is_full(gateway: Started) -> None:
    """It is refused after `queueSeconds`, although the other pod has room."""
    gate = await gateway({"capacity": 1}, {"capacity": 1}, sessions={"perPod": 1}, gateway={"queueSeconds": 1})
    first = await gate.ask(device="aa")
    again = await gate.ask(device="aa")
    assert (again.status, first.pod, gate.workers["worker-2"].upgrades) == (503, "worker-1", 0)
    assert 0.9 < again.seconds < 1.6
    assert "retry-after" in again.headers


async def test_a_session_is_not_moved_because_its_worker_refuses_it(gateway: Started) -> None:
    """The worker's word reaches the client, who may try again."""
    gate = await gateway({}, {})
    first = await gate.ask(device="aa")
    await first.end()
    gate.workers["worker-1"].refuse_upgrades = True
    again = await gate.ask(device="aa")
    assert (again.status, again.pod) == (503, "worker-1")
    assert "retry-after" in again.headers


async def test_the_streams_of_a_killed_worker_end_at_once_and_its_devices_go_elsewhere(gateway: Started) -> None:
    gate = await gateway({}, {})
    first = await gate.ask(device="aa")
    assert first.pod == "worker-1"
    await gate.workers["worker-1"].stop()
    killed = time.monotonic()
    assert await first.ended(within_seconds=1)
    again = await gate.ask(device="aa")
    assert (again.status, again.pod) == (101, "worker-2")
    assert time.monotonic() - killed < 1.5
    assert (await gate.ask()).pod == "worker-2"
