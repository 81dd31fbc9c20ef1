"""A client of HAProxy's runtime API and of its master's, over a socket of the host."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

from bayplan.dialled import connected
from bayplan.errors import GatewayError
from bayplan.ports import Reach

# HAProxy takes one line a connection, of at most tune.bufsize (16384) characters.
_LONGEST_LINE = 12000
DEADLINE = 5.0

Read = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[bytes]]


async def ask(reach: Reach, path: str, commands: Sequence[str], deadline: float = DEADLINE) -> list[str]:
    """What each command printed, without the line end. path: the socket's, on the host. Seconds.

    Raises GatewayError when nothing answers there, HostUnreachableError.
    """
    answers: list[str] = []
    for batch in _batches(commands):
        said = list(_paragraphs((await _exchange(reach, path, "; ".join(batch), deadline, _whole)).split("\n")))
        if len(said) < len(batch):
            raise GatewayError("the gateway broke off in the middle of its answer", where=reach.host)
        answers += said[: len(batch)]
    return answers


async def ask_master(reach: Reach, path: str, command: str, deadline: float = DEADLINE) -> str:
    """What the master process printed, up to the empty line that ends it. Raises as `ask`."""
    return (await _exchange(reach, path, command, deadline, _answer)).strip("\n")


async def reload_master(reach: Reach, path: str, deadline: float) -> str:
    """What the master said of a reload. Raises as `ask`."""
    return (await _exchange(reach, path, "reload", deadline, _all)).strip("\n")


async def _exchange(reach: Reach, path: str, line: str, deadline: float, read: Read) -> str:
    """One line there, all that is said to it. Nothing said: the gateway is not there, or was just made anew; the way to
    its host, which others go as well, is left as it is.
    """
    try:
        async with asyncio.timeout(deadline):
            said = await _say(await reach.dial(path), line, read)
            return said or await _say(await reach.dial(path), line, read, last=True)
    except TimeoutError as error:
        raise GatewayError(f"the gateway did not answer within {deadline:g} s", where=reach.host) from error
    except OSError as error:
        raise GatewayError(
            f"the gateway does not answer at {path}: {error.strerror or error}",
            where=reach.host,
            todo="the engine starts it again by itself; `bayplan doctor` tells more",
        ) from error


async def _say(place: str, line: str, read: Read, *, last: bool = False) -> str:
    """ "" when nothing listens there, unless it is the last try. Raises OSError."""
    try:
        reader, writer = await connected(place)
    except OSError:
        if last:
            raise
        return ""
    try:
        writer.write(line.encode() + b"\n")
        said = (await read(reader, writer)).decode(errors="replace")
    finally:
        writer.close()
    if last and not said:
        raise ConnectionResetError("it closed the connection without a word")
    return said


async def _whole(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> bytes:
    """A worker closes the connection after one line."""
    return await reader.read()


async def _all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """The master waits for more until it is told that there is none."""
    writer.write_eof()
    return await reader.read()


async def _answer(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> bytes:
    """As `_all`, but for the end of the connection: over SSH that is a second small packet, which waits 40 ms for the
    acknowledgement of the first (Nagle, delayed acknowledgement).
    """
    said = b""
    while not said.endswith(b"\n\n") and (more := await reader.read(1 << 16)):
        said += more
    return said


def _batches(commands: Sequence[str]) -> Iterator[list[str]]:
    batch: list[str] = []
    length = 0
    for command in commands:
        if batch and length + len(command) + 2 > _LONGEST_LINE:
            yield batch
            batch, length = [], 0
        batch.append(command)
        length += len(command) + 2
    if batch:
        yield batch


def _paragraphs(lines: Iterable[str]) -> Iterator[str]:
    """An empty line ends what a command printed; no command prints one within."""
    paragraph: list[str] = []
    for line in lines:
        if line:
            paragraph.append(line)
        else:
            yield "\n".join(paragraph)
            paragraph = []
