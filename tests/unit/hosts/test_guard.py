"""A host through its guard: an engine in memory, and the program itself in a process of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from tests.given import fleet, host
from tests.unit.hosts.perl_stream import ProcessStream

from bayplan.container import Container
from bayplan.engines.memory import MemoryEngine
from bayplan.engines.memory_container import Program
from bayplan.engines.memory_hub import MemoryHub
from bayplan.errors import EngineError, HostRefusedError, HostUnreachableError
from bayplan.hosts.guard import GuardReach
from bayplan.hosts.sockets import private_dir
from bayplan.plan.system import guard_container
from bayplan.ports import ExecResult, ExecStream
from bayplan.spec.model import ENGINE_SOCKET
from bayplan.wiring import open_fleet

FLEET = fleet("h1")
GUARD = guard_container(FLEET, host("h1"), None)
DEADLINE = 30.0


class Way:
    """To the engine."""

    host = "h1"

    def __init__(self) -> None:
        self.closed = False

    async def dial(self, target: str, *, fresh: bool = False) -> str:
        return f"unix:{target} {fresh}"

    async def why_silent(self, target: str) -> HostUnreachableError:
        return HostUnreachableError(f"no engine at {target}")

    async def run(self, argv: Sequence[str], deadline: float = 30.0) -> str:
        raise AssertionError(argv, deadline)

    async def close(self) -> None:
        self.closed = True


class Guarded(MemoryEngine):
    """Begins what is spoken with on this machine. perl: the program's name."""

    perl = "perl"

    def __init__(self, programs: dict[str, ExecResult]) -> None:
        answers = lambda argv: programs[argv[-1]]  # noqa: E731
        hub = MemoryHub(FLEET.gateway_image)
        super().__init__("h1", hub, programs=lambda _: Program(on_exec=answers))
        self.streams: list[ProcessStream] = []

    async def exec_stream(self, name: str, argv: Sequence[str]) -> ExecStream:
        await super().exec_stream(name, argv)
        assert tuple(argv[:3]) == ("chroot", "/host", "perl")
        self.streams.append(await ProcessStream.of(["/usr/bin/env", self.perl, *argv[3:]]))
        return self.streams[-1]

    async def guard(self) -> Container:
        await self.pull(FLEET.gateway_image, lambda _: None)
        await self.run(GUARD)
        return GUARD


@pytest.fixture
def engine() -> Guarded:
    return Guarded({"well": ExecResult(0, b"as can be\n"), "ill": ExecResult(3, b"oh\n"), "long": ExecResult(137, b"")})


@pytest.fixture
async def reach(engine: Guarded) -> AsyncIterator[GuardReach]:
    way = Way()
    reach = GuardReach(way, engine, FLEET.name)
    yield reach
    await reach.close()
    assert way.closed
    assert [stream.process.returncode is None for stream in engine.streams] == [False] * len(engine.streams)
    assert [one.name for one in private_dir().iterdir() if one.name.startswith("r")] == []


@pytest.fixture
async def door() -> str:
    """A socket at which it is said what is heard, in capitals."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        writer.close()

    path = private_dir() / "door"
    await asyncio.start_unix_server(answer, path)
    return str(path)


async def ask(address: str) -> bytes:
    reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    writer.write(b"question\n")
    async with asyncio.timeout(DEADLINE):
        said = await reader.read()
    writer.close()
    return said


async def test_the_engine_is_reached_as_before(reach: GuardReach) -> None:
    assert await reach.dial(ENGINE_SOCKET, fresh=True) == f"unix:{ENGINE_SOCKET} True"
    assert (await reach.why_silent(ENGINE_SOCKET)).what == f"no engine at {ENGINE_SOCKET}"


async def test_all_else_goes_over_one_command_in_the_guard(reach: GuardReach, engine: Guarded, door: str) -> None:
    await engine.guard()
    address = await reach.dial(door)
    assert await asyncio.gather(*(ask(address) for _ in range(5))) == [b"QUESTION\n"] * 5
    assert await reach.dial(door) == address
    assert await ask(await reach.dial(str(Path(door).with_name("nobody")))) == b""
    assert len(engine.streams) == 1
    assert "nothing answers" in (await reach.why_silent("/nobody")).what


async def test_several_may_ask_for_the_way_at_once(reach: GuardReach, engine: Guarded, door: str) -> None:
    await engine.guard()
    addresses = await asyncio.gather(*(reach.dial(door) for _ in range(5)))
    assert len(set(addresses)) == 1
    assert await ask(addresses[0]) == b"QUESTION\n"
    assert len(engine.streams) == 1


async def test_a_host_over_tls_has_that_way_and_no_other_host() -> None:
    over_tls = host("h2").model_copy(update={"address": "tcp://10.77.0.12:2376"})
    async with open_fleet(fleet("h1", over_tls)) as ports:
        assert [isinstance(ports.reaches[name], GuardReach) for name in ("h1", "h2")] == [False, True]


async def test_before_the_guard_is_there_it_is_told_what_to_do(reach: GuardReach, engine: Guarded, door: str) -> None:
    with pytest.raises(HostUnreachableError, match=r"its guard, .* is not there") as told:
        await reach.dial(door)
    assert told.value.todo == "bayplan up starts it"
    assert "is not there" in (await reach.why_silent(door)).what
    with pytest.raises(HostUnreachableError, match="is not there"):
        await reach.run(["well"])
    await engine.guard()
    assert await ask(await reach.dial(door)) == b"QUESTION\n"
    await engine.stop(GUARD.name, 0)
    with pytest.raises(HostUnreachableError, match="does not run"):
        await reach.run(["well"])


async def test_a_guard_that_was_made_anew_is_another_way_by_the_same_socket(
    reach: GuardReach, engine: Guarded, door: str
) -> None:
    await engine.guard()
    address = await reach.dial(door)
    engine.streams[0].process.kill()
    await engine.streams[0].process.wait()
    async with asyncio.timeout(DEADLINE):
        while await reach._channels.stands():  # type: ignore[union-attr]  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
    assert await ask(address) == b"QUESTION\n"
    assert len(engine.streams) == 2
    assert await ask(await reach.dial(door, fresh=True)) == b"QUESTION\n"
    assert len(engine.streams) == 3


async def test_a_host_without_perl_refuses(reach: GuardReach, engine: Guarded, door: str) -> None:
    await engine.guard()
    engine.perl = "no-such-perl"
    with pytest.raises(HostRefusedError, match="has no perl") as told:
        await reach.dial(door)
    assert "perl-base" in told.value.todo
    assert isinstance(await reach.why_silent(door), HostRefusedError)


async def test_commands_are_run_on_the_host(reach: GuardReach, engine: Guarded) -> None:
    await engine.guard()
    assert await reach.run(["what", "well"]) == "as can be\n"
    with pytest.raises(EngineError, match="'what ill' failed with status 3: oh"):
        await reach.run(["what", "ill"])
    with pytest.raises(EngineError, match="'what long' did not end in time"):
        await reach.run(["what", "long"])
