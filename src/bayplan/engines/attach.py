"""Commands in containers: to their end, or on this process's own terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bayplan.engines.client import QUICK, Client
from bayplan.errors import DeadlineError
from bayplan.ports import ExecResult


async def run_to_end(client: Client, name: str, argv: Sequence[str], *, user: str, deadline: float) -> ExecResult:
    """Output is both streams, as they came. Raises NotFoundError, DeadlineError."""
    async with client.calling() as docker:
        command = await docker.containers.container(name).exec(list(argv), user=user)
    output = bytearray()
    try:
        with client.translating():
            async with asyncio.timeout(deadline), command.start() as stream:
                while (message := await stream.read_out()) is not None:
                    output += message.data
    except TimeoutError as late:
        raise DeadlineError(f"'{argv[0]}' in {name} did not end within {deadline:g} s", where=client.host) from late
    async with client.calling(QUICK):
        seen = await command.inspect()
    return ExecResult(int(seen["ExitCode"] or 0), bytes(output))


async def attach(
    client: Client, name: str, argv: Sequence[str], *, tty: bool, stdin: bool, user: str, workdir: str
) -> int:
    raise NotImplementedError
