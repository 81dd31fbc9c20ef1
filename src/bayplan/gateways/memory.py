"""A gateway in memory, for tests of what stands above it: the same rules, no process."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from bayplan.errors import GatewayError
from bayplan.facts import GatewayFacts, ServerFacts
from bayplan.gateways.batch import prepare
from bayplan.gateways.reload import addresses
from bayplan.haproxy.config import render
from bayplan.haproxy.state import Pools
from bayplan.haproxy.words import AWAY, is_checked
from bayplan.plan.steps import PoolChange
from bayplan.routing import Pool, Server, Spoken, Table


class MemoryGateway:
    """`bayplan.ports.Gateway` with nothing behind it.

    answers: whether a server passes a check; taken: ports that something else on the host listens on. Both are the
    world, and so are `sessions` (by pool and server) and `is_up`: a test changes them as it likes.
    """

    def __init__(
        self,
        host: str,
        answers: Callable[[Server, Spoken], bool] = lambda *_: True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.host = host
        self.answers = answers
        self.taken: set[int] = set()
        self.sessions: dict[tuple[str, str], int] = {}
        self.is_up = True
        self._table = Table()
        self._pools: dict[str, tuple[ServerFacts, ...]] = {}
        self._saved = GatewayFacts()
        self._clock = clock
        self._changed: dict[tuple[str, str, str], float] = {}

    async def observe(self) -> GatewayFacts:
        self._ask()
        pools = {pool: tuple(self._seen(pool, s) for s in servers) for pool, servers in self._pools.items()}
        away = {p.name: self._seen_away(p) for p in self._table.pools if p.fixed}
        return GatewayFacts(self._table, pools, in_step=self._saved == self._now(), away=away)

    async def configure(self, table: Table) -> None:
        self._ask()
        ours = {port for _, port in addresses(self._table)}
        for address, port in sorted(addresses(table)):
            if port in self.taken - ours:
                raise GatewayError(f"something else already listens on port {port} ({address})", where=self.host)
        pools = {pool.name: self._pools.get(pool.name, ()) for pool in table.pools}
        render("memory", "/run", table, pools, 0)  # refuses what HAProxy could not be told
        self._table, self._pools = table, pools
        self._saved = self._now()

    async def change(self, changes: Sequence[PoolChange]) -> Mapping[PoolChange, str]:
        self._ask()
        batch = prepare(changes, self._table, self._pools, self._clock())
        self._pools = dict(batch.pools)
        now = self._clock()
        stands = ((pool, s.server.name, s.state) for pool, servers in self._pools.items() for s in servers)
        self._changed = {what: self._changed.get(what, now) for what in stands}
        self._saved = self._now()
        return batch.refused

    async def rewrite(self) -> None:
        self._ask()
        self._saved = self._now()

    async def close(self) -> None:
        """Nothing is being written."""

    def meddle(self, pools: Pools) -> None:
        """What somebody at the runtime API, or a change cut short, leaves: it runs, and is not in the file."""
        self._pools = dict(pools)

    def restart(self) -> None:
        """As the engine does after a crash: from the file."""
        self._table, self._pools = self._saved.table, dict(self._saved.pools)
        self.sessions.clear()

    def _ask(self) -> None:
        if not self.is_up:
            raise GatewayError("the gateway does not answer", where=self.host)

    def _now(self) -> GatewayFacts:
        return GatewayFacts(self._table, dict(self._pools))

    def _seen(self, pool: str, server: ServerFacts) -> ServerFacts:
        up, check = self._checked(pool, server.server)
        sessions = self.sessions.get((pool, server.server.name), 0)
        now = self._clock()
        since = now - self._changed.get((pool, server.server.name, server.state), now)
        return replace(server, up=up, check=check, sessions=sessions, since=since)

    def _seen_away(self, pool: Pool) -> ServerFacts:
        address, _, port = pool.fixed.rpartition(":")
        server = Server(AWAY, address, int(port))
        up = self.answers(server, pool.spoken)
        return ServerFacts(server, "ready", up, "L4OK" if up else "L4CON")

    def _checked(self, name: str, server: Server) -> tuple[bool | None, str]:
        pool = next(p for p in self._table.pools if p.name == name)
        if not is_checked(pool, server.name):
            return None, ""
        up = self.answers(server, pool.spoken_to(server.name))
        return up, "L4OK" if up else "L4CON"
