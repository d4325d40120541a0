"""One live stream: carries messages between a socket, a protocol and the engine, and decides nothing itself.

Reading, the engine's events and time each call the session; the commands that come back are done at once, in order, on
the event loop. Only sending can wait, so replies go through a bounded outbox with a task of its own: a client that never
reads costs at most that outbox, and then its session.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import ParamSpec

from fastapi import WebSocket, WebSocketDisconnect

from asrpool_worker.engine.messages import Ended, Engine, Event, Failed, Mode, Stream, StreamOptions
from asrpool_worker.errors import OptionError, ServerError
from asrpool_worker.server.worker import Worker
from asrpool_worker.session.commands import Close, Command, Feed, Finish, Open, Reply
from asrpool_worker.session.errors import CLOSE_POLICY, CLOSE_SERVER_ERROR
from asrpool_worker.session.funasr import FunasrSession

log = logging.getLogger(__name__)

Asked = ParamSpec("Asked")

_BACKLOG_LOOK_SECONDS = 0.05
_MAX_REASON_BYTES = 120  # a close frame carries 123 bytes after its code


class LiveStream:
    """The shell around one `FunasrSession`. `run` returns how the session ended, as the label of `asrpool_sessions_total`."""

    def __init__(self, socket: WebSocket, worker: Worker, engine: Engine, session_id: str) -> None:
        self._socket = socket
        self._worker = worker
        self._engine = engine
        self._id = session_id
        self._loop = asyncio.get_running_loop()
        # asyncio's and uvloop's clock is the monotonic clock that the engine counts latencies by.
        self._session = FunasrSession(worker.limits, self._loop.time())
        self._stream: Stream | None = None
        self._outbox: asyncio.Queue[Reply | Close] = asyncio.Queue()
        self._timer: asyncio.TimerHandle | None = None
        self._result: str | None = None
        self._said_what_has_no_effect = False

    async def run(self) -> str:
        """Serve the stream until its socket is closed."""
        writer = asyncio.create_task(self._write())
        reader = asyncio.create_task(self._read())
        self._arm()
        try:
            await asyncio.wait((writer, reader), return_when=asyncio.FIRST_COMPLETED)
            for task in (writer, reader):
                if task.done():
                    task.result()
        finally:
            if self._timer is not None:
                self._timer.cancel()
            self._drop_engine_stream()
            for task in (writer, reader):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        return self._result or ("ok" if self._session.at_rest else "client_gone")

    def end(self, message: str, code: int, result: str) -> None:
        """The server has to end this stream (its process does); the client is told why."""
        self._do(self._session.fail(message, code, result))

    async def _read(self) -> None:
        """Until the client is gone: read, unless it is too far ahead."""
        while True:
            await self._until_input_is_wanted()
            message = await self._socket.receive()
            now = self._loop.time()
            if message["type"] == "websocket.disconnect":
                return
            text = message.get("text")
            if text is not None:
                self._act(self._session.text, text, now)
            else:
                self._act(self._session.binary, message["bytes"], now, message["arrived"])

    async def _until_input_is_wanted(self) -> None:
        if self._too_far_ahead():
            self._session.input_paused()
            # The engine's progress has no event to wait for: it would be one more post to this loop for every step.
            while self._too_far_ahead():  # noqa: ASYNC110
                await asyncio.sleep(_BACKLOG_LOOK_SECONDS)
            self._session.input_resumed(self._loop.time())
            self._arm()

    def _too_far_ahead(self) -> bool:
        stream = self._stream
        if not self._session.wants_input:
            return True
        return stream is not None and stream.backlog_seconds > self._worker.bounds.max_backlog_seconds

    async def _write(self) -> None:
        """Until a `Close` was sent or the client would not read."""
        try:
            while True:
                item = await self._outbox.get()
                async with asyncio.timeout(self._worker.bounds.write_seconds):
                    if isinstance(item, Close):
                        await self._socket.close(item.code, _shortened(item.reason))
                        return
                    await self._socket.send_text(json.dumps(item.message, ensure_ascii=False))
        except TimeoutError:
            self._abort("the client did not read its replies in time")
        except (WebSocketDisconnect, RuntimeError) as error:
            # uvicorn's two ways to say that the peer went, or was cut off for a broken frame, before this was sent.
            log.debug("client gone while sending: %s", error, extra={"session": self._id})

    def _on_event(self, event: Event) -> None:
        """The engine's sink, on the engine's thread."""
        self._loop.call_soon_threadsafe(self._hear, event, time.monotonic())

    def _hear(self, event: Event, posted: float) -> None:
        if isinstance(event, Ended | Failed):
            self._stream = None
        now = self._loop.time()
        # Not the loop's clock: uvloop's stands still while a callback runs, and a busy loop is what is measured here.
        self._worker.observe(event, time.monotonic() - posted, now)
        self._act(self._session.event, event, now)

    def _act(self, ask: Callable[Asked, Sequence[Command]], *given: Asked.args, **named: Asked.kwargs) -> None:
        """Do what the session answers. A defect, ours or the engine's, ends this stream only, and its client is told."""
        try:
            self._do(ask(*given, **named))
        except Exception:
            log.exception("a defect ended a stream", extra={"session": self._id})
            self.end("the worker failed on this stream; its log says why", CLOSE_SERVER_ERROR, "server_error")

    def _do(self, commands: Sequence[Command]) -> None:
        for command in commands:
            match command:
                case Open(options):
                    self._say_what_has_no_effect(options)
                    try:
                        self._stream = self._engine.open(self._id, options, self._on_event)
                    except OptionError as error:
                        self._do(self._session.refuse(str(error)))
                        return
                    except ServerError as error:
                        log.error("the engine opened no stream: %s", error, extra={"session": self._id})
                        self.end(str(error), CLOSE_SERVER_ERROR, "server_error")
                        return
                case Feed(samples, arrived):
                    if self._stream is not None:
                        self._stream.feed(samples, arrived)
                case Finish():
                    if self._stream is not None:
                        self._stream.finish()
                case Reply() | Close():
                    self._post(command)
        self._arm()

    def _say_what_has_no_effect(self, options: StreamOptions) -> None:
        """Once a session. Figures for numbers are asked for by default, so asking for them says nothing."""
        if options.mode is not Mode.ONLINE or self._said_what_has_no_effect:
            return
        asked = {
            "hotwords": bool(options.hotwords),
            "language": options.language != StreamOptions.language,
            "punctuation": options.punctuation,
            "speakers": options.speakers,
        }
        names = ", ".join(name for name, given in asked.items() if given)
        if names:
            log.info("asked for, but mode online has no finals to show it: %s", names, extra={"session": self._id})
            self._said_what_has_no_effect = True

    def _post(self, item: Reply | Close) -> None:
        if isinstance(item, Close):
            self._result = item.result
            self._drop_engine_stream()
            log.info("session closed: %s", item.reason, extra={"session": self._id, "result": item.result})
        elif self._outbox.qsize() >= self._worker.bounds.max_outbox_messages:
            self._abort("the client left too many replies unread")
            return
        self._outbox.put_nowait(item)

    def _abort(self, why: str) -> None:
        self._result = "slow_reader"
        log.info("connection aborted: %s", why, extra={"session": self._id, "result": self._result})
        self._session.fail(why, CLOSE_POLICY, self._result)  # nothing more comes of it; its words would not be read
        self._drop_engine_stream()
        self._socket.scope["state"]["abort"]()

    def _drop_engine_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _arm(self) -> None:
        """Have the session's deadline looked at when it comes. One that moved on since only costs an early look."""
        deadline = self._session.deadline
        if self._timer is not None and self._timer.when() <= deadline:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if deadline < math.inf:
            self._timer = self._loop.call_at(deadline, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._act(self._session.tick, self._loop.time())


def _shortened(reason: str) -> str:
    return reason.encode()[:_MAX_REASON_BYTES].decode(errors="ignore")
