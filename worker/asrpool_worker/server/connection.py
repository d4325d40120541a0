"""uvicorn's WebSocket protocol with the three things a server of untrusted live streams needs beside it.

* `abort`: ASGI can only close politely, which never ends while a peer does not read. The transport's `abort` is put into
  the connection's scope (`scope["state"]["abort"]`).
* A peer that sends pings without reading the pongs, or one message in endless tiny fragments, is cut off: uvicorn would
  go on buffering for it.
* Keep-alive pings go out, but no pong is waited for: while a fast client is made to wait, its pong stands behind its own
  audio. A dead peer is found by the session's idle limit and by TCP.
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

MAX_FRAGMENTS = 4_096
WRITE_BUFFER_BYTES = 64 * 1024
PING_SECONDS = 20.0


class StreamConnection(WebSocketsSansIOProtocol):
    """One client's WebSocket."""

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 - asyncio and uvloop have no common class for it
        """Bound what may wait for a peer that reads slowly."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)

    def handle_connect(self, event: Any) -> None:  # noqa: ANN401 - websockets' Request, private to uvicorn's parent class
        """Hand `abort` to the application with the scope (uvicorn copies `app_state` into it)."""
        self.app_state = {**self.app_state, "abort": self.transport.abort}
        super().handle_connect(event)

    async def send(self, message: Any) -> None:  # noqa: ANN401 - ASGI's messages are dictionaries
        """Note that a denial completes the handshake: uvicorn forgets, and calls each one an error in its log."""
        await super().send(message)
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
