"""The worker as it is shipped: its own process, the onnx engine, the tiny models, real speech over the real socket."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import sys
import time
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from asrpool.cer import character_error_rate
from tests.worker.server.running import hear_all, say
from tests.worker.server.test_life import ROOT, Process, url, worker

pytestmark = [pytest.mark.model, pytest.mark.timeout(120)]

MODELS = ROOT / "models"
DATA = ROOT / "tests" / "data"
FLAGS = (
    f"--online={MODELS / 'paraformer-tiny-streaming'}",
    f"--offline={MODELS / 'paraformer-tiny'}",
    f"--vad={MODELS / 'fsmn-vad-tiny'}",
    "--capacity=8",
)
FRAME_BYTES = 1_920


@asynccontextmanager
async def recogniser(flags: tuple[str, ...] = FLAGS, **environment: str) -> AsyncIterator[tuple[Process, str]]:
    """(process, URL) of a ready worker."""
    async with worker(*flags, module="asrpool_worker.main", **environment) as process:
        listening = await process.said("listening")
        await process.said("ready")
        yield process, url(listening)


def clip(name: str) -> bytes:
    with wave.open(str(DATA / name)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        return bytes(file.readframes(file.getnframes()))


def texts(prefix: str) -> dict[str, str]:
    """The names and texts of the test clips of one kind."""
    everything: dict[str, str] = json.loads((DATA / "texts.json").read_text())
    return {name: text for name, text in sorted(everything.items()) if name.startswith(prefix)}


async def recognise(address: str, audio: bytes, mode: str = "2pass") -> list[dict[str, Any]]:
    """All replies to one clip that is sent as fast as the server takes it."""
    async with connect(address, proxy=None) as socket:
        await say(socket, mode=mode, chunk_size=[5, 10, 5])
        for start in range(0, len(audio), FRAME_BYTES):
            await socket.send(audio[start : start + FRAME_BYTES])
        await say(socket, is_speaking=False, is_end=True)
        return await hear_all(socket)


def finals(messages: list[dict[str, Any]]) -> str:
    return "".join(message["text"] for message in messages if message["is_final"] and "text" in message)


def partials(messages: list[dict[str, Any]]) -> str:
    return "".join(message["text"] for message in messages if not message["is_final"])


async def test_ready_in_under_three_seconds_from_the_start_of_the_process() -> None:
    """The best of three. Where the machine is too busy for that, the process's own computing time decides."""
    wall_seconds, computing_seconds = [], []
    for _ in range(3):
        began = time.monotonic()
        async with recogniser() as (process, _):
            wall_seconds.append(time.monotonic() - began)
            computing_seconds.append(computed_seconds(process.handle.pid))
            process.send(signal.SIGTERM)
            assert await process.exits() == 0
        if wall_seconds[-1] < 3:
            return
    assert min(computing_seconds) < 2, (wall_seconds, computing_seconds)


def computed_seconds(pid: int) -> float:
    """User and system time of a process so far (proc(5), fields 14 and 15 of stat)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_speech_comes_back_as_partials_and_then_the_right_finals() -> None:
    said = texts("utterance")
    async with recogniser() as (_, address):
        pairs, partial_pairs = [], []
        for name, text in said.items():
            messages = await recognise(address, clip(name))
            pairs.append((text, finals(messages)))
            # The second pass takes the place of the last partial: what came before it is compared.
            shown = partials(messages)
            partial_pairs.append((text[: len(shown)], shown))
    assert len(pairs) >= 20
    assert character_error_rate(pairs) <= 0.05
    assert character_error_rate(partial_pairs) <= 0.15


async def test_the_cpu_image_needs_no_training_library(tmp_path: Path) -> None:
    """The image has no torch; here it is installed, so its import is made to fail as it would there."""
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\nfor name in ('torch', 'torchaudio', 'funasr', 'onnx', 'scipy'):\n    sys.modules[name] = None\n"
    )
    name, text = next(iter(texts("utterance").items()))
    async with recogniser(PYTHONPATH=os.pathsep.join((str(tmp_path), str(ROOT / "worker")))) as (_, address):
        assert character_error_rate([(text, finals(await recognise(address, clip(name))))]) <= 0.2


async def test_pauses_make_several_finals_with_times_in_order() -> None:
    (name, text), *_ = texts("conversation").items()
    async with recogniser() as (_, address):
        messages = [
            message for message in await recognise(address, clip(name)) if message.get("mode") == "2pass-offline"
        ]
    assert len(messages) >= 2
    assert character_error_rate([(text, "".join(message["text"] for message in messages))]) <= 0.1
    spans = [(message["stamp_sents"][0]["start"], message["stamp_sents"][0]["end"]) for message in messages]
    assert all(start < end for start, end in spans)
    assert spans == sorted(spans)


@pytest.mark.parametrize("mode", ["online", "offline"])
async def test_the_other_modes(mode: str) -> None:
    said = dict(list(texts("utterance").items())[:6])
    async with recogniser() as (_, address):
        heard = [(text, await recognise(address, clip(name), mode)) for name, text in said.items()]
    pairs = [(text, (partials if mode == "online" else finals)(messages)) for text, messages in heard]
    assert character_error_rate(pairs) <= 0.15
    assert {message["mode"] for _, messages in heard for message in messages} == {mode}


async def test_streams_side_by_side_get_what_each_gets_alone() -> None:
    """Invariant 6 through the socket."""
    names = list(texts("utterance"))[:8]
    async with recogniser() as (_, address):
        alone = [finals(await recognise(address, clip(name))) for name in names]
        together = await asyncio.gather(*(recognise(address, clip(name)) for name in names))
    assert [finals(messages) for messages in together] == alone


STRANGE = {
    "silence": bytes(2 * 16_000 * 5),
    "full scale": struct.pack("<h", -32768) * 48_000,
    "the loudest square wave": struct.pack("<2h", -32768, 32767) * 24_000,
    "one sample": struct.pack("<h", 1),
    "no sample": b"",
}


@pytest.mark.parametrize("mode", ["2pass", "online", "offline"])
async def test_strange_audio_ends_in_order_and_the_next_stream_is_served(mode: str) -> None:
    name, text = next(iter(texts("utterance").items()))
    async with recogniser() as (_, address):
        for kind, audio in STRANGE.items():
            messages = await recognise(address, audio, mode)
            assert messages[-1] == {"mode": mode, "wav_name": "microphone", "is_final": True, "is_end": True}, kind
            assert kind != "silence" or finals(messages) + partials(messages) == ""
        assert character_error_rate([(text, finals(await recognise(address, clip(name))))]) <= 0.2


@pytest.mark.parametrize("flags", [FLAGS, FLAGS[:1]], ids=["2pass", "online model only"])
async def test_the_command_prints_partials_and_then_the_final(tmp_path: Path, flags: tuple[str, ...]) -> None:
    name, text = next(iter(texts("utterance").items()))
    async with recogniser(flags) as (_, address):
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "cli")}
        command = [sys.executable, "-m", "asrpool.main", "stream", str(DATA / name), "--url", address]
        handle = await asyncio.create_subprocess_exec(
            *command, cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
        )
        stdout, _ = await asyncio.wait_for(handle.communicate(), 60)
    assert handle.returncode == 0
    lines = stdout.decode().splitlines()
    assert any(line.startswith("… ") for line in lines[1:-1])
    assert character_error_rate([(text, lines[-1])]) <= 0.2
