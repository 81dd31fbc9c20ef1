"""How bytes get to a registry. Imported when the first request is made: aiohttp is slow to load."""

from __future__ import annotations

import socket
import ssl
from contextlib import suppress
from pathlib import Path

from aiohttp import (
    BaseConnector,
    ClientConnectorCertificateError,
    ClientConnectorError,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    DummyCookieJar,
    ServerDisconnectedError,
    TCPConnector,
    UnixConnector,
)
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.hdrs import AUTHORIZATION
from yarl import URL

from bayplan.dialled import place_of
from bayplan.trust import REGISTRIES, trust

_DEADLINE = 60.0  # seconds for one request, small as they all are; a cloud's registry may be far
_CONNECT = 10.0
_CERTIFICATES = Path(REGISTRIES)


class _Pinned(AbstractResolver):
    """Whatever the name, it is there."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        del port
        return [ResolveResult(hostname=host, host=self._host, port=self._port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        return


def open_session(server: str, way: str) -> ClientSession:
    """A session with a registry. way: `unix:/path`, `tcp:ip:port`, or "" for by its name."""
    timeout = ClientTimeout(total=_DEADLINE, sock_connect=_CONNECT)
    jar = DummyCookieJar()
    return ClientSession(connector=_connector(server, way), timeout=timeout, cookie_jar=jar, trust_env=not way)


def _connector(server: str, way: str) -> BaseConnector:
    if not way:
        return TCPConnector(ssl=_trust(server))
    place = place_of(way)
    return UnixConnector(place) if isinstance(place, str) else TCPConnector(resolver=_Pinned(*place))


def _trust(server: str) -> ssl.SSLContext:
    """The system's certificates, and those that Docker on this machine trusts for this registry."""
    context = trust()
    for path in sorted((_CERTIFICATES / server).glob("*.crt")):
        with suppress(OSError, ssl.SSLError):
            context.load_verify_locations(path)
    return context


def as_we_say(url: URL, authorization: str | None) -> ClientMiddlewareType:
    """Sends that, and only where it is for. A ~/.netrc that names a registry or its token service is for other
    programs, and the library, which heeds proxies and it together, would refuse to send either.
    """

    async def said(request: ClientRequest, send: ClientHandlerType) -> ClientResponse:
        request.headers.pop(AUTHORIZATION, None)
        if authorization and request.url.origin() == url.origin():
            request.headers[AUTHORIZATION] = authorization
        return await send(request)

    return said


async def read(response: ClientResponse) -> tuple[int, dict[str, str], bytes]:
    """(status, headers by lower-case name, body)."""
    body = await response.read()
    return response.status, {k.lower(): v for k, v in response.headers.items()}, body


def words(failed: Exception) -> str:
    """A network error as a person would say it."""
    match failed:
        case ClientConnectorCertificateError():
            return f"its certificate is not trusted ({failed.certificate_error})"
        case ClientConnectorError():
            return failed.strerror or str(failed.os_error)
        case ServerDisconnectedError():
            return "it hung up"
        case TimeoutError():
            return "no answer in time"
        case OSError(strerror=str(said)) if said:
            return said
        case _:
            return str(failed) or type(failed).__name__
