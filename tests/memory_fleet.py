"""A whole fleet in memory, driven by the real loop: engines that take their time and fail when told to."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from typing import Any

from tests.given import IMAGE
from tests.virtual_time import VirtualClock

from bayplan.container import Container
from bayplan.converge.loop import Convergence
from bayplan.converge.observe import observe
from bayplan.converge.outcome import Outcome, PassEvent, StepEvent
from bayplan.engines.memory import MemoryEngine
from bayplan.engines.memory_container import Program
from bayplan.engines.memory_hub import MemoryHub
from bayplan.engines.memory_lock import MemoryLock
from bayplan.errors import BayplanError, HostUnreachableError, ImageError
from bayplan.facts import Facts
from bayplan.gateways.memory import MemoryGateway
from bayplan.plan.goal import Goal
from bayplan.plan.plan import plan
from bayplan.plan.steps import PoolChange, Step, kind
from bayplan.ports import FleetPorts, LogLine
from bayplan.routing import Server, Spoken
from bayplan.spec.model import Fleet

OTHER_IMAGE, BAD_IMAGE, EXITING_IMAGE = "shop/web@sha256:2", "shop/web@sha256:bad", "shop/web@sha256:exits"
TAKES = {"run": 0.4, "start": 0.3, "stop": 1.0, "remove": 1.2, "pull": 2.0, "observe": 0.02}
UP_AFTER = 0.5  # seconds until a program listens


class BusyEngine:
    """A MemoryEngine whose work takes time. fails: what a method raises, in turn. most: how much it did at once.

    unfetched: images that it has no room for.
    """

    def __init__(self, inner: MemoryEngine) -> None:
        self.inner, self.host = inner, inner.host
        self.fails: dict[str, list[BayplanError]] = defaultdict(list)
        self.doing: Counter[str] = Counter()
        self.most: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.running_since: dict[str, float] = {}
        self.unfetched: set[str] = set()
        self._refused: dict[tuple[str, str], BayplanError] = {}

    def refuses(self, method: str, name: str, error: BayplanError) -> None:
        """Each time that it is asked to do that to the container of that name."""
        self._refused[method, name] = error

    def logs(self, name: str, *, tail: int | None = None) -> AsyncIterator[LogLine]:
        return self.inner.logs(name, tail=tail)

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def work(*args: Any, **more: Any) -> Any:
            return await self._work(name, *args, **more)

        return work

    async def _work(self, name: str, *args: Any, **more: Any) -> Any:
        self.doing[name] += 1
        self.most[name] = max(self.most[name], self.doing[name])
        try:
            await asyncio.sleep(TAKES.get(name, 0.01))
            if self.fails[name]:
                raise self.fails[name].pop(0)
            if args and (error := self._refused.get((name, str(args[0])))):
                raise error
            if name == "pull" and args[0] in self.unfetched:
                raise ImageError(f"{args[0]} cannot be pulled: no space left on device", where=self.host)
            result = await getattr(self.inner, name)(*args, **more)
        finally:
            self.doing[name] -= 1
        self.done[name] += 1
        self._note_start(name, args)
        return result

    def _note_start(self, name: str, args: tuple[Any, ...]) -> None:
        if name in ("run", "start"):
            started = args[0].name if isinstance(args[0], Container) else args[0]
            self.running_since[started] = asyncio.get_running_loop().time()

    def listens(self, port: int) -> bool:
        """Whether a container answers on that port now."""
        now = asyncio.get_running_loop().time()
        for name, since in self.running_since.items():
            found = self.inner._find(name)
            if found and found.state == "running" and any(b.port == port for b in found.made_of.ports):
                return found.made_of.image != BAD_IMAGE and now - since >= UP_AFTER
        return False


class Login:
    """What a command finds on the host: nothing listens there, and it has these addresses. needs: the engine whose guard
    runs it, where no other way leads there.
    """

    def __init__(self, *addresses: str) -> None:
        self.addresses, self.times = addresses, 0
        self.needs: MemoryEngine | None = None

    async def run(self, _: Sequence[str]) -> str:
        self.times += 1
        if self.needs and not any(c.role == "guard" for c in (await self.needs.observe("t")).system):
            raise HostUnreachableError("its guard is not there", where=self.needs.host)
        return "".join(f"           |-- {address}\n              /32 host LOCAL\n" for address in self.addresses)


class SilentGateway(MemoryGateway):
    """A gateway that cannot be reached when its host cannot."""

    def __init__(self, engine: BusyEngine, answers: Callable[[Server, Spoken], bool]) -> None:
        super().__init__(engine.host, answers)
        self._engine = engine

    def _ask(self) -> None:
        if not self._engine.inner.answers:
            raise HostUnreachableError("it does not answer", where=self.host)
        super()._ask()


def _program(container: Container) -> Program:
    return Program(exits=1) if container.image == EXITING_IMAGE else Program()


class MemoryFleet:
    """Ports, and what a test does to the world behind them."""

    def __init__(self, fleet: Fleet, cpus: float = 4.0) -> None:
        self.fleet = fleet
        hub = MemoryHub(fleet.gateway_image, IMAGE, OTHER_IMAGE, BAD_IMAGE, EXITING_IMAGE)
        self.engines = {n: BusyEngine(MemoryEngine(n, hub, cpus=cpus, programs=_program)) for n in fleet.hosts}
        self.gateways = {n: SilentGateway(e, self._answers) for n, e in self.engines.items()}
        self.logins = {n: Login("127.0.0.1", h.private_ip) for n, h in fleet.hosts.items()}
        self.events: list[StepEvent | PassEvent] = []
        self.ports = FleetPorts(
            fleet=fleet,
            reaches=self.logins,  # type: ignore[arg-type]
            engines=self.engines,  # type: ignore[arg-type]
            gateways=self.gateways,
            registry=None,
            releases=None,  # type: ignore[arg-type]
            clock=VirtualClock(),
            lock=MemoryLock(),
        )

    def _answers(self, server: Server, _how: Spoken) -> bool:
        host = next((h.name for h in self.fleet.hosts.values() if h.private_ip == server.address), None)
        return host is not None and self.engines[host].listens(server.port)

    async def up(self, goal: Goal, *, patience: float = 120.0) -> Outcome:
        """One run of the real loop."""
        self.events.clear()
        run = Convergence(
            self.ports, lambda facts, now, memory: plan(goal, facts, now, memory), self.events.append, patience=patience
        )
        return await run.run()

    async def up_killed_after(self, goal: Goal, seconds: float) -> bool:
        """A run that is killed after so long; whether it was done before."""
        try:
            async with asyncio.timeout(seconds):
                await self.up(goal)
        except TimeoutError:
            return False
        return True

    async def facts(self) -> Facts:
        """What stands now."""
        return await observe(self.ports)

    def steps(self, state: str = "done") -> list[Step]:
        """What was done, or failed, in the last run."""
        return [e.step for e in self.events if isinstance(e, StepEvent) and e.state == state]

    def kinds(self, state: str = "done") -> Counter[str]:
        """The same, counted by kind; gateways and guards left out."""
        return Counter(kind(s) for s in self.steps(state) if isinstance(s, PoolChange) or kind(s) != "system")

    async def names(self) -> list[str]:
        """Every replica with its host."""
        return sorted(f"{r.name}.{r.host}" for r in (await self.facts()).replicas())

    async def taking_traffic(self) -> set[str]:
        """Servers that are ready and up at every balancer."""
        found: list[set[str]] = []
        for name in self.fleet.balancer.hosts:
            seen = await self.gateways[name].observe()
            found.append({s.server.name for v in seen.pools.values() for s in v if s.state == "ready" and s.up})
        return set.intersection(*found)
