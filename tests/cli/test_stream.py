"""`asrpool stream` against the real server."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
import wave
from pathlib import Path

import pytest

from asrpool.main import main
from asrpool_worker.engine.messages import Mode, StreamOptions
from tests.worker.fakes import FakeEngine
from tests.worker.server.running import SECOND, Running, running

pytestmark = pytest.mark.server

ROOT = Path(__file__).parents[2]


@pytest.fixture
def two_seconds(tmp_path: Path) -> Path:
    """A WAV file of which the engine of the tests makes three characters."""
    path = tmp_path / "two.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(SECOND * 2)
    return path


async def command(server: Running, *arguments: str) -> int:
    return await asyncio.to_thread(main, ["stream", "--url", server.url, *arguments])


async def test_partials_come_while_it_plays_and_the_final_last(
    two_seconds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running() as server:
        began = time.monotonic()
        assert await command(server, str(two_seconds), "--device-id", "me") == 0
        assert time.monotonic() - began >= 1.9, "in real time unless told otherwise"
    assert capsys.readouterr().out.splitlines() == ["# pod pod-1, session me", "… 一", "… 一一", "… 一一一", "一一一"]


async def test_without_a_mode_the_server_takes_its_best_and_online_text_is_printed_at_the_end(
    two_seconds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(engine=FakeEngine(frozenset({Mode.ONLINE}))) as server:
        assert await command(server, str(two_seconds), "--speed", "max") == 0
    assert capsys.readouterr().out.splitlines()[1:] == ["… 一", "… 一一", "… 一一一", "一一一"]


async def test_json_is_what_the_server_said_a_line_each(two_seconds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running() as server:
        assert await command(server, str(two_seconds), "--json", "--speed", "max", "--mode", "online") == 0
    opened, *messages = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert opened["pod"] == "pod-1"
    assert [message.get("text") for message in messages] == ["一", "一", "一", None]
    assert messages[-1]["is_end"] is True


async def test_what_is_asked_of_the_finals_reaches_the_engine_and_is_shown(
    two_seconds: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = tmp_path / "words.txt"
    words.write_text("厨房 5\n", encoding="utf-8")
    flags = ["--punc", "--speaker", "--no-itn", "--language=yue", "--hotword=窗帘:30", f"--hotword={words}"]
    async with running() as server:
        assert await command(server, str(two_seconds), "--mode=offline", "--speed=max", *flags) == 0
        (stream,) = server.engine.opened
    assert stream.options == StreamOptions(
        Mode.OFFLINE,
        itn=False,
        language="yue",
        hotwords={"窗帘": 30, "厨房": 5},
        punctuation=True,
        speakers=True,
    )
    assert capsys.readouterr().out.splitlines()[1:] == ["speaker-1 (0.75): 一一一。 [yue, happy, speech]"]


@pytest.mark.parametrize(
    ("flags", "punctuation", "speakers", "itn"),
    [([], None, None, True), (["--no-punc", "--no-speaker", "--itn"], False, False, True)],
)
async def test_what_is_not_asked_is_left_to_the_servers_models(
    two_seconds: Path, flags: list[str], punctuation: bool | None, speakers: bool | None, itn: bool
) -> None:
    async with running() as server:
        assert await command(server, str(two_seconds), "--speed=max", *flags) == 0
        options = server.engine.opened[0].options
    assert (options.punctuation, options.speakers, options.itn) == (punctuation, speakers, itn)
    assert (options.language, options.hotwords) == (StreamOptions.language, {})


async def test_to_insist_on_a_model_that_is_not_there_is_status_1(
    two_seconds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(engine=FakeEngine(speakers=False)) as server:
        assert await command(server, str(two_seconds), "--speaker") == 1
    assert "no speaker model is loaded" in capsys.readouterr().err


async def piped(server: Running, data: bytes, *arguments: str) -> tuple[int, str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "cli")}
    handle = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "asrpool.main", "stream", "-", "--url", server.url, "--speed", "max", *arguments),
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    stdout, _ = await asyncio.wait_for(handle.communicate(data), 20)
    assert handle.returncode is not None
    return handle.returncode, stdout.decode()


async def test_stdin_may_be_raw_samples_or_a_wav_file(two_seconds: Path) -> None:
    wav = await asyncio.to_thread(two_seconds.read_bytes)
    async with running() as server:
        for data in (SECOND * 2 + b"\1", wav):
            status, told = await piped(server, data)
            assert status == 0
            assert told.splitlines()[-1] == "一一一"
        status, told = await piped(server, SECOND, "--rate", "8000")
        assert told.splitlines()[-1] == "一一一"


async def test_a_refusal_is_status_1_with_the_servers_words(
    two_seconds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running(capacity=1) as server, server.connect():
        assert await command(server, str(two_seconds)) == 1
    assert "refused with HTTP 503: the worker has as many sessions as it may hold" in capsys.readouterr().err


async def test_a_cut_stream_is_status_1_with_the_reason(two_seconds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running() as server:
        streaming = asyncio.create_task(command(server, str(two_seconds)))
        await server.engine.until_opened(1)
        server.public.end_streams("the worker had to end")
        assert await streaming == 1
    assert "the server ended the stream: the worker had to end" in capsys.readouterr().err


async def test_a_server_that_never_answers_the_end_is_status_1(
    two_seconds: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with running() as server:
        server.engine.gate.clear()
        began = time.monotonic()
        assert await command(server, str(two_seconds), "--speed", "max", "--finish-seconds", "0.5") == 1
        assert time.monotonic() - began < 5
    assert "said nothing for 0.5 s" in capsys.readouterr().err


async def test_an_error_message_is_status_1(two_seconds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with running(engine=FakeEngine(frozenset())) as server:
        assert await command(server, str(two_seconds), "--mode", "2pass") == 1
    assert "needs a model that is not loaded here" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["/nowhere.wav"], "cannot read /nowhere.wav"),
        (["{file}", "--url", "http//x"], "--url http//x"),
        (["{file}", "--url", "ws://127.0.0.1:99999"], "--url ws://127.0.0.1:99999"),
    ],
)
def test_wrong_usage_is_status_2(
    two_seconds: Path, arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stream", *(argument.format(file=two_seconds) for argument in arguments)]) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    "flags",
    [
        ["--speed", "0"],
        ["--speed", "fast"],
        ["--chunk-ms", "0"],
        ["--rate", "0"],
        ["--rate", "x"],
        ["--finish-seconds", "0"],
        ["--open-seconds", "-1"],
        ["--mode", "3pass"],
        ["--hotword", "窗帘:many"],
        [],
    ],
)
def test_wrong_flags_are_status_2(flags: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["stream", *(["any.wav", *flags] if flags else [])])
    assert ended.value.code == 2


def test_a_server_that_is_not_there_is_status_1(two_seconds: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", str(two_seconds), "--url", "ws://127.0.0.1:9"]) == 1
    assert "cannot connect to ws://127.0.0.1:9" in capsys.readouterr().err


def test_help_names_every_command_without_reading_them(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    told = capsys.readouterr().out
    assert all(name in told for name in ("stream", "load", "plan"))


async def test_on_a_terminal_partials_grow_in_place_and_finals_stay(two_seconds: Path) -> None:
    ours, theirs = os.openpty()
    async with running() as server:
        handle = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-m",
                "asrpool.main",
                "stream",
                str(two_seconds),
                "--url",
                server.url,
                "--device-id",
                "tv",
            ),
            env={**os.environ, "PYTHONPATH": str(ROOT / "cli"), "TERM": "xterm", "COLUMNS": "80"},
            stdout=theirs,
        )
        os.close(theirs)
        shown = asyncio.create_task(asyncio.to_thread(read_all, ours))
        assert await asyncio.wait_for(handle.wait(), 20) == 0
        text = (await shown).decode()
    os.close(ours)
    assert "pod pod-1, session tv" in text
    assert "一一 ▌" in text
    assert "▌" not in text[text.index("\x1b[1m一一一") :], "the final takes the partial's place"


def read_all(terminal: int) -> bytes:
    """What a program wrote to its terminal, until it closed it."""
    data = b""
    while True:
        try:
            more = os.read(terminal, 65_536)
        except OSError:  # Linux's way to say that the other side is gone
            return data
        if not more:
            return data
        data += more
