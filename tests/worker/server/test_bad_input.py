"""What clients do wrong. Each costs its own session, with an error that says what was wrong, and nobody else's.

While each of these goes on, a well-behaved stream beside it must be served as if it were alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from asrpool_worker.server.worker import StreamBounds
from asrpool_worker.session.funasr import Limits
from tests.worker.fakes import FakeEngine
from tests.worker.server.running import SECOND, Running, hear, hear_all, running, say

pytestmark = pytest.mark.server

MAX_FRAME_BYTES = 4 << 20


@asynccontextmanager
async def beside_a_good_stream(server: Running) -> AsyncIterator[None]:
    """A stream that begins before and ends after the body, and must get all its text."""
    async with server.connect() as good:
        await say(good, mode="2pass", wav_name="good")
        await good.send(SECOND)
        yield
        await good.send(SECOND)
        await say(good, is_speaking=False, is_end=True)
        messages = await hear_all(good)
    assert [message.get("text") for message in messages] == ["一", "一", "一", "一一一", None]
    assert {message["wav_name"] for message in messages} == {"good"}


async def ending(socket: ClientConnection) -> tuple[str, int]:
    """The error that the client is told, and the close code after it."""
    message = await hear(socket)
    while "error" not in message:
        message = await hear(socket)
    assert message["is_final"] is False
    assert message["is_end"] is True
    with pytest.raises(ConnectionClosed) as closed:
        await socket.recv()
    assert closed.value.rcvd is not None
    return message["error"], closed.value.rcvd.code


async def first_is_not_json(socket: ClientConnection) -> None:
    await socket.send("hello")


async def first_is_a_list(socket: ClientConnection) -> None:
    await socket.send("[1, 2]")


async def wrong_type(socket: ClientConnection) -> None:
    await say(socket, mode="2pass", is_speaking="yes")


async def unknown_mode(socket: ClientConnection) -> None:
    await say(socket, mode="3pass")


async def audio_first(socket: ClientConnection) -> None:
    await socket.send(SECOND)


async def huge_chunk_size(socket: ClientConnection) -> None:
    await say(socket, mode="online", chunk_size=[5, 10, 200_000])


async def wrong_sample_rate(socket: ClientConnection) -> None:
    await say(socket, mode="online", audio_fs=10**9)


async def odd_byte_count(socket: ClientConnection) -> None:
    await say(socket, mode="online")
    await socket.send(b"abc")


async def eight_megabytes(socket: ClientConnection) -> None:
    await say(socket, mode="online")
    await socket.send(bytes(8 << 20))


async def long_text(socket: ClientConnection) -> None:
    await say(socket, mode="online", wav_name="a" * 100_000)


async def text_flood(socket: ClientConnection) -> None:
    with contextlib.suppress(ConnectionClosed):
        for _ in range(100_000):
            await socket.send('{"is_speaking": true}')


async def not_a_number(socket: ClientConnection) -> None:
    await say(socket, mode="online")
    await socket.send(struct.pack("<h", -32768) * 9_600)


CASES: list[tuple[Callable[[ClientConnection], Awaitable[None]], str, int]] = [
    (first_is_not_json, "text message is not JSON", 1007),
    (first_is_a_list, "must be a JSON object, not a list", 1007),
    (wrong_type, '"is_speaking" must be true or false', 1007),
    (unknown_mode, "unknown \"mode\" '3pass'", 1008),
    (audio_first, "audio came before the first text message", 1008),
    (huge_chunk_size, "look-ahead 200000 is out of range", 1008),
    (wrong_sample_rate, '"audio_fs" 1000000000 is out of range', 1008),
    (odd_byte_count, "audio frame of 3 bytes", 1007),
    (eight_megabytes, f"at most {MAX_FRAME_BYTES} are allowed", 1009),
    (long_text, "at most 65536 are allowed", 1009),
    (text_flood, "too many text messages", 1008),
    (not_a_number, "no numbers (NaN)", 1007),
]


@pytest.mark.parametrize(("misbehave", "sentence", "code"), CASES, ids=[row[0].__name__ for row in CASES])
async def test_costs_its_own_session_and_says_why(
    misbehave: Callable[[ClientConnection], Awaitable[None]], sentence: str, code: int
) -> None:
    async with running() as server:
        async with beside_a_good_stream(server), server.connect() as bad:
            await misbehave(bad)
            told, closed_with = await ending(bad)
            assert sentence in told
            assert closed_with == code
        await server.until_empty()
        assert (server.ended("client_error"), server.ended("ok")) == (1, 1)
        assert not server.engine.open_streams


async def test_a_frame_beyond_reading_is_closed_with_1009() -> None:
    """Twice the limit and more is not even read; the close frame alone says why."""
    async with running(limits=Limits(max_frame_bytes=65_536)) as server:
        async with beside_a_good_stream(server), server.connect() as bad:
            await say(bad, mode="online")
            await bad.send(bytes(2 << 20))
            with pytest.raises(ConnectionClosed) as closed:
                await bad.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 1009
        await server.until_empty()


async def test_a_client_that_sends_nothing_is_ended_and_frees_its_place() -> None:
    async with running(capacity=1, limits=Limits(idle_seconds=0.3)) as server:
        async with server.connect() as bad:
            assert await ending(bad) == ("nothing was received for 0.3 s", 1008)
        await server.until_empty()
        assert server.ended("idle") == 1


async def test_a_client_that_stops_sending_in_mid_stream_is_ended() -> None:
    async with running(limits=Limits(idle_seconds=0.3)) as server:
        async with server.connect() as bad:
            await say(bad, mode="2pass")
            await bad.send(SECOND)
            assert (await ending(bad))[0] == "nothing was received for 0.3 s"
        await server.until_empty()
        assert not server.engine.open_streams


async def test_a_client_that_we_keep_waiting_is_not_ended_as_idle() -> None:
    """It is so far ahead that nothing more is read of it; what it sends meanwhile waits in the socket."""
    async with running(limits=Limits(idle_seconds=0.4), bounds=StreamBounds(max_backlog_seconds=1.0)) as server:
        async with server.connect() as fast:
            await say(fast, mode="2pass")
            await fast.send(SECOND)
            await server.engine.until_opened(1)
            (stream,) = server.engine.opened
            stream.backlog = 5.0
            await fast.send(SECOND)
            await asyncio.sleep(1.2)
            stream.backlog = 0.0
            await say(fast, is_speaking=False, is_end=True)
            assert "error" not in str(await hear_all(fast))
        await server.until_empty()
        assert server.ended("ok") == 1


async def test_audio_that_waits_for_its_turn_keeps_the_time_it_came() -> None:
    async with running(bounds=StreamBounds(max_backlog_seconds=1.0)) as server, server.connect() as fast:
        await say(fast, mode="2pass")
        await fast.send(SECOND)
        await server.engine.until_opened(1)
        (stream,) = server.engine.opened
        stream.backlog = 5.0
        await fast.send(SECOND)  # taken, since it was being waited for already
        await fast.send(SECOND)
        await asyncio.sleep(0.1)
        sent = time.monotonic()
        await asyncio.sleep(0.6)
        stream.backlog = 0.0
        await say(fast, is_speaking=False, is_end=True)
        await hear_all(fast)
        assert len(server.engine.arrivals) == 3
        assert server.engine.arrivals[-1] <= sent


async def test_a_client_that_never_reads_is_cut_off_with_bounded_memory() -> None:
    """Replies pile up to the outbox's bound; then the connection is aborted, since a close frame would not be read either."""
    engine = FakeEngine(flood=2_000, partial_chars=1_000)
    async with running(engine=engine, bounds=StreamBounds(write_seconds=0.5), send_buffer_bytes=4_096) as server:
        before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        writer = await deaf_client(server)
        writer.write(frame(1, json.dumps({"mode": "online"}).encode()))
        for _ in range(20):
            writer.write(frame(2, SECOND))
        await server.until_empty()
        assert server.ended("slow_reader") == 1
        assert not engine.open_streams
        grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
        assert grown_kib < 100 * 1024
        engine.flood, engine.partial_chars = 1, 1
        async with server.connect() as good:
            await say(good, mode="online")
            await good.send(SECOND)
            assert (await hear(good))["text"] == "一"
        writer.close()


async def test_pings_whose_pongs_are_not_read_are_cut_off() -> None:
    async with running(send_buffer_bytes=4_096) as server:
        writer = await deaf_client(server)
        ping = frame(9, bytes(125)) * 1_000
        async with asyncio.timeout(20):
            await cut_off(writer, ping)
        await server.until_empty()


async def test_one_message_in_endless_fragments_is_cut_off() -> None:
    async with running() as server:
        writer = await deaf_client(server)
        writer.write(frame(2, b"", last=False))
        async with asyncio.timeout(20):
            await cut_off(writer, frame(0, b"", last=False) * 500)
        await server.until_empty()


async def deaf_client(server: Running) -> asyncio.StreamWriter:
    """An upgraded connection whose client reads nothing more."""
    port = int(server.url.rsplit(":", 1)[1].strip("/"))
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1_024)
    writer.write(
        b"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # asyncio's transports have it, the stubs' base class not
    return writer


async def cut_off(writer: asyncio.StreamWriter, data: bytes) -> None:
    """Write until the server has had enough."""
    while True:
        writer.write(data)
        try:
            await writer.drain()
        except ConnectionError:
            return


def frame(opcode: int, payload: bytes, *, last: bool = True) -> bytes:
    """One masked client frame (RFC 6455, section 5.2), with a mask of zeros."""
    opcode |= 0x80 if last else 0
    length = len(payload)
    if length < 126:
        head = struct.pack("!BB", opcode, 0x80 | length)
    elif length < 65_536:
        head = struct.pack("!BBH", opcode, 0x80 | 126, length)
    else:
        head = struct.pack("!BBQ", opcode, 0x80 | 127, length)
    return head + bytes(4) + payload
