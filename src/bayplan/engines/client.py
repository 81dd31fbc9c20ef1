"""The connection to one engine: dialled and negotiated at first use, its errors made ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from bayplan.engines.faults import NO_CONNECTION, translated
from bayplan.errors import DeadlineError, HostUnreachableError
from bayplan.ports import Reach

if TYPE_CHECKING:  # importing it takes 0.2 s
    from aiodocker import Docker
    from aiohttp import ClientResponse, ClientTimeout

T = TypeVar("T")

QUICK = 10.0  # seconds for a question
SLOW = 60.0  # seconds for what a busy engine may take: create, start, remove
IDLE = 120.0  # seconds that a pull, push, build or copy may stand still
FIRST = 4.0  # seconds for the first question over a connection that was there: it may be a dead one


class Patience:
    """Of `patient`: how long it still waits. What is sent meanwhile is no standing still."""

    def __init__(self) -> None:
        self._limit: asyncio.Timeout | None = None

    def waiting(self) -> asyncio.Timeout:
        """For the next piece."""
        self._limit = asyncio.timeout(IDLE)
        return self._limit

    def moved(self) -> None:
        """Something was sent."""
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(asyncio.get_running_loop().time() + IDLE)


async def patient(stream: AsyncIterable[T], patience: Patience | None = None) -> AsyncIterator[T]:
    """The same, piece by piece; TimeoutError when none comes, and none is sent, for IDLE seconds."""
    pieces, patience = aiter(stream), patience or Patience()
    while True:
        async with patience.waiting():
            try:
                piece = await anext(pieces)
            except StopAsyncIteration:
                return
        yield piece


async def in_thread(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    """The same; what reads them from a disk, or packs them, holds nobody up."""
    left = iter(pieces)
    while (piece := await asyncio.to_thread(next, left, None)) is not None:
        yield piece


def endless() -> ClientTimeout:
    """For a request that takes the time that it takes; `patient` watches over what comes of it."""
    import aiohttp

    return aiohttp.ClientTimeout()


@asynccontextmanager
async def asking(docker: Docker, path: str, method: str = "GET", **more: Any) -> AsyncIterator[ClientResponse]:
    """A request whose answer is read as it comes. Left before its end, the engine hears of it: some things it does not
    do to a container while somebody still reads from that.
    """
    async with docker._query(path, method, **more) as response:  # noqa: SLF001  it leaves the response open
        try:
            yield response
        finally:
            response.close()


class Client:
    """One engine behind a Reach. Everything that goes wrong comes out as an error of ours."""

    def __init__(self, reach: Reach, socket: str) -> None:
        self.reach = reach
        self.host = reach.host
        self.socket = socket
        self.api = ""  # the newest version of the Engine API that it speaks, once it has been dialled
        self._docker: Docker | None = None
        self._retired: list[Docker] = []
        self._opening = asyncio.Lock()

    @asynccontextmanager
    async def calling(self, deadline: float | None = QUICK) -> AsyncIterator[Docker]:
        """The library's client, for one request. deadline None: it may wait for ever.

        Raises EngineError (or a kind of it), HostUnreachableError; DeadlineError for what a busy engine has not done.
        """
        docker = await self.docker()
        with self.translating():
            try:
                async with asyncio.timeout(deadline):
                    yield docker
            except TimeoutError as late:
                kind = DeadlineError if deadline is None or deadline > QUICK else HostUnreachableError
                raise kind(self._late(deadline or 0), where=self.host) from late

    @staticmethod
    def _late(deadline: float) -> str:
        return f"the engine did not answer within {deadline:g} s"

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Errors of the library and of the connection, as ours. After a broken connection the next call dials anew."""
        import aiohttp
        from aiodocker.exceptions import DockerError

        try:
            yield
        except DockerError as error:
            if error.status == NO_CONNECTION:
                self._retire()
            raise translated(error.status, error.message, self.host) from error
        except (aiohttp.ClientError, ConnectionError, EOFError) as error:
            self._retire()
            raise HostUnreachableError(f"the connection to the engine broke: {error}", where=self.host) from error

    async def docker(self) -> Docker:
        """Dialled, and its API version known. Raises HostUnreachableError."""
        if self._docker is not None:
            return self._docker
        async with self._opening:
            if self._docker is None:
                self._docker = await self._open()
        return self._docker

    async def address(self) -> str:
        """Where on this machine the engine answers: unix:///path, as DOCKER_HOST has it."""
        return (await self.docker())._connection_info  # noqa: SLF001  what it was opened with

    async def close(self) -> None:
        self._retire()
        while self._retired:
            await self._retired.pop().close()

    def _retire(self) -> None:
        """Not to be used again; closed at the end, since other requests may still be reading from it."""
        if self._docker is not None:
            self._retired.append(self._docker)
            self._docker = None

    async def _open(self) -> Docker:
        try:
            return await self._greet(await self.reach.dial(self.socket), FIRST)
        except _SilentError as silent:
            raise await self.reach.why_silent(self.socket) from silent
        except _GoneError:  # it ended between two looks
            address = await self.reach.dial(self.socket)
        except TimeoutError:  # a connection from before that leads nowhere by now
            address = await self.reach.dial(self.socket, fresh=True)
        try:
            return await self._greet(address, QUICK)
        except TimeoutError as late:
            raise HostUnreachableError(self._late(QUICK), where=self.host) from late
        except (_SilentError, _GoneError) as silent:
            raise await self.reach.why_silent(self.socket) from silent

    async def _greet(self, address: str, deadline: float) -> Docker:
        """Ask for the API's version the quick way: for `/version` an engine runs containerd's and runc's programs."""
        import aiohttp
        from aiodocker import Docker
        from aiodocker.exceptions import DockerError

        url = address.replace("unix:", "unix://", 1) if address.startswith("unix:") else address.replace(":", "://", 1)
        docker = Docker(url, timeout=aiohttp.ClientTimeout(sock_connect=QUICK))
        # A follower of logs holds a connection a replica: with aiohttp's 100, the next question would wait for ever.
        docker.connector._limit = 0  # noqa: SLF001
        try:
            async with asyncio.timeout(deadline):
                async with docker._query("_ping", versioned_api=False) as pong:  # noqa: SLF001
                    self.api = pong.headers.get("Api-Version", "")
        except BaseException as error:
            await docker.close()
            said = error.__context__ if isinstance(error, DockerError) and error.status == NO_CONNECTION else error
            if isinstance(said, aiohttp.ClientConnectorError):
                raise _GoneError(str(said)) from error
            if isinstance(said, aiohttp.ClientError | ConnectionError):
                raise _SilentError(str(said)) from error
            raise
        if not self.api:
            await docker.close()
            raise _SilentError("what answers there is no engine")
        docker.api_version = f"v{self.api}"
        return docker


class _SilentError(Exception):
    """The address can be dialled, and no engine speaks behind it."""


class _GoneError(Exception):
    """The address cannot be dialled any more."""
