"""The gateway of one host: HAProxy in its container, changed through its runtime API and its file."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bayplan.errors import EngineError, GatewayError
from bayplan.facts import GatewayFacts, Table
from bayplan.gateways.batch import Batch, prepare
from bayplan.gateways.moves import refusal
from bayplan.gateways.reading import LOOK, Look, old_workers, read_look, read_sessions, with_sessions
from bayplan.gateways.reload import new_addresses, reload_fault, taken
from bayplan.gateways.runtime import DEADLINE, ask, ask_master
from bayplan.haproxy.config import ADMIN, MASTER, render
from bayplan.haproxy.places import LIVE, SAVED
from bayplan.haproxy.state import MAP, Pools, state_digest
from bayplan.plan.names import run_directory, system_name
from bayplan.plan.steps import PoolChange
from bayplan.ports import Engine, Reach

_RELOAD_DEADLINE = 30.0  # seconds; HAProxy alone tries for two to listen where something else does


class HaproxyGateway:
    """`bayplan.ports.Gateway` over a host's admin and master sockets, and its engine for the file."""

    def __init__(self, reach: Reach, engine: Engine, fleet: str) -> None:
        self.host = reach.host
        self._reach = reach
        self._engine = engine
        self._fleet = fleet
        self._run = run_directory(fleet)
        self._container = system_name("gateway", fleet)
        self._changing = asyncio.Lock()

    async def observe(self) -> GatewayFacts:
        facts = (await self._look()).facts
        for pid in old_workers(await self._master("show proc")):
            left = read_sessions(await self._master(f"@!{pid} show stat -1 4 -1"))
            facts = replace(facts, pools=with_sessions(facts.pools, left))
        return facts

    async def configure(self, table: Table) -> None:
        async with self._changing:
            look = await self._look()
            if look.table == table and look.facts.in_step:
                return
            await self._check_ports(look.table, table)
            await self._write(LIVE, self._text(table, look.pools, look.generation + 1))
            if fault := await self._reload(table):
                await self._write(LIVE, self._text(look.table, look.pools, look.generation + 2))
                raise GatewayError(fault, where=self.host, todo="what was served before is still served")

    async def change(self, changes: Sequence[PoolChange]) -> Mapping[PoolChange, str]:
        async with self._changing:
            look = await self._look()
            batch = prepare(changes, look.table, look.pools)
            if not batch.told:
                return batch.refused
            generation = look.generation + 1
            refused = await self._tell_and_save(batch, look.table, generation)
            now = await self._look()
            if state_digest(now.table, now.pools) != state_digest(look.table, batch.pools):
                generation += 1
                await self._save(now.table, now.pools, generation)
            await self._mark(now, generation)
            return {**batch.refused, **refused}

    async def rewrite(self) -> None:
        async with self._changing:
            look = await self._look()
            await self._save(look.table, look.pools, look.generation + 1)
            await self._mark(look, look.generation + 1)

    async def _look(self) -> Look:
        return read_look(await ask(self._reach, f"{self._run}/{ADMIN}", LOOK))

    async def _tell_and_save(self, batch: Batch, table: Table, generation: int) -> dict[PoolChange, str]:
        """Both at once: writing a file takes the engine tens of milliseconds, the changes take HAProxy a few."""
        saving = asyncio.create_task(self._save(table, batch.pools, generation))
        try:
            return await self._tell(batch)
        finally:
            await saving

    async def _tell(self, batch: Batch) -> dict[PoolChange, str]:
        """HAProxy's refusals."""
        lines = [line for words in batch.told.values() for line in words]
        leaving = sum(line.startswith("wait ") for line in lines)
        answers = iter(await ask(self._reach, f"{self._run}/{ADMIN}", lines, DEADLINE + leaving))
        said = {change: refusal([next(answers) for _ in words]) for change, words in batch.told.items()}
        return {change: why for change, why in said.items() if why}

    def _text(self, table: Table, pools: Pools, generation: int) -> str:
        return render(self._fleet, self._run, table, pools, generation)

    async def _save(self, table: Table, pools: Pools, generation: int) -> None:
        await self._write(SAVED[generation % len(SAVED)], self._text(table, pools, generation))

    async def _mark(self, look: Look, generation: int) -> None:
        """Have the process know what its restart would read."""
        digest = state_digest(look.table, look.pools)
        commands_ = (f"clear map {MAP}", f"add map {MAP} saved {generation}:{digest}")
        await ask(self._reach, f"{self._run}/{ADMIN}", commands_)

    async def _write(self, path: str, text: str) -> None:
        try:
            await self._engine.write_file(self._container, path, text.encode())
        except EngineError as error:
            raise GatewayError(
                f"the gateway's file {path} cannot be written: {error.what}", where=self.host, todo=error.todo
            ) from error

    async def _master(self, command: str, deadline: float = DEADLINE) -> str:
        return await ask_master(self._reach, f"{self._run}/{MASTER}", command, deadline)

    async def _reload(self, table: Table) -> str:
        """Why the new file was refused; "" when it runs."""
        try:
            return reload_fault(await self._master("reload", _RELOAD_DEADLINE))
        except GatewayError:  # the master replaces itself, and may lose the connection over it: what runs tells
            if (await self._look()).table == table:
                return ""
            raise

    async def _check_ports(self, old: Table, new: Table) -> None:
        """Refuse a port that something else listens on before HAProxy tries: it stops answering while it does."""
        wanted = new_addresses(old, new)
        if not wanted:
            return
        try:
            seen = await self._engine.exec(self._container, ("cat", "/proc/net/tcp", "/proc/net/tcp6"))
        except EngineError as error:
            raise GatewayError(f"the gateway cannot be looked into: {error.what}", where=self.host) from error
        for address, port in taken(wanted, seen.output.decode(errors="replace")):
            raise GatewayError(
                f"something else already listens on port {port} ({address})",
                where=self.host,
                todo=f"see what on the host: sudo ss -ltnp 'sport = :{port}'; stop it, or publish another port",
            )
