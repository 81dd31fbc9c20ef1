"""A container in memory: the states that a real one goes through, and a program instead of processes."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from bayplan.container import Container
from bayplan.facts import ContainerState
from bayplan.ports import ExecResult

_RETRIES: Final = 3  # an engine's own number


def _silent(argv: Sequence[str]) -> ExecResult:  # noqa: ARG001
    return ExecResult(0, b"")


Talk = Generator[bytes, bytes, int]  # yields what it says, is sent what is said to it, returns its status


def _deaf(argv: Sequence[str]) -> Talk:  # noqa: ARG001
    yield b""
    return 0


@dataclass(frozen=True, slots=True)
class Program:
    """What a container does once it is started.

    exits: with this status, at once; None: it stays. healthy_after: so many observations; None: never (its health check
    fails). says: lines of (stream, text) at each start. on_exec: what a command in it answers; on_talk: what one does
    that is spoken with.
    """

    exits: int | None = None
    healthy_after: int | None = 0
    says: tuple[tuple[str, str], ...] = ()
    on_exec: Callable[[Sequence[str]], ExecResult] = _silent
    on_talk: Callable[[Sequence[str]], Talk] = _deaf


@dataclass(frozen=True, slots=True)
class MemoryNetwork:
    """Another one of its name has another id."""

    id: str
    labels: dict[str, str]


@dataclass
class MemoryContainer:
    """One container of a MemoryEngine."""

    id: str
    made_of: Container
    image_id: str
    program: Program
    state: ContainerState = "created"
    exit_code: int = 0
    seen: int = 0
    lines: list[tuple[str, str]] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    network_id: str = ""

    def start(self) -> None:
        if self.state == "running":
            return
        self.state = "running"
        self.seen = 0
        self.lines += self.program.says
        if self.program.exits is not None:
            self.exit(self.program.exits)

    def exit(self, code: int, *, by_hand: bool = False) -> None:
        """Its process ended. by_hand: it was stopped, which no restart policy undoes."""
        self.exit_code = code
        policy = self.made_of.restart.partition(":")[0]
        again = policy in ("always", "unless-stopped") or (policy == "on-failure" and code != 0)
        self.state = "restarting" if again and not by_hand else "exited"

    def kill(self) -> None:
        """Its process dies while it could go on: a restart policy brings it back."""
        self.exit(137)
        if self.state == "restarting":
            self.state = "created"
            self.start()

    def entry(self) -> dict[str, Any]:
        """As in the engine's list of containers; looking at it lets its health check run once."""
        self.seen += 1
        bound = self.made_of.ports if self.state in ("running", "paused") else ()
        ports = [{"IP": b.address, "PrivatePort": b.target, "PublicPort": b.port, "Type": b.protocol} for b in bound]
        return {
            "Id": self.id,
            "Names": [f"/{self.made_of.name}"],
            "Image": self.made_of.image,
            "ImageID": self.image_id,
            "Labels": dict(self.made_of.labels),
            "State": self.state,
            "Status": self.status(),
            "Ports": ports,
            "NetworkSettings": {"Networks": {self.made_of.network: {"NetworkID": self.network_id}}},
        }

    def status(self) -> str:
        """The engine's words for its state."""
        match self.state:
            case "running":
                return f"Up 1 second{self._health()}"
            case "paused":
                return "Up 1 second (Paused)"
            case "exited":
                return f"Exited ({self.exit_code}) 1 second ago"
            case "restarting":
                return f"Restarting ({self.exit_code}) 1 second ago"
            case _:
                return "Created"

    def _health(self) -> str:
        check = self.made_of.healthcheck
        if check is None or not check.test or check.test[0] == "NONE":
            return ""
        if self.program.healthy_after is None:
            return " (unhealthy)" if self.seen > (check.retries or _RETRIES) else " (health: starting)"
        return " (healthy)" if self.seen > self.program.healthy_after else " (health: starting)"


class MemoryStream:
    """A command that is spoken with, in a container of a MemoryEngine."""

    def __init__(self, talk: Talk, gone: asyncio.Event) -> None:
        self._talk, self._gone = talk, gone
        self._said: asyncio.Queue[bytes] = asyncio.Queue()
        self._over = asyncio.Event()
        self._status = 0
        self._hear(lambda: next(talk))

    async def read(self) -> bytes:
        said = asyncio.ensure_future(self._said.get())
        ends = [asyncio.ensure_future(event.wait()) for event in (self._gone, self._over)]
        try:
            await asyncio.wait([said, *ends], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (said, *ends):
                task.cancel()
            await asyncio.gather(said, *ends, return_exceptions=True)
        return said.result() if said.done() and not said.cancelled() else b""

    async def write(self, data: bytes) -> None:
        if not (self._over.is_set() or self._gone.is_set()):
            self._hear(lambda: self._talk.send(data))

    async def ended(self) -> ExecResult:
        return ExecResult(self._status, b"")

    async def close(self) -> None:
        self._talk.close()
        self._over.set()

    def _hear(self, step: Callable[[], bytes]) -> None:
        try:
            if said := step():
                self._said.put_nowait(said)
        except StopIteration as end:
            self._status = end.value
            self._over.set()


@dataclass(frozen=True)
class MemoryHeld:
    """A container that is held. remove: by its id."""

    container: MemoryContainer
    remove: Callable[[str, float], Awaitable[None]]

    @property
    def is_sure(self) -> bool:
        return True

    async def live(self) -> None:
        self.container.start()
        await self.container.gone.wait()

    async def let_go(self) -> None:
        await self.remove(self.container.id, 0)
