"""A host whose engine is reached over TLS, with a client certificate, and nothing else of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from bayplan.errors import HostRefusedError, HostUnreachableError
from bayplan.hosts.relay import CHUNK, Relay
from bayplan.spec.model import ENGINE_SOCKET, Host
from bayplan.trust import trust

_PORT = 2376  # IANA: docker-s
_CONNECT = 5.0  # seconds


class TlsReach:
    """tcp://host:port. A socket of this process's own leads there, so that all else need not know of TLS. To the engine
    alone: `GuardReach` is the way to all else, over this one.
    """

    def __init__(self, host: Host) -> None:
        self.host = host.name
        self._tls = host.tls
        url = urlsplit(host.address)
        self._name, self._port = url.hostname or "", url.port or _PORT
        self._relay: Relay | None = None
        self._context: ssl.SSLContext | None = None
        self._opening = asyncio.Lock()

    async def dial(self, target: str, *, fresh: bool = False) -> str:
        """Raises HostRefusedError for anything but the engine, and for certificates; HostUnreachableError."""
        if target != ENGINE_SOCKET:
            raise self._not_mine(target)
        async with self._opening:
            if self._relay is None or fresh:
                self._context = self._certificates()
                (await self._connect())[1].close()
            if self._relay is None:
                self._relay = Relay(self._link)
                await self._relay.listen()
        return self._relay.address

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
        raise self._not_mine(f"'{argv[0]}'")

    async def close(self) -> None:
        if self._relay is not None:
            await self._relay.close()
            self._relay = None

    def _not_mine(self, what: str) -> HostRefusedError:
        return HostRefusedError(f"{what} is reached through the host's guard, and not over TLS", where=self.host)

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

    async def _link(self) -> _TlsLink:
        return _TlsLink(*await self._connect())


class _TlsLink:
    """A connection over TLS: asyncio knows of no end of what is said there but its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def read(self) -> bytes:
        data = await self._reader.read(CHUNK)
        if not data:
            raise ConnectionResetError
        return data

    async def write(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    def end(self) -> None:
        """TLS's own end of what is sent (RFC 8446, 6.1, close_notify), as Docker's client has it; asyncio has none."""
        if self._writer.is_closing():
            return
        with suppress(ssl.SSLError):  # one of them that it would wait for the engine's
            self._writer.get_extra_info("ssl_object").unwrap()
        self._writer.transport._ssl_protocol._process_outgoing()  # type: ignore[attr-defined]  # noqa: SLF001

    def drop(self) -> None:
        self._writer.close()
