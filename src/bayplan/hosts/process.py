"""Running a program to its end, with a deadline, leaving none behind."""

from __future__ import annotations

import asyncio
import shlex
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from bayplan.errors import DeadlineError, EngineError

KILLED = 5.0  # seconds that a killed program may take to be gone


@dataclass(frozen=True, slots=True)
class Ended:
    """A program's exit status and what it wrote."""

    status: int
    output: str
    errors: str


async def ended(argv: Sequence[str], *, deadline: float) -> Ended:
    """Run it in a session of its own (a terminal's Ctrl-C is ours to handle), killed at the deadline.

    It writes to files: a pipe would be held open by what outlives it, such as ssh's shared connection, and waited for.
    Raises TimeoutError, FileNotFoundError.
    """
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=errors, start_new_session=True
        )
        try:
            async with asyncio.timeout(deadline):
                await process.wait()
        finally:
            if process.returncode is None:
                with suppress(ProcessLookupError):
                    process.kill()
                with suppress(TimeoutError):  # seen once: the loop was told of no end of a process that was long gone
                    async with asyncio.timeout(KILLED):
                        await process.wait()
        return Ended(process.returncode or 0, _text(output), _text(errors))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


async def run_to_end(argv: Sequence[str], *, host: str, deadline: float) -> str:
    """What a command of the host's printed. Raises EngineError when it fails, DeadlineError."""
    try:
        done = await ended(argv, deadline=deadline)
    except TimeoutError as late:
        raise DeadlineError(f"'{shlex.join(argv)}' did not end within {deadline:g} s", where=host) from late
    except OSError as error:
        raise EngineError(f"'{argv[0]}' cannot be run: {error.strerror}", where=host) from error
    if done.status:
        raise failed(argv, done, host)
    return done.output


def failed(argv: Sequence[str], done: Ended, host: str) -> EngineError:
    """What a command's failure is to its caller."""
    said = done.errors.strip() or done.output.strip()
    return EngineError(f"'{shlex.join(argv)}' failed with status {done.status}: {said}", where=host)
