"""uvicorn's HTTP protocol with a limit on how long a request may take to arrive.

uvicorn waits for ever for the rest of a request line, of headers or of a body. Every connection, upgraded later or not,
begins here, so one that opens sockets and says nothing would hold their file descriptors until live streams find none.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class PromptRequests(HttpToolsProtocol):
    """One client's HTTP connection; cut off when a request is not whole within `request_seconds` of its first byte.

    The first one's time runs from the connection on. Between requests uvicorn's own keep-alive limit holds.
    """

    request_seconds = 10.0
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own class
        """The time runs."""
        super().connection_made(transport)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        """A byte after a finished exchange, be it only a line feed, is the next request's first."""
        if self._late is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_request()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A request's first byte, be it one that came on the heels of another."""
        if self._late is None:
            self._expect_request()
        super().on_message_begin()

    def on_message_complete(self) -> None:
        """The request is whole; an upgrade ends here too."""
        self._forget_time()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more to expect."""
        self._forget_time()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        self._late = self.loop.call_later(self.request_seconds, self.transport.abort)

    def _forget_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None
