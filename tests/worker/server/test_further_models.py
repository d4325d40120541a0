"""Punctuation, speakers and figures from a client's wish to its final: the worker as it ships, over the onnx engine.

All models are the tiny trained ones but for punctuation: random weights that are made to set a comma after each word.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from asrpool_worker.engine.export import export_directory
from tests.worker.engine.punctuation import punc_dirs
from tests.worker.server.running import hear_all, say
from tests.worker.server.test_life import ROOT, worker
from tests.worker.server.test_recognition import DATA, FLAGS, FRAME_BYTES, MODELS, clip, recogniser

pytestmark = [pytest.mark.model, pytest.mark.timeout(180)]

ENROLLED, HERS, SOMEBODY_ELSES = "utterance-01.wav", "utterance-05.wav", "utterance-12.wav"
TEXT = "三一七八明早"
"""What somebody else says."""

ONLY_COMMAS = {"，": 100.0}


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """A worker with all models, and one enrolled speaker."""
    home = tmp_path_factory.mktemp("models")
    punc = punc_dirs.write(home / "punc", punc_dirs.punc_config(realtime=True), likely=ONLY_COMMAS)
    export_directory(punc)
    (home / "voices" / "anna").mkdir(parents=True)
    shutil.copy(DATA / ENROLLED, home / "voices" / "anna" / "1.wav")
    speaker = MODELS / "campplus-tiny"
    return (*FLAGS, f"--punc={punc}", f"--speaker={speaker}", f"--speakers={home / 'voices'}", "--itn=true")


async def final(address: str, name: str, **wishes: object) -> dict[str, Any]:
    """The last final of a clip."""
    audio = clip(name)
    async with connect(address, proxy=None) as socket:
        await say(socket, mode="2pass", chunk_size=[5, 10, 5], **wishes)
        for start in range(0, len(audio), FRAME_BYTES):
            await socket.send(audio[start : start + FRAME_BYTES])
        await say(socket, is_speaking=False, is_end=True)
        return [message for message in await hear_all(socket) if message["is_final"] and message.get("text")][-1]


async def test_each_stream_gets_what_it_asks_for(flags: tuple[str, ...]) -> None:
    async with recogniser(flags) as (_, address):
        full, plain, figures = await asyncio.gather(
            final(address, SOMEBODY_ELSES, itn=False),
            final(address, SOMEBODY_ELSES, itn=False, punc=False, speaker=False),
            final(address, SOMEBODY_ELSES, punc=False),
        )
    assert plain["text"] == TEXT
    assert "spk_name" not in plain
    assert [sentence["punc"] for sentence in plain["stamp_sents"]] == [""]

    sentences = full["stamp_sents"]
    assert full["text"].replace("，", "").rstrip("。") == TEXT
    assert "".join(sentence["text_seg"] for sentence in sentences) == TEXT
    assert len(sentences) > 1
    assert {sentence["punc"] for sentence in sentences[:-1]} == {"，"}
    assert [stamp for sentence in sentences for stamp in sentence["ts_list"]] == json.loads(full["timestamp"])

    assert figures["text"].startswith("3178")


async def test_a_speaker_is_known_by_name_where_enrolled_and_by_number_else(flags: tuple[str, ...]) -> None:
    async with recogniser(flags) as (_, address):
        hers, other = await asyncio.gather(final(address, HERS, speaker=True), final(address, SOMEBODY_ELSES))
    assert (hers["spk_name"], other["spk_name"]) == ("anna", "speaker-1")
    assert 0.5 < hers["spk_score"] < 1


async def test_a_worker_without_the_models_says_so_to_who_insists() -> None:
    async with recogniser(FLAGS) as (_, address), connect(address, proxy=None) as socket:
        await say(socket, mode="2pass", punc=True)
        await socket.send(clip(HERS)[:FRAME_BYTES])
        (message,) = await hear_all(socket)
    assert "no punctuation model is loaded" in message["error"]


async def told(address: str, path: Path, *wishes: str) -> str:
    """The last line that `asrpool stream` prints."""
    command = (sys.executable, "-m", "asrpool.main", "stream", str(path), "--url", address, "--speed=max")
    handle = await asyncio.create_subprocess_exec(
        *(*command, "--mode=2pass", *wishes),
        env={**os.environ, "PYTHONPATH": str(ROOT / "cli")},
        stdout=asyncio.subprocess.PIPE,
    )
    stdout, _ = await asyncio.wait_for(handle.communicate(), 60)
    assert handle.returncode == 0
    return stdout.decode().splitlines()[-1]


async def test_the_command_asks_for_all_and_shows_it(flags: tuple[str, ...]) -> None:
    async with recogniser(flags) as (_, address):
        line = await told(address, DATA / SOMEBODY_ELSES, "--punc", "--speaker", "--no-itn", "--language=zh")
    who, said = line.split(": ")
    assert who.startswith("speaker-1 (")
    assert said.count("，") > 1
    assert said.replace("，", "").rstrip("。") == TEXT


async def test_a_hotword_on_the_command_line_mends_what_was_heard_wrong() -> None:
    path = DATA / "hotwords" / "curtain-14-cancel.wav"
    async with recogniser(FLAGS) as (_, address):
        without = await told(address, path)
        assert await told(address, path, "--hotword=窗帘:30") == without.replace("窗零", "窗帘") != without


@pytest.mark.parametrize(("wrong", "named"), [("--punc={}/nothing", "nothing"), ("--speakers={}/nobody", "nobody")])
async def test_what_is_not_there_is_named_before_the_worker_is_ready(
    flags: tuple[str, ...], tmp_path: Path, wrong: str, named: str
) -> None:
    async with worker(*flags, wrong.format(tmp_path), module="asrpool_worker.main") as process:
        assert await process.exits(30) in (1, 2)
        assert process.handle.stderr is not None
        assert named in (await process.handle.stderr.read()).decode()
