"""FunASR's protocol against the real server: uvicorn, real sockets, an engine of our own."""

from __future__ import annotations

import pytest

from tests.worker.server.running import SECOND, hear_all, running, say

pytestmark = pytest.mark.server


async def test_two_pass_stream_gets_partials_then_the_final_then_the_end() -> None:
    async with running() as server, server.connect() as socket:
        await say(socket, mode="2pass", wav_name="a.wav", chunk_size=[5, 10, 5], is_speaking=True)
        for _ in range(2):
            await socket.send(SECOND)
        await say(socket, is_speaking=False, is_end=True)
        messages = await hear_all(socket)
    partial = {"mode": "2pass-online", "text": "一", "wav_name": "a.wav", "is_final": False}
    assert messages[:3] == [partial] * 3
    assert messages[3] == {
        "mode": "2pass-offline",
        "text": "一一一",
        "wav_name": "a.wav",
        "is_final": True,
        "timestamp": "[[0,600],[600,1200],[1200,1800]]",
        "stamp_sents": [
            {
                "text_seg": "一 一 一",
                "punc": "",
                "start": 0,
                "end": 2000,
                "ts_list": [[0, 600], [600, 1200], [1200, 1800]],
            }
        ],
    }
    assert messages[4:] == [{"mode": "2pass", "wav_name": "a.wav", "is_final": True, "is_end": True}]
