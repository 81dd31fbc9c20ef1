"""A host whose engine is reached over TLS, with a client certificate, and nothing else of it."""

from __future__ import annotations

import asyncio
import select
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from bayplan.errors import HostRefusedError, HostUnreachableError
from bayplan.hosts.sockets import private_dir
from bayplan.spec.model import ENGINE_SOCKET, Host
from bayplan.trust import trust

_PORT = 2376  # IANA: docker-s
_CONNECT = 5.0  # seconds
_CHUNK = 64 * 1024
_ONLY_ENGINE = "write ssh://user@host in fleet.yaml: over TLS only the engine can be reached"


class TlsReach:
    """tcp://host:port. A socket of this process's own leads there, so that all else need not know of TLS."""

    def __init__(self, host: Host) -> None:
        self.host = host.name
        self._tls = host.tls
        url = urlsplit(host.address)
        self._name, self._port = url.hostname or "", url.port or _PORT
        self._server: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None
        self._socket = Path()
        self._pipes: set[asyncio.Task[None]] = set()
        self._opening = asyncio.Lock()

    async def dial(self, target: str, *, fresh: bool = False) -> str:
        """Raises HostRefusedError for anything but the engine, and for certificates; HostUnreachableError."""
        if target != ENGINE_SOCKET:
            raise HostRefusedError(f"{target} cannot be reached over TLS", where=self.host, todo=_ONLY_ENGINE)
        async with self._opening:
            if self._server is None or fresh:
                self._context = self._certificates()
                (await self._connect())[1].close()
            if self._server is None:
                await self._listen()
        return f"unix:{self._socket}"

    async def why_silent(self, target: str) -> HostUnreachableError:
        """Ask as plainly as can be: with TLS 1.3 a server refuses a certificate after the client took it as agreed."""
        try:
            answered = await asyncio.to_thread(self._ask, self._context or self._certificates())
        except HostUnreachableError as error:
            return error
        except OSError as error:
            return self._refused(error)
        if not answered:
            return HostRefusedError(
                "it hangs up on our certificate", where=self.host, todo="is tls.cert signed by its tlscacert?"
            )
        return HostUnreachableError(f"no engine speaks behind {target}", where=self.host)

    async def run(self, argv: Sequence[str], deadline: float = 30.0) -> str:  # noqa: ARG002
        raise HostRefusedError(f"'{argv[0]}' cannot be run over TLS", where=self.host, todo=_ONLY_ENGINE)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
            self._socket.unlink(missing_ok=True)
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    def _certificates(self) -> ssl.SSLContext:
        if self._tls is None:
            raise HostRefusedError(
                "tcp:// without certificates would let anyone in",
                where=self.host,
                todo="write tls: {ca: ca.pem, cert: cert.pem, key: key.pem} on the host in fleet.yaml",
            )
        try:
            context = trust(self._tls.ca)
            context.load_cert_chain(self._tls.cert, self._tls.key)
        except OSError as error:  # ssl.SSLError is one
            files = f"{self._tls.ca}, {self._tls.cert}, {self._tls.key}"
            raise HostRefusedError(
                f"the certificates cannot be used: {error}", where=self.host, todo=f"see {files}"
            ) from error
        return context

    def _ask(self, context: ssl.SSLContext) -> bytes:
        with (
            socket.create_connection((self._name, self._port), timeout=_CONNECT) as raw,
            context.wrap_socket(raw, server_hostname=self._name) as connection,
        ):
            try:
                connection.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
                return connection.recv(1)
            except (BrokenPipeError, ConnectionResetError):  # it hung up before it was asked
                return b""

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        try:
            async with asyncio.timeout(_CONNECT):
                return await asyncio.open_connection(self._name, self._port, ssl=self._context)
        except (OSError, TimeoutError) as error:
            raise self._refused(error) from error

    def _refused(self, error: OSError) -> HostUnreachableError:
        where = f"{self._name} port {self._port}"
        match error:
            case ssl.SSLCertVerificationError():
                return HostRefusedError(
                    f"{where}: its certificate is not trusted: {error.verify_message}",
                    where=self.host,
                    todo="tls.ca must be the authority that signed it, for the name in address",
                )
            case ssl.SSLError():
                return HostRefusedError(
                    f"{where}: {error.reason or error}", where=self.host, todo="is tls.cert signed by its tlscacert?"
                )
            case TimeoutError():
                return HostUnreachableError(f"{where}: no answer within {_CONNECT:g} s", where=self.host)
            case _:
                return HostUnreachableError(f"{where}: {error.strerror or error}", where=self.host)

    async def _listen(self) -> None:
        self._socket = private_dir() / f"t{id(self):x}-{asyncio.get_running_loop().time():.0f}.s"
        self._socket.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._lead, self._socket)

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)
        with suppress(asyncio.CancelledError):  # by `close`; Python 3.11 tells of it as of a fault that nobody handled
            try:
                there = await self._connect()
            except HostUnreachableError:
                writer.close()
                return
            await asyncio.gather(_ask_on(reader, writer, there[1]), _answer_on(there[0], there[1], writer))


async def _ask_on(reader: asyncio.StreamReader, own: asyncio.StreamWriter, there: asyncio.StreamWriter) -> None:
    """Of who has gone the engine hears; who has only said all that there is to say still listens."""
    await _pipe(reader, there)
    if own.is_closing() or _hung_up(own):
        there.close()
    elif not there.is_closing():
        _end(there)


async def _answer_on(reader: asyncio.StreamReader, there: asyncio.StreamWriter, writer: asyncio.StreamWriter) -> None:
    await _pipe(reader, writer)
    writer.close()
    there.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Bytes one way until their end."""
    with suppress(OSError):
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()


def _hung_up(writer: asyncio.StreamWriter) -> bool:
    """Whether the other end of a UNIX socket is closed both ways."""
    poll = select.poll()
    poll.register(writer.get_extra_info("socket").fileno(), 0)
    return bool(poll.poll(0))  # it says nothing but what is told unasked, of which that is one


def _end(writer: asyncio.StreamWriter) -> None:
    """TLS's own end of what is sent (RFC 8446, 6.1, close_notify), as Docker's client has it; asyncio knows of none."""
    with suppress(ssl.SSLError):  # one of them that it would wait for the engine's
        writer.get_extra_info("ssl_object").unwrap()
    writer.transport._ssl_protocol._process_outgoing()  # type: ignore[attr-defined]  # noqa: SLF001
