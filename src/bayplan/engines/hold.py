"""Containers that live as long as this process holds them: their standard input is a connection of ours.

Killed, this process loses the connection, and the container's program reads its end. Hung, or cut off, it sends
nothing, and the program waits only so long. What the program says back tells us, likewise, that the container is there.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bayplan.container import Container
from bayplan.engines.body import create_body
from bayplan.engines.client import SLOW, Client
from bayplan.engines.moments import Moment
from bayplan.errors import BayplanError, DeadlineError

if TYPE_CHECKING:
    from aiodocker.stream import Stream

BEAT: Final = 2.0  # seconds between signs of life
PATIENCE: Final = 15  # seconds without one until the container ends
# It ends no sooner than that after what we sent last, so whoever gives up sooner never holds what is gone already.
# A lock looks for another host then, for `lock.MAKE_UP`, and has to have it by that time, too.
ANSWER: Final = 8.0  # seconds until a sign of life must have come back
START: Final = 10.0  # seconds for the engine to start it
SENT: Final = 0.25  # seconds for a request to be on its way: an engine finishes what it was asked, heard or not

# Each byte is said back. It ends at the end of its input, and after PATIENCE without a byte. Nothing but POSIX and
# `timeout`, which coreutils and BusyBox have.
PROGRAM: Final = f'while c=$(timeout {PATIENCE} head -c 1) && [ -n "$c" ]; do printf %s "$c"; done'


def _hold_body(container: Container) -> dict[str, Any]:
    """As the engine is asked to create it."""
    body = create_body(container)
    body |= {
        "Entrypoint": ["/bin/sh", "-c", PROGRAM],
        "Cmd": [],
        "AttachStdin": True,
        "OpenStdin": True,
        "StdinOnce": True,
        "StopSignal": "SIGKILL",  # an engine that shuts down does not wait for it
    }
    body["HostConfig"] |= {"AutoRemove": True, "LogConfig": {"Type": "none", "Config": {}}}
    return body


_DISCARDING: set[asyncio.Task[None]] = set()  # a task that nobody keeps may be collected before it ends


class DockerHeld:
    """made: the container's id; its connection stands, and it has not been started."""

    def __init__(self, client: Client, made: str, stream: Stream) -> None:
        self._client, self._made, self._stream = client, made, stream
        self._runs = False
        self._shown = Moment()  # no later than the last sign of life that it had of us

    @property
    def is_sure(self) -> bool:
        return self._shown.ago < PATIENCE

    async def live(self) -> None:
        self._shown = Moment()
        async with self._client.calling(START) as docker:
            await docker.containers.container(self._made).start()
        self._runs = True
        with self._client.translating():
            while await self._answers() and not await self._ends_within(BEAT):
                pass

    async def _answers(self) -> bool:
        """Whether a byte that is sent now comes back; False at its end."""
        response = self._stream._resp  # noqa: SLF001  the library asserts that its connection stands
        if response is None or response.connection is None or response.connection.transport is None:
            return False
        try:
            async with asyncio.timeout(ANSWER):
                now = Moment()
                await self._stream.write_in(b".")
                answered = await self._stream.read_out() is not None
                if answered:
                    self._shown = now
                return answered
        except TimeoutError as late:
            raise DeadlineError(f"no sign of life for {ANSWER:g} s", where=self._client.host) from late

    async def _ends_within(self, seconds: float) -> bool:
        """It says nothing that it was not told, so what is read now is its end."""
        try:
            async with asyncio.timeout(seconds):
                return await self._stream.read_out() is None
        except TimeoutError:
            return False

    async def let_go(self) -> None:
        """The end of its input ends it. One that may not run yet is removed, when its engine comes to it."""
        hang_up(self._stream)
        if self._runs:
            return
        with suppress(BayplanError):
            async with self._client.calling(SENT) as docker:
                await docker.containers.container(self._made).delete(force=True, v=True)


async def hold(client: Client, container: Container) -> DockerHeld:
    """Created, and its input in our hands. Raises ConflictError, NotFoundError."""
    creating = asyncio.create_task(_create(client, container))
    try:
        made = await asyncio.shield(creating)
        async with client.calling(SLOW) as docker:
            stream = docker.containers.container(made).attach(stdin=True, stdout=True)
            await stream._init()  # noqa: SLF001  else it connects when it is written to first, after the start
    except BaseException:  # a busy engine may take long: nobody waits for what is not wanted any more
        discarding = asyncio.create_task(_discard(client, creating))
        _DISCARDING.add(discarding)
        discarding.add_done_callback(_DISCARDING.discard)
        raise
    return DockerHeld(client, made, stream)


def hang_up(stream: Stream) -> None:
    """Both ways, at once."""
    response = stream._resp  # noqa: SLF001  the library's own close leaves the other end to hang up
    stream._closed = True  # noqa: SLF001
    if response is not None:
        response.close()


async def _create(client: Client, container: Container) -> str:
    async with client.calling(SLOW) as docker:
        return (await docker.containers.create(_hold_body(container), name=container.name)).id


async def _discard(client: Client, creating: asyncio.Task[str]) -> None:
    with suppress(BayplanError):
        made = await creating
        async with client.calling(SLOW) as docker:
            await docker.containers.container(made).delete(force=True, v=True)
