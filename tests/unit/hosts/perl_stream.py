"""A program of this machine's in the place of one in a container."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from bayplan.ports import ExecResult


class ProcessStream:
    """`bayplan.ports.ExecStream` with a process. Begun by `of`."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @classmethod
    async def of(cls, argv: Sequence[str]) -> ProcessStream:
        pipe = asyncio.subprocess.PIPE
        return cls(await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, stderr=pipe))

    async def read(self) -> bytes:
        assert self.process.stdout
        return await self.process.stdout.read(1 << 16)

    async def write(self, data: bytes) -> None:
        assert self.process.stdin
        self.process.stdin.write(data)
        await self.process.stdin.drain()

    async def ended(self) -> ExecResult:
        assert self.process.stderr
        said = await self.process.stderr.read()
        return ExecResult(await self.process.wait(), said)

    async def close(self) -> None:
        """Its input ends, and with that itself."""
        assert self.process.stdin
        self.process.stdin.close()
        with suppress(TimeoutError):
            async with asyncio.timeout(20):
                await self.process.wait()
        assert self.process.returncode is not None, "it did not end with its input"
