"""A host of which only the engine is reached from outside: its guard is the way to all else that is on it.

The guard is in the host's network, and has the host's root below `/host`. So a command that the engine runs in it is
one on the host, and sockets and ports are reached through one that stays (`channels`).
"""

from __future__ import annotations

import asyncio
import math
import shlex
from collections.abc import Sequence
from typing import Final

from bayplan.errors import EngineError, HostRefusedError, HostUnreachableError, NotFoundError
from bayplan.hosts.channels import Channels, command
from bayplan.hosts.relay import Link, Relay
from bayplan.plan.names import system_name
from bayplan.ports import Engine, ExecResult, ExecStream, Reach
from bayplan.spec.model import ENGINE_SOCKET

_ON_HOST: Final = ("chroot", "/host")
_BEGIN: Final = 5.0  # seconds for the program to begin: less than a gateway is waited for
_LATE: Final = 5.0  # seconds more than its own that a command's end may take to be heard
_NO_PROGRAM: Final = (126, 127)  # chroot(1): it cannot be run, it is not there
_TIMED_OUT: Final = (124, 137)  # timeout(1)


class GuardReach:
    """way: to the engine; engine: over that."""

    def __init__(self, way: Reach, engine: Engine, fleet: str) -> None:
        self.host = way.host
        self._way, self._engine = way, engine
        self._guard = system_name("guard", fleet)
        self._channels: Channels | None = None
        self._relays: dict[str, Relay] = {}
        self._opening = asyncio.Lock()

    async def dial(self, target: str, *, fresh: bool = False) -> str:
        """Raises HostUnreachableError while no guard runs, HostRefusedError when it finds no perl."""
        if target == ENGINE_SOCKET:
            return await self._way.dial(target, fresh=fresh)
        await self._standing(fresh=fresh)
        async with self._opening:
            if target not in self._relays:
                relay = Relay(lambda: self._link(target))
                await relay.listen()
                self._relays[target] = relay
        return self._relays[target].address

    async def why_silent(self, target: str) -> HostUnreachableError:
        if target == ENGINE_SOCKET:
            return await self._way.why_silent(target)
        try:
            await self._standing()
        except HostUnreachableError as error:
            return error
        return HostUnreachableError(f"nothing answers at {target}", where=self.host)

    async def run(self, argv: Sequence[str], deadline: float = 30.0) -> str:
        """In the host's root. Raises HostUnreachableError while no guard runs, EngineError, DeadlineError."""
        timed = ("timeout", "-s", "KILL", str(math.ceil(deadline)), *argv)
        try:
            done = await self._engine.exec(self._guard, (*_ON_HOST, *timed), deadline=deadline + _LATE)
        except EngineError as error:
            raise self._no_guard(error) from error
        said = done.output.decode(errors="replace")
        if done.status:
            why = "did not end in time" if done.status in _TIMED_OUT else f"failed with status {done.status}"
            raise EngineError(f"'{shlex.join(argv)}' {why}: {said.strip()}", where=self.host)
        return said

    async def close(self) -> None:
        for relay in self._relays.values():
            await relay.close()
        self._relays.clear()
        await self._drop()
        await self._way.close()

    async def _link(self, target: str) -> Link:
        return (await self._standing()).open(target)

    async def _standing(self, *, fresh: bool = False) -> Channels:
        """Those that there are, made anew where the guard was."""
        async with self._opening:
            if self._channels is not None and (fresh or not await self._channels.stands()):
                await self._drop()
            if self._channels is None:
                self._channels = await self._begun()
            return self._channels

    async def _begun(self) -> Channels:
        try:
            stream = await self._engine.exec_stream(self._guard, (*_ON_HOST, *command()))
        except EngineError as error:
            raise self._no_guard(error) from error
        channels = Channels(stream)
        try:
            await self._begin(channels, stream)
        except BaseException:
            await channels.close()
            raise
        return channels

    async def _begin(self, channels: Channels, stream: ExecStream) -> None:
        try:
            has_begun = await channels.begin(_BEGIN)
        except TimeoutError as late:
            raise HostUnreachableError(f"its guard does not answer within {_BEGIN:g} s", where=self.host) from late
        if not has_begun:
            raise self._not_begun(await stream.ended())

    async def _drop(self) -> None:
        if self._channels is not None:
            await self._channels.close()
            self._channels = None

    def _no_guard(self, error: EngineError) -> HostUnreachableError:
        is_there = not isinstance(error, NotFoundError)
        told = (
            f"its guard, through which all but its engine is reached, {'does not run' if is_there else 'is not there'}"
        )
        return HostUnreachableError(f"{told} ({error.what})", where=self.host, todo="bayplan up starts it")

    def _not_begun(self, ended: ExecResult) -> HostUnreachableError:
        said = ended.output.decode(errors="replace").strip()
        if ended.status in _NO_PROGRAM:
            return HostRefusedError(
                f"it has no perl, by which its gateway is reached over TLS: {said}",
                where=self.host,
                todo="install it there (apt install perl-base, dnf install perl-interpreter), or reach the host by ssh://",
            )
        return HostUnreachableError(f"its guard ended the way to it: {said or ended.status}", where=self.host)
