"""Commands in containers: to their end, or on this process's own terminal."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Protocol

from bayplan.engines import terminal
from bayplan.engines.client import Client
from bayplan.engines.faults import not_begun
from bayplan.engines.hold import hang_up
from bayplan.errors import BayplanError, DeadlineError, HostUnreachableError
from bayplan.ports import ExecResult, How

if TYPE_CHECKING:
    from aiodocker.execs import Exec
    from aiodocker.stream import Stream

_STDERR = 2
_CHUNK = 16 * 1024
_LOOKS, _BETWEEN = 20, 0.1  # seconds that an engine may take to note the end of a command
_NOT_BEGUN: Final = (126, 127)  # what an engine says is the status of a command that it could not start
_ENGINES_END: Final = b"\r\n"  # how what it says of that ends, where the command's output would be


class Resize(Protocol):
    """What tells a terminal in a container its size."""

    async def __call__(self, *, h: int, w: int) -> None: ...


async def run_to_end(client: Client, name: str, argv: Sequence[str], how: How, *, deadline: float) -> ExecResult:
    """Output is both streams, as they came. Raises NotFoundError, DeadlineError, CommandError."""
    command = await create(client, name, argv, how, tty=False, stdin=False)
    output = bytearray()
    try:
        with client.translating():
            async with asyncio.timeout(deadline), command.start() as stream:
                while (message := await stream.read_out()) is not None:
                    output += message.data
    except TimeoutError as late:
        raise DeadlineError(f"'{argv[0]}' in {name} did not end within {deadline:g} s", where=client.host) from late
    seen = await ended(client, command)
    if _never_began(seen):
        raise not_begun(output.decode(errors="replace"), client.host)
    return ExecResult(status(seen), bytes(output))


async def attach(client: Client, name: str, argv: Sequence[str], how: How, *, tty: bool, stdin: bool) -> int:
    """The command on this process's standard streams; its exit status. The terminal is as before when it ends.

    Raises BrokenPipeError when nobody reads what it says any more, CommandError when it cannot be started.
    """
    terminal_s = {"TERM": os.environ.get("TERM", "xterm")} if tty else {}
    how = replace(how, environment={**terminal_s, **how.environment})
    command = await create(client, name, argv, how, tty=tty, stdin=stdin)
    with client.translating():
        async with command.start() as stream:
            with ExitStack() as undo:
                if tty:
                    await give_terminal(client, command.resize, undo, stdin=stdin)
                is_read = await both_ways(stream, stdin=stdin, first=partial(_check_begun, client, command))
    if not is_read:
        raise BrokenPipeError
    return status(await ended(client, command))


async def create(client: Client, name: str, argv: Sequence[str], how: How, *, tty: bool, stdin: bool) -> Exec:
    async with client.calling() as docker:
        return await docker.containers.container(name).exec(
            list(argv),
            tty=tty,
            stdin=stdin,
            user=how.user,
            workdir=how.workdir or None,
            environment=dict(how.environment) or None,
            privileged=how.privileged,
        )


async def _check_begun(client: Client, command: Exec, said: bytes) -> None:
    """Raises CommandError. said: what came first: why it could not be started comes as its own output would."""
    if said.endswith(_ENGINES_END):
        async with client.calling():
            seen = await command.inspect()
        if _never_began(seen):
            raise not_begun(said.decode(errors="replace"), client.host)


def _never_began(seen: Mapping[str, Any]) -> bool:
    return not seen["Running"] and seen["ExitCode"] in _NOT_BEGUN and not seen["Pid"]


def status(seen: Mapping[str, Any]) -> int:
    return int(seen["ExitCode"] or 0)


async def ended(client: Client, command: Exec) -> Mapping[str, Any]:
    """Raises HostUnreachableError when what it says has ended and it has not: it was only not heard any more."""
    for _ in range(_LOOKS):
        async with client.calling():
            seen = await command.inspect()
        if not seen["Running"]:
            return seen
        await asyncio.sleep(_BETWEEN)
    raise HostUnreachableError("the connection broke before the command ended", where=client.host)


async def give_terminal(client: Client, told: Resize, undo: ExitStack, *, stdin: bool) -> None:
    """Keys go to the command as they are typed, and it learns the window's size, now and when it changes."""

    async def resize(rows: int, columns: int) -> None:
        with suppress(BayplanError):  # it may have ended
            async with client.calling():
                await told(h=rows, w=columns)

    if stdin and sys.stdin.isatty():
        undo.enter_context(terminal.raw(sys.stdin.fileno()))
    if sys.stdout.isatty():
        await resize(*terminal.size(sys.stdout.fileno()))
        undo.enter_context(terminal.resizes(sys.stdout.fileno(), resize))


async def both_ways(stream: Stream, *, stdin: bool, first: Callable[[bytes], Awaitable[None]] | None = None) -> bool:
    """Until the command's output ends. What is typed after that is the shell's again. first: is given what comes first,
    before anybody else.

    False: its reader went away first, and so did we. No exception: a broken pipe of ours is none of the engine's.
    """
    typing = asyncio.create_task(_send(stream)) if stdin else None
    try:
        while (message := await stream.read_out()) is not None:
            if first is not None:
                await first(message.data)
                first = None
            try:
                _write((sys.stderr if message.stream == _STDERR else sys.stdout).fileno(), message.data)
            except BrokenPipeError:
                hang_up(stream)
                return False
        return True
    finally:
        if typing is not None:
            typing.cancel()
            with suppress(asyncio.CancelledError, OSError):
                await typing


async def _send(stream: Stream) -> None:
    async for data in terminal.chunks(sys.stdin.fileno(), _CHUNK):
        await stream.write_in(data)
    await _end_input(stream)


async def _end_input(stream: Stream) -> None:
    """Tell the command that its input has ended, and go on reading what it says."""
    response = stream._resp  # noqa: SLF001  the library can only end both ways at once
    transport = response.connection.transport if response is not None and response.connection is not None else None
    if transport is not None and transport.can_write_eof():
        transport.write_eof()


def _write(descriptor: int, data: bytes) -> None:
    """All of it, in order."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
