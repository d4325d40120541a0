"""What a client can do wrong on a stream, with the WebSocket close code that says so (RFC 6455, section 7.4.1)."""

from __future__ import annotations

from asrpool_worker.errors import ClientError

CLOSE_INVALID_DATA = 1007
CLOSE_POLICY = 1008
CLOSE_TOO_BIG = 1009
CLOSE_SERVER_ERROR = 1011
CLOSE_RESTART = 1012


class ProtocolError(ClientError):
    """The client's message cannot be used. The text tells the client's author what was wrong and what is allowed."""

    def __init__(self, message: str, close_code: int = CLOSE_INVALID_DATA) -> None:
        super().__init__(message)
        self.close_code = close_code
