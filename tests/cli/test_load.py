"""`asrpool load`: devices that come and go against the real server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from asrpool.audio import Pcm
from asrpool.errors import UsageError
from asrpool.live import Clip, Habits
from asrpool.load import LoadPlan, Progress, ramp_target, read_clips, run
from tests.worker.server.running import SECOND, Running, running

ROOT = Path(__file__).parents[2]
CLIP = Clip("one.wav", Pcm(SECOND[: 2 * 9_600], 16_000), "一")
"""600 ms, of which the engine of the tests makes one character."""
SHORT = Habits(pause_seconds=0.0, redial_seconds=0.1, finish_seconds=3.0)


def plan(server: Running, target: Callable[[float], int], seconds: float, **fields: Any) -> LoadPlan:
    settings: dict[str, Any] = {"habits": SHORT, **fields}
    return LoadPlan(server.url, (CLIP,), target, seconds, **settings)


@pytest.mark.server
async def test_streams_follow_the_target_and_end_politely() -> None:
    seen: list[Progress] = []
    async with running(capacity=8) as server:
        report = await run(plan(server, lambda at: 4 if at < 1 else 1, 2.5), seen.append)
        await server.until_empty()
        assert server.ended("ok") == report.sessions
        assert server.ended("client_gone") == 0
    assert (len(report.streams), report.sessions, report.lost, report.moved) == (4, 4, 0, 0)
    assert report.error_rate == 0
    assert not any(stream.options.itn for stream in server.engine.opened), "figures are no errors"
    assert report.peak_live == 4
    assert seen[-1].live == 0
    assert max(progress.live for progress in seen) == 4
    assert any(progress.target == 1 and progress.live == 1 for progress in seen)
    assert all(stream.pods == ["pod-1"] for stream in report.streams)
    assert report.partial_ms(95) is not None
    assert report.final_ms(95) is not None


@pytest.mark.server
async def test_a_refused_device_comes_back_and_nothing_is_lost() -> None:
    async with running(capacity=1) as server:
        habits = Habits(pause_seconds=0, session_seconds=0.5, redial_seconds=3.0, finish_seconds=3)
        report = await run(plan(server, lambda _at: 2, 4.0, habits=habits))
    assert report.refused >= 1
    assert (report.lost, report.unreachable) == (0, 0)
    assert all(stream.sessions for stream in report.streams), "who was refused was served later"


@pytest.mark.server
async def test_a_device_hangs_up_and_calls_again_under_its_name() -> None:
    async with running() as server:
        habits = Habits(pause_seconds=0, session_seconds=0.1, redial_seconds=0.1)
        report = await run(plan(server, lambda _at: 1, 2.5, habits=habits, device_prefix="phone"))
        assert {stream.session_id for stream in server.engine.opened} == {"phone-0001"}
    assert report.streams[0].sessions >= 2
    assert (report.lost, report.moved) == (0, 0)


@pytest.mark.server
async def test_an_end_after_each_clip_gives_a_final_latency_for_each() -> None:
    async with running() as server:
        report = await run(plan(server, lambda _at: 1, 2.0, habits=Habits(pause_seconds=0, end_each_clip=True)))
    (stream,) = report.streams
    assert stream.sessions == 1
    assert len(stream.final_seconds) >= 2
    assert report.error_rate == 0


@pytest.mark.server
async def test_mode_online_is_judged_by_its_partials() -> None:
    async with running() as server:
        report = await run(plan(server, lambda _at: 1, 1.5, mode="online"))
    assert report.error_rate == 0


@pytest.mark.server
async def test_a_stream_that_is_cut_counts_as_lost_and_the_device_calls_again() -> None:
    async with running() as server:
        running_load = asyncio.create_task(run(plan(server, lambda _at: 1, 2.0)))
        await server.engine.until_opened(1)
        server.public.end_streams("the worker had to end")
        report = await running_load
    assert (report.lost, report.sessions) == (1, 2)
    assert report.streams[0].errors == ["the server ended the stream: the worker had to end"]
    assert report.error_rate == 0, "the lost session's texts do not count"


@pytest.mark.server
async def test_an_end_that_is_never_answered_counts_as_lost() -> None:
    async with running() as server:
        server.engine.gate.clear()
        report = await run(plan(server, lambda _at: 1, 0.5, habits=Habits(pause_seconds=0, finish_seconds=0.5)))
        server.engine.gate.set()
    assert report.lost == 1
    assert report.streams[0].errors == ["no answer to the end of the stream within 0.5 s"]


async def test_a_device_that_still_dials_hangs_up_when_it_is_no_longer_wanted() -> None:
    """Held at the gateway: the connection is there but nobody answers. Neither lost nor refused."""
    async with await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0) as silent:
        port = silent.sockets[0].getsockname()[1]
        held = LoadPlan(f"ws://127.0.0.1:{port}", (CLIP,), lambda _at: 1, 0.5, habits=SHORT)
        async with asyncio.timeout(5):
            report = await run(held)
    assert (report.sessions, report.lost, report.refused, report.unreachable) == (0, 0, 0, 0)


async def test_nobody_there_is_unreachable_not_lost() -> None:
    report = await run(LoadPlan("ws://127.0.0.1:9", (CLIP,), lambda _at: 1, 0.5, habits=SHORT))
    assert (report.sessions, report.lost) == (0, 0)
    assert report.unreachable >= 1


@pytest.mark.server
async def test_stop_ends_a_run_early_and_politely() -> None:
    stop = asyncio.Event()
    async with running() as server:
        running_load = asyncio.create_task(run(plan(server, lambda _at: 2, 600), stop=stop))
        await server.engine.until_opened(2)
        stop.set()
        async with asyncio.timeout(5):
            report = await running_load
    assert (report.sessions, report.lost) == (2, 0)


@pytest.mark.parametrize(
    ("at", "streams", "ramp", "target"),
    [(0, 10, 0, 10), (0, 10, 10, 1), (5, 10, 10, 6), (9.99, 10, 10, 10), (20, 10, 10, 10), (0, 1, 60, 1)],
)
def test_the_ramp(at: float, streams: int, ramp: float, target: int) -> None:
    assert ramp_target(at, streams, ramp) == target


def write_wav(path: Path, rate: int = 16_000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(CLIP.pcm.data)


def test_clips_come_with_their_texts(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav")
    write_wav(tmp_path / "b.wav")
    (tmp_path / "texts.json").write_text('{"a.wav": "打开"}')
    assert [(clip.name, clip.text) for clip in read_clips(tmp_path)] == [("a.wav", "打开"), ("b.wav", "")]


def test_a_folder_of_no_use_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no \*\.wav in it"):
        read_clips(tmp_path)
    write_wav(tmp_path / "a.wav")
    (tmp_path / "texts.json").write_text("[1]")
    with pytest.raises(UsageError, match="must be one object"):
        read_clips(tmp_path)
    (tmp_path / "texts.json").unlink()
    write_wav(tmp_path / "b.wav", rate=8_000)
    with pytest.raises(UsageError, match="several sample rates"):
        read_clips(tmp_path)


@pytest.mark.server
async def test_the_command_prints_a_report_and_says_by_its_status_whether_all_went_well(tmp_path: Path) -> None:
    write_wav(tmp_path / "a.wav")
    (tmp_path / "texts.json").write_text('{"a.wav": "一"}')

    async def command(url: str, *flags: str) -> tuple[int, str]:
        handle = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "asrpool.main", "load", "--folder", str(tmp_path), "--streams", "2", "--url", url),
            *("--duration", "1", "--pause", "0", *flags),
            env={**os.environ, "PYTHONPATH": str(ROOT / "cli")},
            stdout=subprocess.PIPE,
        )
        stdout, _ = await asyncio.wait_for(handle.communicate(), 20)
        assert handle.returncode is not None
        return handle.returncode, stdout.decode()

    async with running() as server:
        status, told = await command(server.url, "--json")
        assert status == 0
        report = json.loads(told)
        assert (report["streams"], report["lost"], report["cer"]) == (2, 0, 0)
        status, told = await command(server.url)
        assert (status, "2 sessions of 2 devices" in told) == (0, True)
    status, _ = await command("ws://127.0.0.1:9")
    assert status == 1
