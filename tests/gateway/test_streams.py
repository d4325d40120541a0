"""What the gateway promises to streams, with the real HAProxy."""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.gateway.fakes import address
from tests.gateway.harness import Started, eventually

pytestmark = [pytest.mark.haproxy, pytest.mark.timeout(60)]


async def test_newcomers_fill_one_worker_before_the_next(gateway: Started) -> None:
    """`pack`: six streams on workers of three leave the third worker empty."""
    gate = await gateway({"capacity": 3}, {"capacity": 3}, {"capacity": 3}, sessions={"perPod": 3})
    answers = [await gate.ask() for _ in range(6)]
    assert [answer.status for answer in answers] == [101] * 6
    assert sorted(worker.active for worker in gate.workers.values()) == [0, 3, 3]


async def test_spread_takes_the_emptiest_worker(gateway: Started) -> None:
    """`spread`: live streams count, so that three newcomers go to three workers."""
    gate = await gateway({}, {}, {}, gateway={"balance": "spread"})
    for _ in range(3):
        assert (await gate.ask()).status == 101
    assert [worker.active for worker in gate.workers.values()] == [1, 1, 1]


async def test_a_newcomer_is_served_the_moment_a_stream_ends(gateway: Started) -> None:
    gate = await gateway({"capacity": 1}, sessions={"perPod": 1})
    first = await gate.ask()
    waiting = asyncio.create_task(gate.ask())
    await asyncio.sleep(0.7)
    assert (await gate.held())["queued"] == 1
    await first.end()
    ended = time.monotonic()
    assert (await waiting).status == 101
    assert time.monotonic() - ended < 0.4
    assert (await gate.held()) == {"held": 0, "queued": 0, "refused": 0}


async def test_a_newcomer_waits_for_queue_seconds_then_gets_503_with_retry_after(gateway: Started) -> None:
    gate = await gateway({"capacity": 1}, sessions={"perPod": 1}, gateway={"queueSeconds": 1})
    await gate.ask()
    answer = await gate.ask()
    assert answer.status == 503
    assert 0.9 < answer.seconds < 1.6
    assert int(answer.headers["retry-after"]) >= 1
    assert (await gate.held()) == {"held": 0, "queued": 0, "refused": 1}


async def test_more_than_max_queued_are_refused_at_once(gateway: Started) -> None:
    gate = await gateway({"capacity": 1}, sessions={"perPod": 1}, gateway={"queueSeconds": 30, "maxQueued": 2})
    await gate.ask()
    waiting = [asyncio.create_task(gate.ask()) for _ in range(2)]
    await asyncio.sleep(0.3)
    answer = await gate.ask()
    assert (answer.status, answer.seconds < 0.5) == (503, True)
    assert "retry-after" in answer.headers
    for task in waiting:
        task.cancel()


@pytest.mark.parametrize("gateway_settings", [{"queueSeconds": 0}, {"maxQueued": 0}], ids=str)
async def test_without_a_queue_a_newcomer_is_refused_at_once(
    gateway: Started, gateway_settings: dict[str, int]
) -> None:
    gate = await gateway({"capacity": 1}, sessions={"perPod": 1}, gateway=gateway_settings)
    assert (await gate.ask()).status == 101
    answer = await gate.ask()
    assert (answer.status, answer.seconds < 0.5) == (503, True)
    assert int(answer.headers["retry-after"]) >= 1


async def test_a_crowd_that_waits_is_served_at_once_when_room_comes(gateway: Started) -> None:
    """Nobody is sent to a worker that is full by then, where it would wait while others have room."""
    gate = await gateway({"capacity": 1}, sessions={"perPod": 1}, gateway={"queueSeconds": 20})
    await gate.ask()
    crowd = [asyncio.create_task(gate.ask(device=f"device-{number}")) for number in range(150)]
    await asyncio.sleep(1)
    for number in (2, 3, 4):
        await gate.add_worker(number, capacity=50)
    await gate.all_up()
    answers = await asyncio.wait_for(asyncio.gather(*crowd), timeout=5)
    assert [answer.status for answer in answers] == [101] * 150
    assert sum(worker.refusals for worker in gate.workers.values()) == 0


async def test_streams_are_held_at_zero_until_a_worker_is_up_then_all_served(gateway: Started) -> None:
    gate = await gateway(sessions={"perPod": 3})
    waiting = [asyncio.create_task(gate.ask()) for _ in range(3)]
    await asyncio.sleep(1)
    assert (await gate.held())["held"] == 3
    worker = await gate.add_worker(1, capacity=3, ready=False)
    await asyncio.sleep(1.5)
    assert (await gate.held())["held"] == 3, "a worker that loads its models takes nobody"
    assert worker.refusals == 0
    worker.ready = True
    assert [answer.status for answer in await asyncio.gather(*waiting)] == [101, 101, 101]
    assert worker.refusals == 0


async def test_held_streams_are_refused_after_queue_seconds(gateway: Started) -> None:
    gate = await gateway(gateway={"queueSeconds": 1})
    answer = await gate.ask()
    assert (answer.status, 0.9 < answer.seconds < 1.6) == (503, True)


async def test_a_refusal_by_a_worker_is_tried_elsewhere(gateway: Started) -> None:
    gate = await gateway({"refuse_upgrades": True}, {"refuse_upgrades": True}, {})
    answers = [await gate.ask() for _ in range(3)]
    assert [(answer.status, answer.pod) for answer in answers] == [(101, "worker-3")] * 3


async def test_a_newcomer_that_every_worker_refuses_waits_until_one_takes_it(gateway: Started) -> None:
    """A worker may be full without the gateway's knowing: by another gateway's streams, or those before a reload."""
    gate = await gateway({"refuse_upgrades": True}, {"refuse_upgrades": True}, gateway={"queueSeconds": 10})
    waiting = asyncio.create_task(gate.ask(device="aa"))
    await asyncio.sleep(1.5)
    assert not waiting.done()
    gate.workers["worker-2"].refuse_upgrades = False
    answer = await waiting
    assert (answer.status, answer.pod) == (101, "worker-2")
    assert await answer.echo()
    await answer.end()
    assert (await gate.ask(device="aa")).pod == "worker-2", "the stick table holds the worker, not the way to it"
    assert len(gate.workers["worker-1"].requests) < 6, "a refusing worker is not hammered"


async def test_a_newcomer_that_every_worker_refuses_is_refused_after_queue_seconds(gateway: Started) -> None:
    gate = await gateway({"refuse_upgrades": True}, gateway={"queueSeconds": 2})
    answer = await gate.ask()
    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert 1.9 < answer.seconds < 3
    assert (await gate.held())["refused"] == 1


async def test_full_workers_that_refuse_at_once_use_up_no_newcomers_time(gateway: Started) -> None:
    """After a reload the new process does not see the old one's streams: nine refusals take ten milliseconds."""
    gate = await gateway(*[{"capacity": 1}] * 9, sessions={"perPod": 1})
    streams = [await gate.ask() for _ in range(9)]
    async with gate.reload():
        gate.configure({"sessions": {"perPod": 1}, "gateway": {"queueSeconds": 4}})
    answer = await gate.ask()
    assert (answer.status, answer.headers["retry-after"]) == (503, "4")
    assert 3.9 < answer.seconds < 5.5
    assert all(worker.refusals for worker in gate.workers.values())
    assert all([await stream.echo() for stream in streams])


async def test_a_stream_that_the_gateway_does_not_see_ends_and_the_waiter_is_served(gateway: Started) -> None:
    """Although it was refused there before, and whatever else refuses."""
    gate = await gateway(*[{"capacity": 1}] * 9, sessions={"perPod": 1})
    streams = {stream.pod: stream for stream in [await gate.ask() for _ in range(9)]}
    async with gate.reload():
        gate.configure({"sessions": {"perPod": 1}, "gateway": {"queueSeconds": 30}})
    waiting = [asyncio.create_task(gate.ask()) for _ in range(3)]
    await eventually(lambda: all(worker.refusals >= 2 for worker in gate.workers.values()), 10, "refused by all")
    await streams["worker-5"].end()
    ended = time.monotonic()
    done, waiting_on = await asyncio.wait(waiting, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    assert time.monotonic() - ended < 1.5
    assert [(task.result().status, task.result().pod) for task in done] == [(101, "worker-5")]
    for task in waiting_on:
        task.cancel()


async def test_a_stream_that_the_gateway_sees_end_makes_room_at_once_where_a_worker_refused(gateway: Started) -> None:
    gate = await gateway({"capacity": 4}, gateway={"queueSeconds": 30})
    worker = gate.workers["worker-1"]
    first = await gate.ask()
    worker.refuse_upgrades = True
    waiting = asyncio.create_task(gate.ask())
    await eventually(lambda: worker.refusals == 1, what="refused")
    await asyncio.sleep(0.15)
    assert (worker.refusals, waiting.done()) == (1, False)
    worker.refuse_upgrades = False
    await first.end()
    ended = time.monotonic()
    assert (await waiting).status == 101
    assert time.monotonic() - ended < 0.3


async def test_a_stream_that_was_refused_often_passes_through_the_gateway_twice_only(gateway: Started) -> None:
    """Each pass costs connections, memory and time on every chunk, for as long as the stream lives."""
    gate = await gateway({"refuse_upgrades": True}, {"refuse_upgrades": True}, gateway={"queueSeconds": 30})
    waiting = asyncio.create_task(gate.ask())
    workers = list(gate.workers.values())
    await eventually(lambda: sum(worker.refusals for worker in workers) >= 10, within_seconds=20, what="refusals")
    workers[0].refuse_upgrades = False
    assert (await waiting).status == 101
    info = dict(line.split(": ", 1) for line in gate.ask_haproxy("show info").splitlines() if ": " in line)
    assert int(info["CurrConns"]) <= 4, "the stream's two, and this question's"


async def test_who_was_refused_keeps_its_place_in_the_queue(gateway: Started) -> None:
    gate = await gateway({"capacity": 4, "refuse_upgrades": True}, gateway={"queueSeconds": 30})
    worker = gate.workers["worker-1"]
    first = asyncio.create_task(gate.ask())
    await eventually(lambda: worker.refusals == 1, what="refused")
    others = [asyncio.create_task(gate.ask()) for _ in range(5)]
    await eventually(lambda: worker.refusals == 4, what="refused again, and again")
    worker.capacity = 1
    worker.refuse_upgrades = False
    assert (await asyncio.wait_for(first, timeout=3)).status == 101
    assert not any(task.done() for task in others)
    for task in others:
        task.cancel()


async def test_without_a_queue_whoever_is_refused_is_tried_elsewhere(gateway: Started) -> None:
    gate = await gateway({"refuse_upgrades": True}, {"refuse_upgrades": True}, {}, gateway={"queueSeconds": 0})
    assert (await gate.ask()).pod == "worker-3"
    gate.workers["worker-3"].refuse_upgrades = True
    await asyncio.sleep(1.1)
    answer = await gate.ask()
    assert (answer.status, answer.seconds < 0.5) == (503, True)


async def test_the_only_worker_drains_as_a_newcomer_comes(gateway: Started) -> None:
    """The gateway has not heard of the drain yet: the newcomer is held for the next worker, not refused."""
    gate = await gateway({})
    gate.workers["worker-1"].draining = True
    waiting = asyncio.create_task(gate.ask())
    await asyncio.sleep(1)
    await gate.add_worker(2)
    answer = await waiting
    assert (answer.status, answer.pod) == (101, "worker-2"), answer


async def test_a_client_cannot_say_how_it_was_placed(gateway: Started) -> None:
    gate = await gateway({})
    assert (await gate.ask(headers=f"X-Asrpool-Placed: 1 99 {address(1)}:10095\r\n")).status == 101


async def test_a_newcomer_that_left_while_it_waited_is_not_counted(gateway: Started) -> None:
    """A client that hangs up in the queue is no demand any more, and takes nobody's place."""
    gate = await gateway({"capacity": 1}, sessions={"perPod": 1}, gateway={"queueSeconds": 5})
    first = await gate.ask()
    leaving = asyncio.create_task(gate.ask())
    await asyncio.sleep(0.4)
    assert (await gate.held())["queued"] == 1
    leaving.cancel()
    staying = asyncio.create_task(gate.ask())
    await asyncio.sleep(1.5)
    assert (await gate.held()) == {"held": 0, "queued": 1, "refused": 0}
    await first.end()
    assert (await staying).status == 101
    assert gate.workers["worker-1"].upgrades == 2
