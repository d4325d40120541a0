"""FunASR's protocol against the real server: uvicorn, real sockets, an engine of our own."""

from __future__ import annotations

import asyncio
import json
import logging
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from asrpool_worker.engine.messages import Mode, StreamOptions
from asrpool_worker.server.worker import StreamBounds
from tests.worker.fakes import FakeEngine
from tests.worker.server.running import SECOND, Running, hear, hear_all, running, say

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
    times = [[0, 600], [600, 1200], [1200, 1800]]
    assert messages[3] == {
        "mode": "2pass-offline",
        "text": "一一一",
        "wav_name": "a.wav",
        "is_final": True,
        "start": 0,
        "end": 2000,
        "timestamp": "[[0,600],[600,1200],[1200,1800]]",
        "stamp_sents": [{"text_seg": "一 一 一", "punc": "", "start": 0, "end": 2000, "ts_list": times}],
    }
    assert messages[4:] == [{"mode": "2pass", "wav_name": "a.wav", "is_final": True, "is_end": True}]


@pytest.mark.parametrize(
    ("mode", "names"),
    [("online", ["online"] * 3), ("offline", ["offline"]), ("2pass", ["2pass-online"] * 3 + ["2pass-offline"])],
)
async def test_each_mode_sends_its_own_replies(mode: str, names: list[str]) -> None:
    async with running() as server, server.connect() as socket:
        await say(socket, mode=mode)
        await socket.send(SECOND * 2)
        await say(socket, is_speaking=False, is_end=True)
        messages = await hear_all(socket)
    assert [message["mode"] for message in messages] == [*names, mode]


async def test_a_whole_file_in_one_frame_and_the_older_end() -> None:
    async with running() as server, server.connect() as socket:
        await say(socket, mode="offline", is_speaking=True)
        await socket.send(SECOND * 60)
        await say(socket, is_speaking=False)
        message = await hear(socket)
    assert (message["mode"], message["is_final"], len(message["text"])) == ("offline", True, 100)


async def test_several_files_over_one_socket_as_funasrs_client_sends_them() -> None:
    async with running() as server:
        async with server.connect() as socket:
            for name in ("a", "b", "c"):
                await say(socket, mode="online", wav_name=name, is_speaking=True)
                await socket.send(SECOND)
                await say(socket, is_speaking=False, is_end=True)
                assert [message["wav_name"] for message in await hear_all(socket)] == [name, name]
        await server.until_empty()
        assert len(server.engine.opened) == 3
        assert server.ended("ok") == 1


@pytest.mark.parametrize(
    ("offered", "chosen"), [(None, None), (["binary"], "binary"), (["html5"], None), (["x", "binary"], "binary")]
)
async def test_binary_is_echoed_only_where_it_was_offered(offered: list[str] | None, chosen: str | None) -> None:
    subprotocols = [Subprotocol(name) for name in offered] if offered else None
    async with running() as server, server.connect(subprotocols=subprotocols) as socket:
        assert socket.subprotocol == chosen


async def test_what_a_client_asks_of_finals_comes_back_in_them() -> None:
    async with running() as server, server.connect() as socket:
        await say(socket, mode="offline", punc=True, speaker=True, svs_lang="yue", hotwords="窗帘", itn=False)
        await socket.send(SECOND)
        await say(socket, is_speaking=False, is_end=True)
        final = (await hear_all(socket))[0]
        (stream,) = server.engine.opened
    assert stream.options == StreamOptions(
        Mode.OFFLINE, itn=False, language="yue", hotwords={"窗帘": 20}, punctuation=True, speakers=True
    )
    assert (final["text"], final["stamp_sents"][0]["punc"]) == ("一。", "。")
    assert (final["spk_name"], final["spk_score"]) == ("speaker-1", 0.75)
    assert (final["language"], final["emotion"], final["event"]) == ("yue", "happy", "speech")


async def test_a_client_that_insists_on_a_model_that_is_not_there_is_told() -> None:
    async with running(engine=FakeEngine(speakers=False)) as server:
        for insists in (False, True):
            async with server.connect() as socket:
                await say(socket, mode="offline", **({"speaker": True} if insists else {}))
                await socket.send(SECOND)
                await say(socket, is_speaking=False, is_end=True)
                assert (await hear(socket)).get("error") == ("no speaker model is loaded" if insists else None)


async def test_what_has_no_effect_without_finals_is_logged_once_a_session(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    wishes = {"hotwords": '{"阿里": 20}', "svs_lang": "yue"}
    async with running() as server, server.connect(additional_headers={"Device-Id": "a"}) as socket:
        for _ in range(2):
            await say(socket, mode="online", **wishes, is_speaking=True)
            await socket.send(SECOND)
            await say(socket, is_speaking=False, is_end=True)
            await hear_all(socket)
    for message in ({"mode": "online", "itn": True}, {"mode": "2pass", **wishes}):
        async with running() as server, server.connect() as plain:
            await say(plain, **message)
            await plain.send(SECOND)
            await hear(plain)
    told = [record for record in caplog.records if "no finals" in record.message]
    assert [(record.message, vars(record)["session"]) for record in told] == [
        ("asked for, but mode online has no finals to show it: hotwords, language", "a")
    ]


async def test_eight_khz_is_resampled() -> None:
    async with running() as server, server.connect() as socket:
        await say(socket, mode="offline", audio_fs=8_000)
        await socket.send(SECOND)
        await say(socket, is_speaking=False, is_end=True)
        final = (await hear_all(socket))[0]
    assert final["stamp_sents"][0]["end"] in (1999, 2000)


async def test_silence_ends_without_text() -> None:
    async with running() as server, server.connect() as socket:
        await say(socket, mode="2pass")
        await socket.send(bytes(64_000))
        await say(socket, is_speaking=False)
        assert await hear(socket) == {"mode": "2pass-offline", "text": "", "wav_name": "microphone", "is_final": True}


@pytest.mark.parametrize(
    ("headers", "query", "session"),
    [
        ({"Device-Id": "aa"}, "", "aa"),
        ({}, "?device-id=bb", "bb"),
        ({"X-Asrpool-Session": "cc", "Device-Id": "aa"}, "", "cc"),
    ],
)
async def test_the_upgrade_names_pod_and_session(headers: dict[str, str], query: str, session: str) -> None:
    async with running() as server, connect(server.url + query, proxy=None, additional_headers=headers) as socket:
        assert socket.response is not None
        assert socket.response.headers["X-Asrpool-Pod"] == "pod-1"
        assert socket.response.headers["X-Asrpool-Session"] == session


async def refused(server: Running, **headers: str) -> tuple[int, Headers, dict[str, Any]]:
    """(status, headers, body's error) of an upgrade that must be refused."""
    with pytest.raises(InvalidStatus) as raised:
        await server.connect(additional_headers=headers)
    response = raised.value.response
    return response.status_code, response.headers, json.loads(response.body or b"{}")["error"]


async def test_a_full_worker_refuses_before_the_upgrade_with_503() -> None:
    async with running(capacity=1) as server, server.connect():
        status, headers, error = await refused(server)
        assert status == 503
        assert int(headers["Retry-After"]) >= 1
        assert headers["X-Asrpool-Pod"] == "pod-1"
        assert (error["reason"], error["pod"]) == ("full", "pod-1")
        assert server.ended("refused") == 1
        assert server.worker.admission.active == 1


async def test_the_place_is_free_the_moment_a_stream_ends() -> None:
    async with running(capacity=1) as server:
        for _ in range(3):
            async with server.connect():
                assert server.worker.admission.active == 1
            await server.until_empty()


async def test_an_unusable_id_is_refused_with_400() -> None:
    async with running() as server:
        status, _headers, error = await refused(server, **{"Device-Id": "a b"})
        assert (status, error["reason"]) == (400, "bad_id")
        assert server.worker.admission.active == 0


async def test_while_loading_probes_say_503_and_streams_are_refused() -> None:
    async with running(ready=False) as server:
        assert (await server.http.get("/healthz")).status_code == 200
        assert (await server.http.get("/startupz")).status_code == 503
        assert (await server.http.get("/readyz")).status_code == 503
        assert (await refused(server))[2]["reason"] == "starting"


async def test_ready_stays_true_in_drain_and_when_full() -> None:
    async with running(capacity=1) as server, server.connect():
        await server.admin.post("/drain")
        for path in ("/readyz", "/startupz", "/healthz"):
            assert (await server.http.get(path)).status_code == 200


async def test_models_are_listed_as_openai_lists_them() -> None:
    async with running() as server:
        body = (await server.http.get("/v1/models")).json()
    assert body["object"] == "list"
    assert [model["id"] for model in body["data"]] == ["tiny"]


async def test_a_drain_refuses_newcomers_and_lets_the_device_back_that_was_here() -> None:
    async with running() as server:
        async with server.connect(additional_headers={"Device-Id": "known"}) as socket:
            await say(socket, mode="online")
            await server.admin.post("/drain")
            await socket.send(SECOND)
            assert (await hear(socket))["text"] == "一", "a live stream does not notice the drain"
            assert (await refused(server, **{"Device-Id": "new"}))[2]["reason"] == "draining"
        await server.until_empty()
        async with server.connect(additional_headers={"Device-Id": "known"}):
            pass
        await server.admin.post("/undrain")
        async with server.connect(additional_headers={"Device-Id": "new"}):
            pass


async def test_two_sessions_of_one_device_stand_side_by_side() -> None:
    device = {"Device-Id": "one"}
    async with (
        running() as server,
        server.connect(additional_headers=device) as first,
        server.connect(additional_headers=device) as second,
    ):
        for socket in (first, second):
            await say(socket, mode="online")
            await socket.send(SECOND)
            assert (await hear(socket))["text"] == "一"


async def test_a_fast_client_is_made_to_wait_and_loses_nothing() -> None:
    """Backpressure: while the engine is behind, the client's audio stays in its socket."""
    async with running(bounds=StreamBounds(max_backlog_seconds=5)) as server, server.connect() as socket:
        await say(socket, mode="offline")
        await socket.send(SECOND)
        await server.engine.until_opened(1)
        stream = server.engine.opened[0]
        stream.backlog = 6.0
        for _ in range(3):
            await socket.send(SECOND)
        await asyncio.sleep(0.3)
        assert stream.samples <= 2 * 16_000
        stream.backlog = 0.0
        await say(socket, is_speaking=False, is_end=True)
        assert len((await hear_all(socket))[0]["text"]) == 6


async def test_many_streams_do_not_hear_each_other() -> None:
    async def one(server: Running, seconds: int) -> int:
        async with server.connect() as socket:
            await say(socket, mode="2pass", wav_name=str(seconds))
            for _ in range(seconds):
                await socket.send(SECOND)
            await say(socket, is_speaking=False, is_end=True)
            messages = await hear_all(socket)
            assert {message["wav_name"] for message in messages} == {str(seconds)}
            return len(messages[-2]["text"])

    async with running(capacity=30) as server:
        texts = await asyncio.gather(*(one(server, seconds) for seconds in range(1, 31)))
    assert texts == [seconds * 16_000 // 9_600 for seconds in range(1, 31)]


async def test_a_client_that_leaves_in_mid_stream_leaves_nothing_behind() -> None:
    async with running() as server:
        socket = await server.connect()
        await say(socket, mode="2pass")
        await socket.send(SECOND)
        await hear(socket)
        socket.transport.abort()
        await server.until_empty()
        assert server.engine.opened[0].closed
        assert not server.engine.open_streams
        assert server.ended("client_gone") == 1
        async with server.connect():
            pass


async def test_the_process_that_must_end_tells_each_client_why() -> None:
    async with running() as server, server.connect() as socket:
        await say(socket, mode="2pass")
        await socket.send(SECOND)
        await hear(socket)
        assert server.public.end_streams("the worker had to end; connect again") == 1
        assert (await hear(socket))["error"] == "the worker had to end; connect again"
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1012


async def test_options_that_the_engine_refuses_are_told_to_the_client() -> None:
    async with running(engine=FakeEngine()) as server, server.connect() as socket:
        await say(socket, mode="online", chunk_size=[0, 1, 30])
        await socket.send(SECOND)
        assert (await hear(socket))["error"] == "this model cannot look so far ahead"


async def test_a_defect_ends_its_own_stream_with_1011_and_nothing_else() -> None:
    async with running() as server, server.connect() as good, server.connect() as bad:
        await say(good, mode="online")
        await say(bad, mode="online")
        await bad.send(bytes(2))
        await server.engine.until_opened(1)

        def fail(_samples: object, _arrived: float) -> None:
            raise ZeroDivisionError

        server.engine.opened[0].feed = fail  # type: ignore[method-assign, assignment]
        await bad.send(SECOND)
        assert "the worker failed on this stream" in (await hear(bad))["error"]
        with pytest.raises(ConnectionClosed) as closed:
            await bad.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1011
        await good.send(SECOND)
        assert (await hear(good))["text"] == "一"
        assert len(server.engine.open_streams) == 1


async def test_a_client_that_is_gone_before_the_upgrade_leaves_its_place() -> None:
    async with running(capacity=1) as server:
        for _ in range(5):
            _reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rsplit(":", 1)[1].strip("/")))
            writer.write(
                b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            writer.transport.abort()
        await asyncio.sleep(0.2)
        await server.until_empty()
        async with server.connect():
            pass
