"""Small stand-ins for what a gateway talks to: workers, and the cluster's DNS.

They speak the real wire formats (HTTP/1.1 upgrade, agent-check line, DNS) on loopback addresses, so that
the tests run the real HAProxy with the configuration that the operator renders.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import os
import socket
import struct
from dataclasses import dataclass, field
from typing import cast

WS_PORT = 10095
NETWORK = f"127.{64 + os.getpid() % 128}.{os.getpid() // 128 % 256}"
"""Loopback addresses of this test run's own: the workers' ports are fixed, and another run may be on the same machine."""
AGENT_PORT = 10097

SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: %s\r\nX-Asrpool-Pod: %s\r\n\r\n"
)
REFUSED = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\nX-Asrpool-Pod: %s\r\n\r\n"
ANSWER = b"HTTP/1.1 %d OK\r\nContent-Length: %d\r\nX-Asrpool-Pod: %s\r\n\r\n%s"


def address(number: int) -> str:
    """Where `worker-<number>` lives."""
    return f"{NETWORK}.{number}"


@dataclass(frozen=True)
class Request:
    """What a worker was asked: method, target and headers (names in lower case)."""

    method: str
    target: str
    headers: dict[str, str]

    @classmethod
    def parse(cls, head: bytes) -> Request:
        """Read a request head that ends in an empty line."""
        first, *rest = head.decode("latin-1").rstrip().split("\r\n")
        method, target, _ = first.split(" ")
        pairs = (line.split(":", 1) for line in rest)
        return cls(method, target, {name.strip().lower(): value.strip() for name, value in pairs})


@dataclass
class FakeWorker:
    """One worker pod on an address of its own: echoes every stream, and refuses by the same rule as the real one."""

    ip: str
    name: str
    capacity: int = 4
    ready: bool = True
    draining: bool = False
    refuse_upgrades: bool = False
    active: int = 0
    most_active: int = 0
    upgrades: int = 0
    refusals: int = 0
    requests: list[Request] = field(default_factory=list)
    known: set[str] = field(default_factory=set)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _streams: set[asyncio.StreamWriter] = field(default_factory=set)

    async def start(self) -> None:
        """Listen on both ports."""
        self._servers = [
            await asyncio.start_server(self._serve_http, self.ip, WS_PORT),
            await asyncio.start_server(self._serve_agent, self.ip, AGENT_PORT),
        ]

    async def stop(self) -> None:
        """End as a killed process does: both ports closed, every stream reset."""
        for server in self._servers:
            server.close()
        for writer in list(self._streams):
            sock: socket.socket = writer.get_extra_info("socket")
            with contextlib.suppress(OSError):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
        self._servers = []

    async def end_one(self) -> None:
        """End one stream from the worker's side."""
        self._streams.pop().close()

    async def _serve_agent(self, _reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"drain\n" if self.draining else b"ready up maxconn:%d\n" % self.capacity)
        writer.close()

    async def _serve_http(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            request = Request.parse(await reader.readuntil(b"\r\n\r\n"))
            if request.target == "/readyz":
                writer.write(ANSWER % (200 if self.ready else 503, 0, self.name.encode(), b""))
            elif request.headers.get("upgrade") == "websocket":
                await self._serve_stream(request, reader, writer)
            else:
                self.requests.append(request)
                writer.write(ANSWER % (200, 2, self.name.encode(), b"ok"))
            await writer.drain()
        writer.close()

    async def _serve_stream(self, request: Request, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(request)
        session = request.headers.get("x-asrpool-session", "")
        newcomer_refused = self.draining and session not in self.known
        if not self.ready or self.refuse_upgrades or self.active >= self.capacity or newcomer_refused:
            self.refusals += 1
            writer.write(REFUSED % self.name.encode())
            return
        self.upgrades += 1
        self.active += 1
        self.most_active = max(self.most_active, self.active)
        self.known.add(session)
        self._streams.add(writer)
        try:
            writer.write(SWITCHING % (_accept(request.headers["sec-websocket-key"]), self.name.encode()))
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        finally:
            self.active -= 1
            self._streams.discard(writer)


class FakeDns:
    """Answers SRV queries for the workers' Service, and A queries for its targets, as CoreDNS does, over UDP."""

    def __init__(self, service: str) -> None:
        self.service = service
        self.workers: dict[str, str] = {}
        """Target label → address; change it at will."""
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> None:
        """Listen on a free port."""
        answer = self.answer

        class Datagrams(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast(asyncio.DatagramTransport, transport)

            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                self.transport.sendto(answer(data), addr)

        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            Datagrams, local_addr=("127.0.0.1", 0)
        )
        self.port = self._transport.get_extra_info("sockname")[1]

    async def stop(self) -> None:
        """Stop answering."""
        if self._transport is not None:
            self._transport.close()

    def answer(self, query: bytes) -> bytes:
        """The reply to one query message (RFC 1035, RFC 2782)."""
        identifier = query[:2]
        labels, offset = [], 12
        while length := query[offset]:
            labels.append(query[offset + 1 : offset + 1 + length].decode().lower())
            offset += 1 + length
        (kind,) = struct.unpack("!H", query[offset + 1 : offset + 3])
        question = query[12 : offset + 5]
        name = ".".join(labels)
        answers, additional = [], []
        for label, address in self.workers.items():
            target = f"{label}.{self.service.split('.', 2)[2]}"
            record = _record(target, 1, socket.inet_aton(address))
            if kind == 33 and name == self.service:
                data = struct.pack("!HHH", 0, 50, WS_PORT) + _name(target)
                answers.append(_record(name, 33, data))
                additional.append(record)
            elif kind == 1 and name == target:
                answers.append(record)
        code = 0 if answers or kind != 33 else 3
        header = identifier + struct.pack("!HHHHH", 0x8580 | code, 1, len(answers), 0, len(additional))
        return header + question + b"".join(answers) + b"".join(additional)


def _accept(key: str) -> bytes:
    """The proof that the upgrade was understood (RFC 6455); HAProxy checks it."""
    digest = hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11", usedforsecurity=False).digest()
    return base64.b64encode(digest)


def _name(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _record(name: str, kind: int, data: bytes, ttl_seconds: int = 1) -> bytes:
    return _name(name) + struct.pack("!HHIH", kind, 1, ttl_seconds, len(data)) + data
