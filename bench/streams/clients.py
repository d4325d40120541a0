"""`python -m bench.streams.clients PLAN`: N devices that speak in real time, in one process of their own.

Each device joins at a random moment within the first seconds and at a random place of its audio, so that neither strides
nor ends of streams fall together; when its audio ends it waits for the answer and calls again at once: N streams are
live throughout. Frames are sent at absolute times counted from the stream's start, so that delays do not add up. What
is waited for is worked out by `measures`; the process prints one JSON object: waits, and its own lateness and CPU share.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import uvloop

from asrpool.client import LiveConnection, StreamRequest
from asrpool.errors import AsrpoolError, StreamError
from bench.streams.measures import StreamLog, reply_of, waits
from bench.streams.speech import FRAME_MS, Speech, speech

CHUNK_SIZE = (0, 10, 5)
LATE_SECONDS = 0.02
RETRY_SECONDS = 0.5


@dataclass(frozen=True)
class Plan:
    """One try: who speaks, from when, and the window of monotonic time that counts."""

    url: str
    mode: str
    streams: int
    seconds: float
    begin_at: float
    join_seconds: float
    window: tuple[float, float]
    patience_seconds: float
    limit_seconds: float
    extra_ms: float = 0.0
    seed: int = 1


@dataclass
class Heard:
    """What all devices together found; times in seconds. `late`: frames sent over 20 ms after they were due."""

    lags: list[float]
    tails: list[float]
    unanswered: int
    errors: list[str]
    frames: int
    late: int
    cpu_share: float


async def drive(plan: Plan) -> Heard:
    """Speak until the window is over and its last tails are heard."""
    began, cpu = time.monotonic(), time.process_time()
    devices = [_Device(plan, number) for number in range(plan.streams)]
    await asyncio.gather(*(device.run() for device in devices))
    heard = Heard([], [], 0, [], 0, 0, 0.0)
    for device in devices:
        heard.frames += device.frames
        heard.late += device.late
        for log in device.logs:
            found = waits(log, plan.window, plan.limit_seconds, plan.extra_ms)
            heard.lags += found.lags
            heard.tails += found.tails
            heard.unanswered += found.unanswered
            if log.error:
                heard.errors.append(log.error)
    heard.cpu_share = (time.process_time() - cpu) / (time.monotonic() - began)
    return heard


class _Device:
    """One of the N."""

    def __init__(self, plan: Plan, number: int) -> None:
        self.logs: list[StreamLog] = []
        self.frames = 0
        self.late = 0
        self._plan = plan
        self._random = random.Random(plan.seed * 100_003 + number)
        self._speech = speech(plan.seconds, self._random.getrandbits(32))

    async def run(self) -> None:
        """Call, speak, hang up; again until the window is over."""
        plan = self._plan
        first = self._random.randrange(self._speech.frames)
        await _until(plan.begin_at + self._random.uniform(0, plan.join_seconds))
        while time.monotonic() < plan.window[1]:
            log = StreamLog(plan.mode, 0.0, time.monotonic())
            self.logs.append(log)
            try:
                await self._call(log, first)
            except AsrpoolError as error:
                log.error = str(error)
                await _until(min(plan.window[1], time.monotonic() + RETRY_SECONDS))
            finally:
                log.left_at = time.monotonic()
            first = 0

    async def _call(self, log: StreamLog, first: int) -> None:
        plan = self._plan
        request = StreamRequest(plan.url, plan.mode, chunk_size=CHUNK_SIZE, open_seconds=plan.patience_seconds)
        async with await LiveConnection.open(request) as connection:
            log.spoken_from = time.monotonic()
            log.audio_ms = float((self._speech.frames - first) * FRAME_MS)
            listening = asyncio.create_task(_listen(connection, log))
            speaking = asyncio.create_task(self._speak(connection, log, self._speech, first))
            try:
                # A server that reads no more holds the sender up: the end of the window is the end for both.
                await asyncio.wait(
                    {listening, speaking}, return_when=asyncio.FIRST_EXCEPTION, timeout=self._longest(log)
                )
                for task in (speaking, listening):
                    if task.done():
                        task.result()
            finally:
                await _cancel([listening, speaking])

    def _longest(self, log: StreamLog) -> float:
        """Seconds that this stream may take: to its end and then the answer, or to the end of the window where that is first."""
        plan, ends_at = self._plan, log.spoken_at(log.audio_ms)
        leave_at = ends_at + plan.patience_seconds if ends_at < plan.window[1] else plan.window[1]
        return max(0.0, leave_at - time.monotonic())

    async def _speak(self, connection: LiveConnection, log: StreamLog, audio: Speech, first: int) -> None:
        for sent, number in enumerate(range(first, audio.frames), start=1):
            due = log.spoken_at(sent * FRAME_MS)
            await _until(due)
            self.frames += 1
            self.late += time.monotonic() - due > LATE_SECONDS
            await connection.send(audio.frame(number))
        log.ended_at = log.spoken_at(log.audio_ms)
        await connection.finish()


async def _listen(connection: LiveConnection, log: StreamLog) -> None:
    async for heard in connection.heard():
        at = time.monotonic()
        if heard.end:
            log.answered_at = at
            return
        log.replies.append(reply_of(heard.message, at, heard.final))
    raise StreamError("the server closed the stream before it had answered its end", lost=True)


async def _cancel(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError, AsrpoolError):
            await task


async def _until(at: float) -> None:
    delay = at - time.monotonic()
    if delay > 0:
        await asyncio.sleep(delay)


def main(arguments: Sequence[str]) -> None:
    """The process: the plan as JSON in, what was heard as JSON out."""
    given = json.loads(arguments[0])
    plan = Plan(**{**given, "window": tuple(given["window"])})
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(asdict(runner.run(drive(plan)))))


if __name__ == "__main__":
    main(sys.argv[1:])
