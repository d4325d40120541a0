"""One device that talks for as long as it is wanted: connects, plays clips in real time with pauses, ends politely.

A stream that ends by itself is never cut: it plays its clip to the end, says so, and waits for the last final.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from asrpool.audio import Pcm
from asrpool.client import Heard, LiveConnection, StreamRequest
from asrpool.errors import RefusedError, StreamError
from asrpool.latency import HeardPartial, SentClock, partial_latencies
from asrpool.report import StreamReport

_RETRY_SECONDS = 1.0
_LONGEST_RETRY_SECONDS = 30.0


@dataclass(frozen=True)
class Clip:
    """A recording and what is said in it ("" where that is not known)."""

    name: str
    pcm: Pcm
    text: str


@dataclass(frozen=True)
class Habits:
    """How a device behaves. `session_seconds`: after so long it hangs up at the end of a clip and calls again."""

    pause_seconds: float = 1.0
    frame_ms: float = 60.0
    session_seconds: float | None = None
    redial_seconds: float = 1.0
    end_each_clip: bool = False
    finish_seconds: float = 30.0


class Stage(StrEnum):
    """Where a device stands."""

    DIALLING = "dialling"
    LIVE = "live"
    ENDING = "ending"
    OVER = "over"


class LiveStream:
    """One device. `run` until `stop`; the report fills while it runs."""

    def __init__(
        self,
        request: StreamRequest,
        clips: Sequence[Clip],
        habits: Habits,
        seed: int,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.report = StreamReport(request.device_id or "")
        self.stage = Stage.DIALLING
        self._request = replace(request, sample_rate_hz=clips[0].pcm.sample_rate_hz)
        self._clips = clips
        self._habits = habits
        self._random = random.Random(seed)  # noqa: S311 - which clip comes next is no secret
        self._stopping = asyncio.Event()
        self._on_change = on_change

    @property
    def wanted(self) -> bool:
        """False once it was told to stop."""
        return not self._stopping.is_set()

    def stop(self) -> None:
        """End after the present clip; a device that still waits for its connection hangs up at once."""
        self._stopping.set()

    async def run(self) -> StreamReport:
        """Call, talk, call again, until told to stop."""
        while self.wanted:
            connection = await self._dial()
            if connection is None:
                continue
            async with connection:
                try:
                    await self._talk(connection)
                except StreamError as error:
                    self.report.lost += 1
                    self.report.errors.append(str(error))
            if self.wanted:
                self._enter(Stage.DIALLING)
                await self._wait(self._habits.redial_seconds)
        self._enter(Stage.OVER)
        return self.report

    async def _dial(self) -> LiveConnection | None:
        """An open stream; None after a refusal (its wait included) or when told to stop meanwhile."""
        began = time.monotonic()
        opening = asyncio.create_task(LiveConnection.open(self._request))
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait((opening, stopping), return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not opening.done():
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            return None
        try:
            connection = opening.result()
        except RefusedError as error:
            self.report.refused += 1
            self.report.errors.append(str(error))
            await self._wait(min(error.retry_after_seconds or _RETRY_SECONDS, _LONGEST_RETRY_SECONDS))
            return None
        except StreamError as error:
            self.report.unreachable += 1
            self.report.errors.append(str(error))
            await self._wait(_RETRY_SECONDS)
            return None
        self.report.sessions += 1
        self.report.opened_seconds.append(time.monotonic() - began)
        self.report.answered_by(connection.pod)
        return connection

    async def _talk(self, connection: LiveConnection) -> None:
        """One session. Raises `StreamError` when it was cut or its end was not answered."""
        self._enter(Stage.LIVE)
        call = _Call(connection, self._request, self._habits, self.report)
        listening = asyncio.create_task(call.listen())
        talking = asyncio.create_task(self._play(call))
        try:
            await asyncio.wait((listening, talking), return_when=asyncio.FIRST_COMPLETED)
            for task in (talking, listening):
                if task.done():
                    task.result()
            if not talking.done():
                raise StreamError("the server closed the stream while it was being spoken to", lost=True)
        finally:
            for task in (listening, talking):
                task.cancel()
            await asyncio.gather(listening, talking, return_exceptions=True)
        call.keep()

    async def _play(self, call: _Call) -> None:
        began = time.monotonic()
        while True:
            clip = self._random.choice(self._clips)
            await call.play(clip)
            last = not self.wanted or _over(began, self._habits.session_seconds)
            if last:
                self._enter(Stage.ENDING)
            if last or self._habits.end_each_clip:
                await call.finish()
            if last:
                return
            await call.pause(self._stopping)

    async def _wait(self, seconds: float) -> None:
        """A little more or less than asked for, so that many devices do not come back in step."""
        try:
            async with asyncio.timeout(seconds * self._random.uniform(0.9, 1.2)):
                await self._stopping.wait()
        except TimeoutError:
            return

    def _enter(self, stage: Stage) -> None:
        if self.stage is not stage:
            self.stage = stage
            self._on_change()


class _Call:
    """One session's audio out and text in, with the times of both."""

    def __init__(
        self, connection: LiveConnection, request: StreamRequest, habits: Habits, report: StreamReport
    ) -> None:
        self._connection = connection
        self._request = request
        self._habits = habits
        self._report = report
        self._clock = SentClock()
        self._due = time.monotonic()
        self._partials: list[HeardPartial] = []
        self._characters = 0
        self._running = ""
        self._said = ""
        self._recognised = ""
        self._finished_at: float | None = None
        self._final_at: float | None = None
        self._answered = asyncio.Event()

    async def play(self, clip: Clip) -> None:
        """Send a clip in real time."""
        self._said += clip.text
        size = clip.pcm.frame_bytes(self._habits.frame_ms)
        for start in range(0, len(clip.pcm.data), size):
            await self._send(clip.pcm.data[start : start + size], clip.pcm.sample_rate_hz)

    async def pause(self, stopping: asyncio.Event) -> None:
        """Send silence in real time; less of it when the stream is to end."""
        rate = self._request.sample_rate_hz
        frames = round(self._habits.pause_seconds * 1000 / self._habits.frame_ms)
        silence = bytes(2 * round(rate * self._habits.frame_ms / 1000))
        for _ in range(frames):
            if stopping.is_set():
                return
            await self._send(silence, rate)

    async def finish(self) -> None:
        """End the utterance and wait for its answer. Raises `StreamError` when none comes."""
        self._answered.clear()
        self._finished_at, self._final_at = time.monotonic(), None
        await self._connection.finish()
        try:
            async with asyncio.timeout(self._habits.finish_seconds):
                await self._answered.wait()
        except TimeoutError:
            raise StreamError(
                f"no answer to the end of the stream within {self._habits.finish_seconds:g} s", lost=True
            ) from None
        self._due = time.monotonic()

    async def listen(self) -> None:
        """Take in what the server says, until it closes."""
        async for heard in self._connection.heard():
            now = time.monotonic()
            if heard.end:
                self._end(heard, now)
            elif heard.final:
                self._final(heard, now)
            else:
                self._running += heard.text
                self._characters += len(heard.text)
                self._partials.append(HeardPartial(now, self._characters))

    def keep(self) -> None:
        """The session went to its end: its texts count."""
        self._report.said.append(self._said)
        self._report.recognised.append(self._recognised)

    async def _send(self, frame: bytes, rate: int) -> None:
        await self._connection.send(frame)
        milliseconds = len(frame) / (2 * rate) * 1000
        now = time.monotonic()
        self._clock.sent(milliseconds, now)
        self._report.audio_seconds += milliseconds / 1000
        self._due = max(self._due + milliseconds / 1000, now - 1.0)
        await asyncio.sleep(max(0.0, self._due - now))

    def _final(self, heard: Heard, now: float) -> None:
        self._recognised += heard.text
        self._final_at = now
        self._judge_partials(heard.begin_ms, heard.token_ends_ms)

    def _end(self, heard: Heard, now: float) -> None:
        if self._finished_at is not None:
            self._report.final_seconds.append((self._final_at or now) - self._finished_at)
        if heard.ends_online:
            self._recognised += self._running
        self._judge_partials(0.0, ())
        self._clock = SentClock()
        self._answered.set()

    def _judge_partials(self, begin_ms: float, ends_ms: Sequence[float]) -> None:
        self._report.partial_seconds += partial_latencies(
            self._partials, self._clock, self._request.chunk_size, begin_ms, ends_ms
        )
        self._partials.clear()
        self._characters = 0
        self._running = ""


def _over(began: float, seconds: float | None) -> bool:
    return seconds is not None and time.monotonic() - began >= seconds
