"""A command in a container that is spoken with over its standard input and output."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bayplan.engines import attach
from bayplan.engines.client import SLOW, Client
from bayplan.engines.hold import hang_up
from bayplan.errors import BayplanError, HostUnreachableError
from bayplan.ports import AS_IT_IS, ExecResult

if TYPE_CHECKING:
    from aiodocker.execs import Exec
    from aiodocker.stream import Stream

_STDERR: Final = 2
_KEPT: Final = 4096  # bytes of what it says of errors


class DockerExecStream:
    """gone: ends with the container; an engine leaves the connection open when that is killed."""

    def __init__(self, client: Client, command: Exec, stream: Stream, gone: asyncio.Task[None]) -> None:
        self._client, self._command, self._stream, self._gone = client, command, stream, gone
        self._errors = b""

    async def read(self) -> bytes:
        with self._client.translating():
            while (message := await self._next()) is not None:
                if message.stream == _STDERR:
                    self._errors = (self._errors + message.data)[-_KEPT:]
                elif message.data:
                    return bytes(message.data)
        return b""

    async def write(self, data: bytes) -> None:
        response = self._stream._resp  # noqa: SLF001  the library asserts that its connection stands
        if response is None or response.connection is None or response.connection.transport is None:
            raise HostUnreachableError("the command hears nothing any more", where=self._client.host)
        with self._client.translating():
            await self._stream.write_in(data)

    async def ended(self) -> ExecResult:
        return ExecResult(attach.status(await attach.ended(self._client, self._command)), self._errors)

    async def close(self) -> None:
        hang_up(self._stream)
        self._gone.cancel()
        await asyncio.gather(self._gone, return_exceptions=True)

    async def _next(self) -> Any:
        reading = asyncio.ensure_future(self._stream.read_out())
        try:
            await asyncio.wait({reading, self._gone}, return_when=asyncio.FIRST_COMPLETED)
            return reading.result() if reading.done() else None
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)


async def exec_stream(client: Client, name: str, argv: Sequence[str]) -> DockerExecStream:
    """Begin it. Raises NotFoundError, EngineError: the container does not run."""
    gone = asyncio.create_task(_until_gone(client, name))  # before the command: it may begin in one made anew
    try:
        command = await attach.create(client, name, argv, AS_IT_IS, tty=False, stdin=True)
        async with client.calling(SLOW):
            stream = command.start()
            await stream._init()  # noqa: SLF001  else it is begun when it is read from first
    except BaseException:
        gone.cancel()
        raise
    return DockerExecStream(client, command, stream, gone)


async def _until_gone(client: Client, name: str) -> None:
    """Until the container does not run. Where that cannot be told, the connection has to tell."""
    with suppress(BayplanError):
        async with client.calling(None) as docker:
            await docker.containers.container(name).wait(condition="not-running", timeout=None)
            return
    await asyncio.Event().wait()
