"""Connections over one stream with the program itself, in a process of this machine."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import pytest
from tests.unit.hosts.perl_stream import ProcessStream

from bayplan.hosts import channels as module
from bayplan.hosts.channels import WINDOW, Channel, Channels, command
from bayplan.hosts.sockets import private_dir

DEADLINE = 30.0
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@pytest.fixture
async def stream() -> AsyncIterator[ProcessStream]:
    made = await ProcessStream.of(command())
    yield made
    if made.process.returncode is None:
        made.process.kill()
        await made.process.wait()


@pytest.fixture
async def channels(stream: ProcessStream) -> AsyncIterator[Channels]:
    made = Channels(stream)
    assert await made.begin(DEADLINE)
    yield made
    await made.close()


async def served(serve: Serve) -> str:
    """Where it is served: the path of a UNIX socket. The server ends with the loop."""

    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await serve(reader, writer)
        writer.close()

    path = private_dir() / f"served{len(list(private_dir().iterdir()))}"
    await asyncio.start_unix_server(quietly, path)
    return str(path)


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """What is said, and once it is all said that this is so."""
    with suppress(ConnectionError):
        await _echo(reader, writer)
    writer.close()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.write(b" was all")
    await writer.drain()


async def heard(channel: Channel) -> bytes:
    said = b""
    async with asyncio.timeout(DEADLINE):
        while data := await channel.read():
            said += data
    return said


async def hangs_up(channel: Channel) -> bool:
    with suppress(ConnectionResetError):
        await heard(channel)
        return False
    return True


async def asked(channels: Channels, target: str, question: bytes) -> bytes:
    channel = channels.open(target)
    hearing = asyncio.create_task(heard(channel))
    await channel.write(question)
    channel.end()
    said = await hearing
    channel.drop()
    return said


async def test_to_a_socket_and_to_a_port(channels: Channels) -> None:
    assert await asked(channels, await served(echo), b"question") == b"question was all"
    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    assert await asked(channels, f"127.0.0.1:{server.sockets[0].getsockname()[1]}", b"over TCP") == b"over TCP was all"
    server.close()


async def test_many_at_once_and_much_on_each(channels: Channels) -> None:
    path = await served(echo)
    questions = [bytes([65 + n]) * (3 * WINDOW + n) for n in range(8)]
    answers = await asyncio.gather(*(asked(channels, path, question) for question in questions))
    assert [answer == question + b" was all" for question, answer in zip(questions, answers, strict=True)] == [True] * 8
    assert not channels._all


async def test_one_that_stands_still_holds_up_no_other_and_takes_no_more_memory(channels: Channels) -> None:
    written = 0

    async def flood(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        while True:
            writer.write(bytes(1 << 16))
            await writer.drain()
            written += 1 << 16

    async def deaf(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(DEADLINE)
        writer.close()

    flooding, ignored = channels.open(await served(flood)), channels.open(await served(deaf))
    telling = asyncio.create_task(ignored.write(bytes(50 * WINDOW)))
    path = await served(echo)
    for _ in range(20):
        assert await asked(channels, path, b"question") == b"question was all"
    assert sum(map(len, flooding._said)) <= WINDOW
    assert sum(map(len, channels._frames)) <= 2 * WINDOW
    assert written < 10 * WINDOW
    assert not telling.done()
    ignored.drop()
    with pytest.raises(ConnectionResetError):
        await telling
    flooding.drop()


async def test_what_nobody_serves_hangs_up(channels: Channels) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    for target in ("/nowhere", f"127.0.0.1:{port}", "nonsense", "/" + 200 * "x"):
        channel = channels.open(target)
        assert await hangs_up(channel)
        with pytest.raises(ConnectionResetError):
            await channel.write(b"x")


async def test_one_whose_backlog_is_full_is_tried_again(channels: Channels) -> None:
    path = private_dir() / "full"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as first:
        server.bind(str(path))
        server.listen(0)
        first.connect(str(path))
        channel = channels.open(str(path))
        assert await asked(channels, await served(echo), b"meanwhile") == b"meanwhile was all"
        server.accept()[0].close()
        server.settimeout(DEADLINE)
        accepted, _ = await asyncio.to_thread(server.accept)
        accepted.sendall(b"at last")
        accepted.close()
        assert await heard(channel) == b"at last"
        channel.drop()


async def test_who_hangs_up_here_is_heard_there(channels: Channels) -> None:
    over = asyncio.Event()

    async def listen(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            await reader.read()
        over.set()

    channel = channels.open(await served(listen))
    await channel.write(b"x")
    channel.drop()
    async with asyncio.timeout(DEADLINE):
        await over.wait()
    with pytest.raises(ConnectionResetError):
        await channel.write(b"x")


async def test_when_the_program_dies_all_end(stream: ProcessStream, channels: Channels) -> None:
    channel = channels.open(await served(echo))
    await channel.write(b"x")
    async with asyncio.timeout(DEADLINE):
        assert await channel.read() == b"x"
    assert await channels.stands()
    stream.process.kill()
    assert await hangs_up(channel)
    assert not await channels.stands()
    assert await hangs_up(channels.open("/any"))


async def test_one_that_hangs_is_found_out(
    stream: ProcessStream, channels: Channels, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_QUIET", 0.0)
    assert await channels.stands()
    monkeypatch.setattr(module, "_ANSWER", 0.2)
    stream.process.send_signal(19)  # SIGSTOP
    assert not await channels.stands()
    stream.process.send_signal(18)


async def test_what_does_not_begin_is_told() -> None:
    stream = await ProcessStream.of(["sh", "-c", "echo no perl >&2; exit 127"])
    channels = Channels(stream)
    assert not await channels.begin(DEADLINE)
    assert (await stream.ended()).status == 127
    await channels.close()


async def test_what_is_no_frame_ends_it() -> None:
    stream = await ProcessStream.of(["sh", "-c", "echo OCI runtime exec failed: no such thing; read -r line"])
    channels = Channels(stream)
    assert not await channels.begin(DEADLINE)
    await channels.close()
