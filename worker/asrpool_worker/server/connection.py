"""uvicorn's WebSocket protocol with the five things a server of untrusted live streams needs beside it.

* `abort`: ASGI can only close politely, which never ends while a peer does not read. The transport's `abort` is put into
  the connection's scope (`scope["state"]["abort"]`).
* A peer that sends pings without reading the pongs, or one message in endless tiny fragments, is cut off: uvicorn would
  go on buffering for it.
* Frames that carry next to nothing (pings, pongs, empty messages) cost the event loop as much as a second of speech does, and
  a peer can put 40 000 of them into one read. What came in is parsed in slices, and a connection whose small frames have
  used up their budget is not read until it has grown again: its own audio waits, nobody else's.
* Each message carries the time it came in (`message["arrived"]`): what it waits for its turn here is latency, too.
* Keep-alive pings go out, but no pong is waited for: while a fast client is made to wait, its pong stands behind its own
  audio. A dead peer is found by the session's idle limit and by TCP.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

MAX_FRAGMENTS = 1_024
WRITE_BUFFER_BYTES = 64 * 1024
PING_SECONDS = 20.0
SMALL_FRAME_BYTES = 320  # 10 ms of speech at 16 kHz: in real time 100 such frames come in a second
SMALL_FRAME_BURST = 1_000
SMALL_FRAMES_PER_SECOND = 300.0
SLICE_BYTES = 2_048
LINGER_SECONDS = 0.5


class FrameBudget:
    """A token bucket over small frames. It may be overdrawn by one slice's worth; `wait_seconds` is then above 0."""

    def __init__(self, now: float) -> None:
        self._left = float(SMALL_FRAME_BURST)
        self._at = now

    def spend(self, frames: int, now: float) -> None:
        """So many small frames came."""
        grown = self._left + (now - self._at) * SMALL_FRAMES_PER_SECOND
        self._left, self._at = min(float(SMALL_FRAME_BURST), grown) - frames, now

    @property
    def wait_seconds(self) -> float:
        """How long nothing more should be read; 0 while there is budget."""
        return max(0.0, -self._left / SMALL_FRAMES_PER_SECOND)


class StreamConnection(WebSocketsSansIOProtocol):
    """One client's WebSocket."""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio and uvloop have no common class for it
        """Bound what may wait for a peer that reads slowly."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self._budget = FrameBudget(self.loop.time())
        self._unread = bytearray()
        self._read_at = self.loop.time()
        self._arrivals: deque[float] = deque()
        self._resting: asyncio.TimerHandle | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """The peer is gone, and so is the reason to wait."""
        if self._resting is not None:
            self._resting.cancel()
        self._unread.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, as far as the budget goes."""
        self._unread += data
        self._read_at = self.loop.time()
        if self._resting is None:
            self._read_on()
        else:
            self.transport.pause_reading()  # uvicorn reads on when it has sent a close

    async def receive(self) -> Any:  # noqa: ANN401 - ASGI's messages are dictionaries
        """The application's next message, with its time. uvicorn reads on once it has taken the last one, unless the budget forbids it."""
        message: Any = await super().receive()
        if message["type"] == "websocket.receive":
            message["arrived"] = self._arrivals.popleft()
        if self._resting is not None and not self.transport.is_closing():
            self.transport.pause_reading()
        return message

    def send_receive_event_to_app(self) -> None:
        """A message is whole."""
        waiting = self.queue.qsize()
        super().send_receive_event_to_app()
        if self.queue.qsize() > waiting:
            self._arrivals.append(self._read_at)

    def handle_events(self) -> None:
        """Count the small frames that were just parsed, of whatever kind."""
        small = sum(isinstance(event, Frame) and len(event.data) <= SMALL_FRAME_BYTES for event in self.conn.events)
        if small:
            self._budget.spend(small, self.loop.time())
        super().handle_events()

    def handle_connect(self, event: Any) -> None:  # noqa: ANN401 - websockets' Request, private to uvicorn's parent class
        """Hand `abort` to the application with the scope (uvicorn copies `app_state` into it)."""
        self.app_state = {**self.app_state, "abort": self.transport.abort}
        super().handle_connect(event)

    async def send(self, message: Any) -> None:  # noqa: ANN401 - ASGI's messages are dictionaries
        """Note that a denial completes the handshake: uvicorn forgets, and calls each one an error in its log."""
        await super().send(message)
        if message["type"] == "websocket.close" and self._resting is not None:
            self._resting.cancel()
            self._rest()
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True

    def handle_ping(self) -> None:
        """Answer, unless earlier answers still wait to be read."""
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.transport.abort()

    def handle_cont(self, event: Frame) -> None:
        """Take one fragment of a message."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self.transport.abort()
            return
        super().handle_cont(event)

    def _rest(self) -> None:
        """Read nothing until there is budget; a flood after our close frame is not read to find the peer's in it."""
        if not self.transport.is_closing():
            self.transport.pause_reading()
        if self.close_sent:
            self._resting = self.loop.call_later(LINGER_SECONDS, self.transport.close)
        else:
            self._resting = self.loop.call_later(self._budget.wait_seconds, self._read_on)

    def _read_on(self) -> None:
        rested, self._resting = self._resting is not None, None
        while self._unread and not self.transport.is_closing():
            piece = bytes(self._unread[:SLICE_BYTES])
            del self._unread[:SLICE_BYTES]
            super().data_received(piece)
            if self._budget.wait_seconds > 0 and not self.transport.is_closing():
                self._rest()
                return
        if rested and not self.read_paused and not self.transport.is_closing():
            self.transport.resume_reading()
