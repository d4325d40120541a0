"""Punctuation, speakers and figures from a client's wish to its final: the worker as it ships, over the onnx engine.

Recogniser and VAD are the tiny trained models. Punctuation and speaker models have random weights with an output that is
known in spite of it: what they say is their own tests' matter.
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
from tests.worker.engine.speaker import speaker_dirs
from tests.worker.server.running import hear_all, say
from tests.worker.server.test_life import ROOT, worker
from tests.worker.server.test_recognition import DATA, FLAGS, FRAME_BYTES, clip, recogniser

pytestmark = [pytest.mark.model, pytest.mark.timeout(180)]

NAME = "utterance-12.wav"
TEXT = "三一七八明早"
ONLY_COMMAS = {"，": 100.0}


@pytest.fixture(scope="module")
def flags(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """A worker with all models, and one enrolled speaker: who speaks in the test's clip."""
    home = tmp_path_factory.mktemp("models")
    punc = punc_dirs.write(home / "punc", punc_dirs.punc_config(realtime=True), likely=ONLY_COMMAS)
    speaker = speaker_dirs.write(home / "speaker", speaker_dirs.config())
    for directory in (punc, speaker):
        export_directory(directory)
    (home / "voices" / "anna").mkdir(parents=True)
    shutil.copy(DATA / NAME, home / "voices" / "anna" / "1.wav")
    return (*FLAGS, f"--punc={punc}", f"--speaker={speaker}", f"--speakers={home / 'voices'}", "--itn=true")


async def final(address: str, **wishes: object) -> dict[str, Any]:
    """The one final of the clip."""
    audio = clip(NAME)
    async with connect(address, proxy=None) as socket:
        await say(socket, mode="2pass", chunk_size=[5, 10, 5], **wishes)
        for start in range(0, len(audio), FRAME_BYTES):
            await socket.send(audio[start : start + FRAME_BYTES])
        await say(socket, is_speaking=False, is_end=True)
        (found,) = [message for message in await hear_all(socket) if message.get("text") and message["is_final"]]
        return found


async def test_each_stream_gets_what_it_asks_for(flags: tuple[str, ...]) -> None:
    async with recogniser(flags) as (_, address):
        full, plain, named = await asyncio.gather(
            final(address, itn=False),
            final(address, itn=False, punc=False, speaker=False),
            final(address, punc=False, speaker=True),
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

    assert named["spk_name"] == "anna"
    assert 0.5 < named["spk_score"] <= 1
    assert "3178" in named["text"]


async def test_a_worker_without_the_models_says_so_to_who_insists() -> None:
    async with recogniser(FLAGS) as (_, address), connect(address, proxy=None) as socket:
        await say(socket, mode="2pass", punc=True)
        await socket.send(clip(NAME)[:FRAME_BYTES])
        (message,) = await hear_all(socket)
    assert "no punctuation model is loaded" in message["error"]


async def test_the_command_asks_for_all_and_shows_it(flags: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "asrpool.main", "stream", str(DATA / NAME), "--speed=max", "--mode=2pass"]
    async with recogniser(flags) as (_, address):
        handle = await asyncio.create_subprocess_exec(
            *(*command, "--url", address, "--punc", "--speaker", "--no-itn", "--hotword=明早:30", "--language=zh"),
            env={**os.environ, "PYTHONPATH": str(ROOT / "cli")},
            stdout=asyncio.subprocess.PIPE,
        )
        stdout, _ = await asyncio.wait_for(handle.communicate(), 60)
    assert handle.returncode == 0
    last = stdout.decode().splitlines()[-1]
    assert last.startswith("anna (")
    assert last.split("): ")[1].replace("，", "").rstrip("。") == TEXT


@pytest.mark.parametrize(("wrong", "named"), [("--punc={}/nothing", "nothing"), ("--speakers={}/nobody", "nobody")])
async def test_what_is_not_there_is_named_before_the_worker_is_ready(
    flags: tuple[str, ...], tmp_path: Path, wrong: str, named: str
) -> None:
    async with worker(*flags, wrong.format(tmp_path), module="asrpool_worker.main") as process:
        assert await process.exits(30) in (1, 2)
        assert process.handle.stderr is not None
        assert named in (await process.handle.stderr.read()).decode()
