"""The gateway of one host: HAProxy in its container, changed through its runtime API and its file."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from bayplan.container import File
from bayplan.errors import EngineError, GatewayError
from bayplan.facts import GatewayFacts
from bayplan.gateways.batch import Batch, prepare
from bayplan.gateways.moves import refusal
from bayplan.gateways.naming import argv
from bayplan.gateways.reading import LOOK, Look, listens, old_workers, read_look, read_sessions, with_sessions
from bayplan.gateways.reload import new_addresses, reload_fault, taken
from bayplan.gateways.runtime import DEADLINE, ask, ask_master, reload_master
from bayplan.gateways.saver import Saver
from bayplan.haproxy.config import ADMIN, MASTER, render
from bayplan.haproxy.places import LIVE, SAVED, named_files
from bayplan.haproxy.state import MAP, Pools, state_digest
from bayplan.listening import TABLES
from bayplan.plan.names import names_directory, run_directory, system_name
from bayplan.plan.steps import PoolChange
from bayplan.ports import Engine, Reach
from bayplan.routing import Table

_OLD_WORKER_DEADLINE = 1.0
_A_MOMENT = 0.01
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
        self._saver = Saver(self._save)

    async def observe(self) -> GatewayFacts:
        """In step is also what this very object is about to write: `close` waits for it."""
        facts = (await self._look()).facts
        for pid in old_workers(await self._master("show proc")):
            left_behind = read_sessions(await self._of_old(pid, "show stat -1 4 -1"))
            facts = replace(facts, pools=with_sessions(facts.pools, left_behind))
        return replace(facts, in_step=facts.in_step or self._saver.is_due)

    async def configure(self, table: Table) -> None:
        async with self._changing:
            await self._saver.drop()
            look = await self._look()
            if look.table != table:
                if look.table.names != table.names:
                    await self._lay_names(table)
                await self._replace(look, table)
                await self._settle()
            elif not look.facts.in_step:
                await self._save()

    async def change(self, changes: Sequence[PoolChange]) -> Mapping[PoolChange, str]:
        async with self._changing:
            look = await self._look()
            batch = prepare(changes, look.table, look.pools, look.uptime)
            if not batch.told:
                return batch.refused
            try:
                return {**batch.refused, **await self._tell(batch)}
            finally:
                self._saver.soon()

    async def rewrite(self) -> None:
        async with self._changing:
            await self._saver.drop()
            await self._save()

    async def close(self) -> None:
        """Write what is yet to be written."""
        await self._saver.close()

    async def _look(self) -> Look:
        return read_look(await ask(self._reach, f"{self._run}/{ADMIN}", LOOK))

    async def _tell(self, batch: Batch) -> dict[PoolChange, str]:
        """HAProxy's refusals."""
        lines = [line for words in batch.told.values() for line in words]
        leaving = sum(line.startswith("wait ") for line in lines)
        answers = iter(await ask(self._reach, f"{self._run}/{ADMIN}", lines, DEADLINE + leaving))
        said = {change: refusal([next(answers) for _ in words]) for change, words in batch.told.items()}
        return {change: why for change, why in said.items() if why}

    async def _replace(self, look: Look, table: Table) -> None:
        """Reload with another table; refused, a restart reads the one that runs."""
        checking = asyncio.create_task(self._check_ports(look.table, table))
        try:
            await self._write(LIVE, table, look.pools, look.generation + 1)
            await checking
            await self._reload(table)
        except GatewayError:
            await self._write(LIVE, look.table, look.pools, look.generation + 2)
            await self._mark(look, look.generation + 2)
            raise
        finally:
            checking.cancel()

    async def _lay_names(self, table: Table) -> None:
        try:
            done = await self._engine.exec(self._container, argv(names_directory(self._fleet), table.names))
        except EngineError as error:
            raise GatewayError(f"the names of services cannot be written: {error.what}", where=self.host) from error
        if done.status:
            said = done.output.decode(errors="replace").strip()
            raise GatewayError(f"the names of services cannot be written: {said}", where=self.host)

    async def _save(self) -> None:
        """Write what runs."""
        look = await self._look()
        generation = look.generation + 1
        await self._write(SAVED[generation % len(SAVED)], look.table, look.pools, generation)
        await self._mark(look, generation)

    async def _mark(self, look: Look, generation: int) -> None:
        """Have the process know that its restart would read that."""
        mark = f"add map {MAP} saved {generation}:{state_digest(look.table, look.pools)}"
        await ask(self._reach, f"{self._run}/{ADMIN}", (f"clear map {MAP}", mark))

    async def _write(self, path: str, table: Table, pools: Pools, generation: int) -> None:
        text = render(self._fleet, self._run, table, pools, generation)
        try:
            await self._engine.lay(self._container, (*named_files(table), File(path, text.encode())))
        except EngineError as error:
            raise GatewayError(
                f"the gateway's file {path} cannot be written: {error.what}", where=self.host, todo=error.todo
            ) from error

    async def _master(self, command: str, deadline: float = DEADLINE) -> str:
        return await ask_master(self._reach, f"{self._run}/{MASTER}", command, deadline)

    async def _of_old(self, pid: str, command: str) -> str:
        """What a worker that a reload left behind prints; "" when it has ended meanwhile."""
        try:
            return await self._master(f"@!{pid} {command}", _OLD_WORKER_DEADLINE)
        except GatewayError:
            if pid in old_workers(await self._master("show proc")):
                raise
            return ""

    async def _reload(self, table: Table) -> None:
        """Raises GatewayError when the new file was refused; the old process goes on."""
        try:
            fault = reload_fault(await reload_master(self._reach, f"{self._run}/{MASTER}", _RELOAD_DEADLINE))
        except GatewayError:  # the master replaces itself, and may lose the connection over it: what runs tells
            if (await self._look()).table != table:
                raise
        else:
            if fault:
                raise GatewayError(fault, where=self.host, todo="what was served before is still served")

    async def _settle(self) -> None:
        """Until no old worker listens: before it has heard that it is one it takes its share of all calls, those to the
        admin socket as well.
        """
        late = time.monotonic() + DEADLINE
        for pid in old_workers(await self._master("show proc")):
            while listens(await self._of_old(pid, "show info")):
                if time.monotonic() > late:
                    raise GatewayError(f"HAProxy {pid} does not make way for the one after it", where=self.host)
                await asyncio.sleep(_A_MOMENT)

    async def _check_ports(self, old: Table, new: Table) -> None:
        """Refuse a port that something else listens on before HAProxy tries: it stops answering while it does."""
        wanted = new_addresses(old, new)
        if not wanted:
            return
        try:
            seen = await self._engine.exec(self._container, TABLES)
        except EngineError as error:
            raise GatewayError(f"the gateway cannot be looked into: {error.what}", where=self.host) from error
        for address, port in taken(wanted, seen.output.decode(errors="replace")):
            of_registry = new.registry is not None and (address, port) == ("127.0.0.1", new.registry[0])
            other = "set another port for the registry in fleet.yaml" if of_registry else "publish another port"
            raise GatewayError(
                f"something else already listens on port {port} ({address})",
                where=self.host,
                todo=f"see what on the host: sudo ss -ltnp 'sport = :{port}'; stop it, or {other}",
            )
