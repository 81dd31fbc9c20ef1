"""Small web servers on this machine's end of a lab's private network, and clients that count what fails."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import suppress
from dataclasses import dataclass, field

from bayplan.routing import Server

PROXY_V2 = b"\r\n\r\n\x00\r\nQUIT\n"  # PROXY protocol, 2.2: the signature of version 2


@dataclass
class Web:
    """One server: it answers a request with its port and what it was sent. `hold` keeps answers back while it is unset."""

    address: str
    port: int
    proxied: bool = False
    hold: asyncio.Event = field(default_factory=asyncio.Event)
    holding: asyncio.Event = field(default_factory=asyncio.Event)
    served: int = 0
    _server: asyncio.Server | None = None

    @classmethod
    async def start(cls, address: str, port: int, *, proxied: bool = False) -> Web:
        web = cls(address, port, proxied)
        web.hold.set()
        web._server = await asyncio.start_server(web._serve, address, port)
        return web

    @property
    def endpoint(self) -> Server:
        return Server(f"site-web-{self.port}-r1.h1", self.address, self.port)

    def close(self) -> None:
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            source = await _source(reader) if self.proxied else ""
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                await self._answer(head, source, writer)
        writer.close()

    async def _answer(self, head: str, source: str, writer: asyncio.StreamWriter) -> None:
        request, *lines = head.split("\r\n")
        if "/probe" not in request:
            self.served += 1
            if not self.hold.is_set():
                self.holding.set()
                await self.hold.wait()
        headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines if line)}
        body = json.dumps({"port": self.port, "request": request, "headers": headers, "source": source}).encode()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()


async def _source(reader: asyncio.StreamReader) -> str:
    """The client's address from a PROXY header of version 2; "" for a LOCAL one, which is a check's."""
    head = await reader.readexactly(16)
    assert head.startswith(PROXY_V2)
    rest = await reader.readexactly(int.from_bytes(head[14:16], "big"))
    return socket.inet_ntoa(rest[:4]) if head[12] & 1 else ""


@dataclass
class Reply:
    """An answer. told: what the server saw, when one answered."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def told(self) -> dict[str, object]:
        return dict(json.loads(self.body))

    @property
    def port(self) -> object:
        return self.told["port"]

    def seen(self, header: str) -> str | None:
        headers = self.told["headers"]
        assert isinstance(headers, dict)
        return headers.get(header)


async def get(address: str, port: int, path: str = "/", **headers: str) -> Reply:
    """One request on a connection of its own. headers: x_forwarded_for for X-Forwarded-For."""
    reader, writer = await asyncio.open_connection(address, port)
    try:
        async with asyncio.timeout(10):
            return await ask(reader, writer, path, **{"host": "localhost", "connection": "close", **headers})
    finally:
        writer.close()


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str = "/", **headers: str) -> Reply:
    """One request on an open connection."""
    lines = [f"GET {path} HTTP/1.1", *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    status, *rest = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    answered = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in rest if line)}
    body = await reader.readexactly(int(answered.get("content-length", 0)))
    return Reply(int(status.split()[1]), answered, body)


@dataclass
class Load:
    """Clients that ask without a pause, on connections that they keep until they are told to close them.

    kept False: a connection for each request.
    """

    address: str
    port: int
    kept: bool = True
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    _stop: bool = False

    async def run(self, clients: int = 8) -> None:
        await asyncio.gather(*(self._client() for _ in range(clients)))

    def stop(self) -> None:
        self._stop = True

    async def _client(self) -> None:
        while not self._stop:
            try:
                reader, writer = await asyncio.open_connection(self.address, self.port)
                await self._on_connection(reader, writer)
                writer.close()
            except (OSError, asyncio.IncompleteReadError) as error:
                self.failed.append(repr(error))

    async def _on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not self._stop:
            reply = await ask(reader, writer, host="localhost")
            if reply.status == 200:
                self.answered += 1
            else:
                self.failed.append(f"{reply.status} {reply.body!r}")
            if not self.kept or reply.headers.get("connection") == "close":
                return
