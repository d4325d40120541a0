"""`asrpool stream`: one live stream from a file or stdin, with partials on the terminal while it plays."""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from asrpool.audio import RIFF, Pcm, read_audio, read_wav
from asrpool.client import MODES, LiveConnection, StreamRequest
from asrpool.errors import StreamError
from asrpool.hotwords import as_message, hotwords
from asrpool.stream_view import JsonView, LinesView, ScreenView, View


def add_parser(commands: Any) -> None:  # noqa: ANN401 - argparse has no public name for it
    """Register the command."""
    parser = commands.add_parser(
        "stream",
        help="send one live stream",
        description="Send a WAV file, a raw PCM file or stdin (-) as a live stream; print partials, then the finals.",
        epilog="exit status: 0 recognised to the end, 1 the stream failed, 2 wrong usage",
    )
    parser.add_argument("file", metavar="FILE|-", help="WAV or raw 16-bit mono PCM; - reads stdin")
    parser.add_argument("--url", default="ws://127.0.0.1:10095", help="the gateway or a worker (default: %(default)s)")
    parser.add_argument(
        "--mode", choices=MODES, help="FunASR's mode (default: 2pass, or what the server's models allow)"
    )
    parser.add_argument("--device-id", help="the id by which the gateway brings this device back to its pod")
    parser.add_argument("--speed", type=_speed, default=1.0, help="realtime (default), max, or a factor such as 4")
    parser.add_argument("--chunk-ms", type=_milliseconds, default=60.0, help="audio in one message (default: 60)")
    parser.add_argument("--rate", type=_rate, default=16_000, help="samples a second of raw PCM (default: %(default)s)")
    _add_wishes(parser)
    parser.add_argument(
        "--open-seconds", type=_seconds, default=120.0, help="longest wait for the connection (default: 120)"
    )
    parser.add_argument(
        "--finish-seconds",
        type=_seconds,
        default=60.0,
        help="after the audio, the longest silence of the server before its last word (default: 60)",
    )
    parser.add_argument("--json", action="store_true", help="print each message of the server as one line of JSON")
    parser.set_defaults(run=run)


def _add_wishes(parser: argparse.ArgumentParser) -> None:
    """What to ask of the finals. Where nothing is asked, the server's models decide."""
    parser.add_argument(
        "--hotword",
        type=hotwords,
        action="append",
        default=[],
        metavar="WORD[:WEIGHT]|FILE",
        help="a word to listen for, weight 0 to 1000 (default: 20), or a file with WORD [WEIGHT] on each line; may be repeated",
    )
    parser.add_argument("--language", help="what is spoken, for models that can be told: zh, en, yue, ja, ko, …")
    for flag, what in (
        ("--punc", "punctuation; --punc fails where the server has none"),
        ("--speaker", "who speaks; --speaker fails where the server cannot tell"),
        ("--itn", "numbers, dates and money as figures, where the server can"),
    ):
        parser.add_argument(flag, action=argparse.BooleanOptionalAction, default=None, help=what)


def run(parsed: argparse.Namespace) -> int:
    """Stream once; 0, or an error is raised."""
    if parsed.file == "-":
        pcm, endless = _read_stdin_start(parsed.rate)
    else:
        pcm, endless = read_audio(Path(parsed.file), parsed.rate), False
    request = StreamRequest(
        url=parsed.url,
        mode=parsed.mode,
        device_id=parsed.device_id,
        wav_name="stdin" if parsed.file == "-" else Path(parsed.file).name,
        sample_rate_hz=pcm.sample_rate_hz,
        hotwords=as_message(parsed.hotword),
        language=parsed.language,
        itn=parsed.itn,
        punctuation=parsed.punc,
        speakers=parsed.speaker,
        open_seconds=parsed.open_seconds,
    )
    show: View = JsonView() if parsed.json else ScreenView() if sys.stdout.isatty() else LinesView()
    asyncio.run(_stream(request, _frames(pcm, parsed, endless=endless), show, parsed.finish_seconds))
    return 0


async def _stream(request: StreamRequest, frames: AsyncIterator[bytes], show: View, finish_seconds: float) -> None:
    loop = asyncio.get_running_loop()
    async with await LiveConnection.open(request) as connection:
        show.opened(connection.pod, connection.session_id)
        ended, sent = False, None
        try:
            async with asyncio.timeout(None) as patience:
                sending = asyncio.create_task(_send(connection, frames, patience, finish_seconds))
                with show:
                    try:
                        async for heard in connection.heard():
                            show.heard(heard)
                            if heard.end:
                                ended = True
                                break
                            if sending.done():
                                patience.reschedule(loop.time() + finish_seconds)
                    finally:
                        sending.cancel()
                        sent = (await asyncio.gather(sending, return_exceptions=True))[0]
        except TimeoutError:
            raise StreamError(
                f"the server said nothing for {finish_seconds:g} s and its final is still out", lost=True
            ) from None
        if not ended:
            raise StreamError("the server closed the stream before it was recognised to its end", lost=True)
        if isinstance(sent, Exception):
            raise sent


async def _send(
    connection: LiveConnection, frames: AsyncIterator[bytes], patience: asyncio.Timeout, finish_seconds: float
) -> None:
    """Say all, then give the server its time to answer."""
    async for frame in frames:
        await connection.send(frame)
    await connection.finish()
    patience.reschedule(asyncio.get_running_loop().time() + finish_seconds)


async def _frames(pcm: Pcm, parsed: argparse.Namespace, *, endless: bool) -> AsyncIterator[bytes]:
    """The audio in messages, at the wanted speed. Time is counted from the start, so that delays do not add up."""
    size = pcm.frame_bytes(parsed.chunk_ms)
    frame_seconds = size / (2 * pcm.sample_rate_hz) / parsed.speed if parsed.speed else 0.0
    due = time.monotonic()
    source = _stdin_frames(pcm.data, size) if endless else _file_frames(pcm.data, size)
    async for frame in source:
        yield frame
        due += frame_seconds
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def _file_frames(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def _stdin_frames(start: bytes, size: int) -> AsyncIterator[bytes]:
    """What was read while looking for a header, then stdin to its end; half a sample at the very end is dropped."""
    rest = start
    while True:
        more = await asyncio.to_thread(_read_available, size)
        rest += more
        while len(rest) >= size or (not more and len(rest) >= 2):
            yield rest[: min(size, len(rest) // 2 * 2)]
            rest = rest[size:]
        if not more:
            return


def _read_available(size: int) -> bytes:
    """What stdin has now, up to `size`: a microphone's frame is passed on before the next one comes."""
    return os.read(sys.stdin.fileno(), size)


def _read_stdin_start(raw_rate_hz: int) -> tuple[Pcm, bool]:
    """(a whole WAV file, False), or (the first bytes of a PCM stream, True): the rest is read while it is sent."""
    start = b""
    while len(start) < len(RIFF) and (more := _read_available(len(RIFF) - len(start))):
        start += more
    if start == RIFF:
        return read_wav(io.BytesIO(start + sys.stdin.buffer.read()), "stdin"), False
    return Pcm(start, raw_rate_hz), True


def _speed(text: str) -> float:
    """Times real time; 0 stands for as fast as the server takes it."""
    if text in ("realtime", "max"):
        return 1.0 if text == "realtime" else 0.0
    try:
        speed = float(text.removesuffix("x"))
    except ValueError:
        speed = 0.0
    if not 0 < speed < 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not realtime, max or a positive number")
    return speed


def _rate(text: str) -> int:
    if not (text.isdecimal() and 4_000 <= int(text) <= 192_000):
        raise argparse.ArgumentTypeError(f"{text!r} is not a sample rate from 4000 to 192000")
    return int(text)


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds above 0")
    return value


def _milliseconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 1 <= value <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of milliseconds from 1 to 10000")
    return value
