"""One client of a FunASR WebSocket server: FunASR's protocol as plain calls and typed events."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.uri import parse_uri

from asrpool.errors import RefusedError, StreamError, UsageError

POD_HEADER = "X-Asrpool-Pod"
SESSION_HEADER = "X-Asrpool-Session"
DEVICE_HEADER = "Device-Id"
MODES = ("2pass", "online", "offline")


@dataclass(frozen=True)
class StreamRequest:
    """What to ask of the server. What is None is not asked: without a `mode` the server takes its best, 2pass or what its models
    allow. `punctuation` and `speakers` are asked for in words that asrpool's workers understand; FunASR's own servers ignore them.
    `open_seconds` must leave the gateway its time to hold a newcomer while a pod starts.
    """

    url: str
    mode: str | None = None
    device_id: str | None = None
    wav_name: str = "stream"
    sample_rate_hz: int = 16_000
    chunk_size: tuple[int, int, int] = (5, 10, 5)
    hotwords: str = ""
    language: str | None = None
    itn: bool | None = None
    punctuation: bool | None = None
    speakers: bool | None = None
    open_seconds: float = 120.0
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Heard:
    """One message of the server: a piece of text, and whether it is final, or the answer to an end."""

    text: str
    final: bool
    end: bool
    message: dict[str, Any]

    @property
    def ends_online(self) -> bool:
        """The end of an utterance in mode online: no final came, what its partials add up to is the text."""
        return self.end and self.message.get("mode") == "online"

    @property
    def begin_ms(self) -> float:
        """Where a final's utterance begins in the stream. FunASR's own servers do not tell: there its first word must do."""
        sentences = self.message.get("stamp_sents") or []
        return float(self.message.get("start", sentences[0]["start"] if sentences else 0.0))

    @property
    def token_ends_ms(self) -> list[float]:
        """Where each token of a final ends in the stream; empty where the model has no times."""
        return [float(stamp[1]) for stamp in json.loads(self.message.get("timestamp") or "[]")]


class LiveConnection:
    """An open stream. Leaving the `async with` closes the socket."""

    def __init__(self, socket: ClientConnection, request: StreamRequest) -> None:
        self._socket = socket
        self._request = request
        headers = socket.response.headers if socket.response else {}
        self.pod: str | None = headers.get(POD_HEADER)
        self.session_id: str | None = headers.get(SESSION_HEADER)

    @classmethod
    async def open(cls, request: StreamRequest) -> LiveConnection:
        """Connect and send the first message. Raises `RefusedError`, `StreamError`, or `UsageError` for a URL that is none."""
        _check_url(request.url)
        headers = list(request.headers)
        if request.device_id:
            headers.append((DEVICE_HEADER, request.device_id))
        try:
            socket = await connect(
                request.url,
                additional_headers=headers,
                open_timeout=request.open_seconds,
                close_timeout=5,
                # A server under load may be slow to answer pings; whether the stream lives is judged by its answers.
                ping_timeout=None,
                compression=None,
                max_size=4 << 20,
            )
        except InvalidStatus as error:
            raise _refused(error) from error
        except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed, EOFError) as error:
            raise StreamError(
                f"cannot connect to {request.url}: {error or type(error).__name__}", lost=False
            ) from error
        self = cls(socket, request)
        wishes = {
            "mode": request.mode or None,
            "svs_lang": request.language,
            "itn": request.itn,
            "svs_itn": request.itn,
            "punc": request.punctuation,
            "speaker": request.speakers,
        }
        await self._say(
            **{key: wish for key, wish in wishes.items() if wish is not None},
            chunk_size=list(request.chunk_size),
            chunk_interval=10,
            encoder_chunk_look_back=4,
            decoder_chunk_look_back=1,
            wav_name=request.wav_name,
            wav_format="pcm",
            audio_fs=request.sample_rate_hz,
            hotwords=request.hotwords,
            is_speaking=True,
        )
        return self

    async def send(self, audio: bytes) -> None:
        """One frame of samples. Raises `StreamError` when the stream was cut."""
        with _loss():
            await self._socket.send(audio)

    async def finish(self) -> None:
        """No more audio in this utterance; the server answers with what is left, then with `end`."""
        await self._say(is_speaking=False, is_end=True)

    async def heard(self) -> AsyncIterator[Heard]:
        """The server's messages, until it closes. Raises `StreamError` on an error message or when the stream was cut."""
        with _loss():
            async for raw in self._socket:
                message = _parse(raw)
                if "error" in message:
                    raise StreamError(f"the server ended the stream: {message['error']}", lost=True)
                yield Heard(
                    str(message.get("text", "")), bool(message.get("is_final")), bool(message.get("is_end")), message
                )

    async def close(self) -> None:
        """Close the socket."""
        await self._socket.close()

    async def __aenter__(self) -> LiveConnection:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _say(self, **message: object) -> None:
        with _loss():
            await self._socket.send(json.dumps(message, ensure_ascii=False))


def _check_url(url: str) -> None:
    try:
        parse_uri(url)
    except (InvalidURI, ValueError) as error:  # the latter for a port that is none
        raise UsageError(f"--url {url}: {error}") from error


@contextlib.contextmanager
def _loss() -> Any:  # noqa: ANN401 - contextlib's own type is Iterator[None], which mypy infers
    try:
        yield
    except ConnectionClosed as error:
        raise StreamError(f"the stream was cut: {error}", lost=True) from error


def _parse(raw: str | bytes) -> dict[str, Any]:
    try:
        message = json.loads(raw)
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise StreamError("the server sent what is no JSON object; is this a FunASR server?", lost=True)
    return message


def _refused(error: InvalidStatus) -> RefusedError:
    response = error.response
    retry_after = response.headers.get("Retry-After", "")
    return RefusedError(
        response.status_code,
        _reason(response.body or b"") or response.reason_phrase,
        float(retry_after) if retry_after.isdecimal() else None,
        response.headers.get(POD_HEADER),
    )


def _reason(body: bytes | bytearray) -> str:
    """Our workers say why in JSON; other servers do not."""
    try:
        return str(json.loads(body)["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return ""
