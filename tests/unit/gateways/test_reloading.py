"""A reload whose old process is slow to hear of it: a real one is, once in thousands of times."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from bayplan.container import File
from bayplan.engines.memory import MemoryEngine
from bayplan.engines.memory_hub import MemoryHub
from bayplan.errors import GatewayError, HostUnreachableError
from bayplan.gateways.haproxy import HaproxyGateway
from bayplan.haproxy.config import ADMIN, MASTER
from bayplan.haproxy.state import SAVED, pack
from bayplan.plan.steps import PoolChange
from bayplan.routing import Pool, Server, Table

OLD, NEW = Table(), Table((), (Pool("site.web.80", "site", "web"),))
JOIN = PoolChange("h1", "join", "site.web.80", Server("site-web-1-r1.h1", "10.0.0.1", 20001), "test")


@dataclass
class Workers:
    """An admin socket that an old worker and a new one share, and their master's. deaf: how often the old one is asked
    before it has heard that it is one; until then every other call reaches it.
    """

    host = "h1"
    directory: Path
    deaf: int
    reloaded: bool = False
    calls: int = 0
    joined: list[str] = field(default_factory=list)

    async def dial(self, target: str, *, fresh: bool = False) -> str:  # noqa: ARG002  nothing here goes stale
        return f"unix:{self.directory / Path(target).name}"

    async def why_silent(self, target: str) -> HostUnreachableError:
        raise NotImplementedError(target)

    async def run(self, argv: Sequence[str], deadline: float = 30.0) -> str:
        raise NotImplementedError(argv, deadline)

    async def close(self) -> None:
        """Nothing is open."""

    def admin(self, line: str) -> str:
        self.calls += 1
        is_new = self.reloaded and not (self.deaf and self.calls % 2)
        if line.startswith("show servers state"):
            variables = {**pack(NEW if is_new else OLD), SAVED: "1:feed"}
            environment = "\n".join(f"{key}={value}" for key, value in variables.items())
            return f"1\n# be_name srv_name\n\n# pxname,svname\n\n{environment}\n\n\n\nUptime_sec: 9\n\n"
        self.joined += ["new" if is_new else "old"] * ("add server" in line)
        return "\n" * len(line.split(";"))

    def master(self, line: str) -> str:
        if line == "reload":
            self.reloaded = True
            return "Success=1\n\n"
        if line == "show proc":
            return "# workers\n8 worker\n# old workers\n7 worker\n# programs\n\n"
        assert line == "@!7 show info"
        self.deaf = max(0, self.deaf - 1)
        return f"Pid: 7\nStopping: {int(not self.deaf)}\n\n"


class Laid(MemoryEngine):
    """A gateway's file goes anywhere."""

    async def lay(self, name: str, files: Sequence[File]) -> None:
        """Nobody reads it."""


@asynccontextmanager
async def gateway(workers: Workers) -> AsyncIterator[HaproxyGateway]:
    def answering(to: Callable[[str], str]) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(to((await reader.readline()).decode().strip()).encode())
            writer.close()

        return answer

    async with AsyncExitStack() as listening:
        for name, to in ((ADMIN, workers.admin), (MASTER, workers.master)):
            await listening.enter_async_context(
                await asyncio.start_unix_server(answering(to), workers.directory / name)
            )
        made = HaproxyGateway(workers, Laid("h1", MemoryHub()), "shop")
        yield made
        await made.close()


async def test_what_follows_a_reload_reaches_the_process_that_stays(tmp_path: Path) -> None:
    workers = Workers(tmp_path, deaf=3)
    async with gateway(workers) as made:
        await made.configure(NEW)
        for _ in range(3):
            await made.change([JOIN])
    assert workers.joined == ["new"] * 3


async def test_a_process_that_does_not_make_way_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayplan.gateways.haproxy.DEADLINE", 0.05)
    workers = Workers(tmp_path, deaf=10**6)
    async with gateway(workers) as made:
        with pytest.raises(GatewayError, match="HAProxy 7 does not make way"):
            await made.configure(NEW)
