"""What every gateway gives: one suite for HAProxy 3.0 in its container on a lab's host, and for the one in memory."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.certificates import authority
from tests.gateways import answers, eventually, fleet_on, in_a_loop_of_its_own, remove_system, start_system

from bayplan.engines.docker import DockerEngine
from bayplan.errors import GatewayError
from bayplan.facts import ServerFacts
from bayplan.gateways.haproxy import HaproxyGateway
from bayplan.gateways.memory import MemoryGateway
from bayplan.gateways.runtime import ask
from bayplan.hosts import reach_for
from bayplan.lab import Lab
from bayplan.plan.names import run_directory, system_name
from bayplan.plan.steps import PoolChange
from bayplan.ports import Gateway, Reach
from bayplan.routing import Listener, Pool, Route, Server, Spoken, Table
from bayplan.spec.model import Fleet

POOL = "site.web.80"


@dataclass
class InMemory:
    """The world around a MemoryGateway."""

    gateway: MemoryGateway = field(default_factory=lambda: MemoryGateway("h1", _hears))

    def good(self, number: int = 1) -> Server:
        return Server(f"site-web-{number}-r1.h1", "10.0.0.1", 20000 + number)

    def bad(self) -> Server:
        return Server("site-web-9-r1.h1", "10.0.0.1", 1)

    async def meddle(self, server: Server) -> None:
        self.gateway.meddle({POOL: (ServerFacts(server, "maint", None),)})

    async def restart(self) -> None:
        self.gateway.restart()

    async def take(self, port: int) -> None:
        self.gateway.taken.add(port)

    async def stop(self) -> None:
        self.gateway.is_up = False

    async def close(self) -> None:
        """Nothing is open."""


@dataclass
class OnLab:
    """The world around a HaproxyGateway on a lab's h1; its servers listen on this machine's end of the private net."""

    lab: Lab
    fleet: Fleet
    reach: Reach
    engine: DockerEngine
    gateway: HaproxyGateway
    servers: list[asyncio.Server] = field(default_factory=list)
    started: list[asyncio.subprocess.Process] = field(default_factory=list)

    @classmethod
    async def of(cls, lab: Lab, fleet: Fleet) -> OnLab:
        reach = reach_for(fleet.hosts["h1"], fleet.ssh)
        engine = DockerEngine(reach)
        world = cls(lab, fleet, reach, engine, HaproxyGateway(reach, engine, fleet.name))
        for number in range(1, 4):
            address = lab.layout.operator_ip
            answer = partial(_answer, number)
            world.servers.append(await asyncio.start_server(answer, address, 20000 + number, reuse_address=True))
        return world

    def good(self, number: int = 1) -> Server:
        return Server(f"site-web-{number}-r1.h1", self.lab.layout.operator_ip, 20000 + number)

    def bad(self) -> Server:
        return Server("site-web-9-r1.h1", self.lab.layout.operator_ip, 1)

    async def meddle(self, server: Server) -> None:
        path = f"{run_directory(self.fleet.name)}/admin.sock"
        await ask(self.reach, path, (f"set server {POOL}/{server.name} state maint",))

    async def restart(self) -> None:
        await self.gateway.close()
        await self._docker("restart", "-t", "1")
        await eventually(lambda: answers(self.gateway))

    async def take(self, port: int) -> None:
        listen = (
            f"import socket, time; s = socket.create_server(('0.0.0.0', {port})); print(1, flush=True); time.sleep(60)"
        )
        netns = f"/run/netns/{self.lab.host('h1').netns}"
        argv = ("nsenter", f"--net={netns}", "python3", "-c", listen)
        holder = await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE)
        self.started.append(holder)
        assert holder.stdout
        await holder.stdout.readline()

    async def stop(self) -> None:
        await self._docker("stop", "-t", "1")

    async def close(self) -> None:
        for process in self.started:
            process.kill()
            await process.wait()
        for server in self.servers:
            server.close()
        await self._docker("start")
        await eventually(lambda: answers(self.gateway))
        await self.gateway.configure(Table())
        await self.gateway.close()
        await self.engine.close()
        await self.reach.close()

    async def _docker(self, *argv: str) -> None:
        await asyncio.to_thread(self.lab.on, "h1", ["docker", *argv, system_name("gateway", self.fleet.name)])


World = InMemory | OnLab


@pytest.fixture(params=["memory", "haproxy"])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    made = InMemory() if request.param == "memory" else await _on_lab(request)
    yield made
    await made.close()


async def _on_lab(request: pytest.FixtureRequest) -> OnLab:
    # The lab is made before this loop runs, by a fixture that pytest can share among modules.
    lab, fleet = request.getfixturevalue("hosts_with_gateways")
    return await OnLab.of(lab, fleet)


@pytest.fixture(scope="module")
def hosts_with_gateways(request: pytest.FixtureRequest) -> Iterator[tuple[Lab, Fleet]]:
    lab: Lab = request.getfixturevalue("lab")
    fleet = fleet_on(lab, "contract")
    in_a_loop_of_its_own(start_system(fleet))
    yield lab, fleet
    remove_system(lab, fleet)


def _hears(server: Server, how: Spoken) -> bool:
    """`_answer`, for the gateway in memory."""
    return server.port != 1 and not ("/of-" in how.check and how.check != f"http /of-{server.port - 20000}")


async def _answer(number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """200, but for the path /of-N of another server."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        status = "404 Not Found" if path.startswith("/of-") and path != f"/of-{number}" else "200 OK"
        writer.write(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
    writer.close()


def table(*, port: int = 8080, listeners: tuple[Listener, ...] | None = None, **pool: Any) -> Table:
    front = Listener(port, routes=(Route(POOL),))
    return Table((front,) if listeners is None else listeners, (Pool(POOL, "site", "web", **pool),))


def change(action: Any, server: Server, pool: str = POOL) -> PoolChange:
    return PoolChange("h1", action, pool, server, "the test asks for it")


async def servers(gateway: Gateway) -> dict[str, ServerFacts]:
    return {s.server.name: s for s in (await gateway.observe()).pools[POOL]}


async def state(gateway: Gateway, server: Server) -> str:
    found = await servers(gateway)
    return found[server.name].state if server.name in found else "gone"


async def is_up(gateway: Gateway, server: Server) -> bool | None:
    return (await servers(gateway))[server.name].up


async def join_ready(gateway: Gateway, *joining: Server) -> None:
    assert await gateway.change([change("join", s) for s in joining]) == {}
    for server in joining:
        await eventually(lambda server=server: is_up(gateway, server))  # type: ignore[misc]
    assert await gateway.change([change("ready", s) for s in joining]) == {}


async def test_starts_empty_and_in_step(world: World) -> None:
    facts = await world.gateway.observe()
    assert facts.table == Table()
    assert facts.pools == {}
    assert facts.in_step


async def test_tells_the_very_table_that_it_was_given(world: World) -> None:
    api = Route("site.api.9000", ("shop.example.com", "*.example.org"), "/it's/ä b")
    fronts = (
        Listener(8080, "127.0.0.1", "http", (Route(POOL), api)),
        Listener(8081, "", "tcp", (Route("site.db.5432"),)),
    )
    pools = (
        Pool(POOL, "site", "web", "http", "http /health", sticky=True),
        Pool("site.api.9000", "site", "api", "http", interval=0.5, timeout=1.5),
        Pool("site.db.5432", "site", "db", proxy_protocol=True),
    )
    wanted = Table(fronts, pools, (5999, "10.0.0.9", 25000))
    await world.gateway.configure(wanted)
    facts = await world.gateway.observe()
    assert facts.table == wanted
    assert facts.pools == {p.name: () for p in pools}
    assert facts.in_step


async def test_a_server_joins_drained_is_checked_and_then_takes_traffic(world: World) -> None:
    gateway, server = world.gateway, world.good()
    await gateway.configure(table())
    assert await gateway.change([change("join", server)]) == {}
    assert await state(gateway, server) == "drain"
    await eventually(lambda: is_up(gateway, server))
    assert (await servers(gateway))[server.name].check == "L4OK"
    assert await gateway.change([change("ready", server)]) == {}
    assert await state(gateway, server) == "ready"
    assert (await servers(gateway))[server.name].server == server


async def test_a_server_drains_and_leaves(world: World) -> None:
    gateway, server = world.gateway, world.good()
    await gateway.configure(table())
    await join_ready(gateway, server)
    assert await gateway.change([change("drain", server)]) == {}
    assert await state(gateway, server) == "drain"
    assert (await servers(gateway))[server.name].sessions == 0
    assert await gateway.change([change("leave", server)]) == {}
    assert await state(gateway, server) == "gone"


async def test_how_long_a_server_drains_is_counted_from_when_it_began(world: World) -> None:
    gateway, server = world.gateway, world.good()
    await gateway.configure(table())
    for _ in range(2):  # the second time it is not the first that counts
        await join_ready(gateway, server)
        await asyncio.sleep(1)  # while it is up
        began = time.monotonic()
        await gateway.change([change("drain", server)])
        drained = time.monotonic()
        await asyncio.sleep(0.5)
        asked = time.monotonic()
        since = (await servers(gateway))[server.name].since
        assert asked - drained - 0.1 <= since <= time.monotonic() - began + 0.1
        assert await gateway.change([change("ready", server)]) == {}


async def test_a_server_that_answers_nobody_is_not_up(world: World) -> None:
    gateway, server = world.gateway, world.bad()
    await gateway.configure(table())
    await gateway.change([change("join", server)])

    async def is_found_down() -> bool:
        return await is_up(gateway, server) is False

    await eventually(is_found_down)


@pytest.mark.parametrize("former", [Spoken("http /of-1"), Spoken("tcp")])
async def test_servers_of_before_are_asked_as_they_were(world: World, former: Spoken) -> None:
    gateway, old, new = world.gateway, world.good(1), world.good(2)
    await gateway.configure(table(check=former.check, interval=0.1))
    await join_ready(gateway, old)
    both = table(check="http /of-2", interval=0.1, former=((old.name, former),))
    await gateway.configure(both)
    await join_ready(gateway, new)
    await asyncio.sleep(0.5)
    seen = await servers(gateway)
    assert [seen[s.name].takes_traffic for s in (old, new)] == [True, True]
    await world.restart()
    assert (await gateway.observe()).table == both
    assert (await servers(gateway))[old.name].takes_traffic
    assert await gateway.change([change("drain", old)]) == {}
    assert await state(gateway, old) == "drain"
    assert await gateway.change([change("leave", old)]) == {}
    await gateway.change([change("join", world.good(3))])

    async def is_found_down() -> bool:
        return await is_up(gateway, world.good(3)) is False

    await eventually(is_found_down)


async def test_a_batch_that_is_done_again_is_done(world: World) -> None:
    gateway, one, two = world.gateway, world.good(1), world.good(2)
    await gateway.configure(table())
    await join_ready(gateway, one)
    for batch in (
        [change("join", one), change("join", two)],
        [change("ready", one)],
        [change("drain", two)],
        [change("leave", world.good(3)), change("drain", world.good(3))],
    ):
        assert await gateway.change(batch) == {}
        assert await gateway.change(batch) == {}
    assert (await state(gateway, one), await state(gateway, two)) == ("ready", "drain")


async def test_a_change_that_cannot_be_made_does_not_spoil_the_others(world: World) -> None:
    gateway, good = world.gateway, world.good(1)
    await gateway.configure(table())
    absent = change("ready", world.good(2))
    nowhere = change("join", good, "site.nothing.1")
    unspeakable = change("join", Server("a b;c", "10.0.0.1", 80))
    refused = await gateway.change([absent, change("join", good), nowhere, unspeakable])
    assert set(refused) == {absent, nowhere, unspeakable}
    assert "not in the pool" in refused[absent]
    assert "no pool site.nothing.1" in refused[nowhere]
    assert await state(gateway, good) == "drain"


async def test_a_name_that_has_another_endpoint_now_joins_anew(world: World) -> None:
    gateway, old = world.gateway, world.good(1)
    new = Server(old.name, old.address, world.good(2).port)
    await gateway.configure(table())
    await join_ready(gateway, old)
    assert await gateway.change([change("join", new)]) == {}
    found = (await servers(gateway))[old.name]
    assert (found.server, found.state) == (new, "drain")


async def test_a_server_leaves_and_joins_in_one_batch(world: World) -> None:
    gateway, server = world.gateway, world.good()
    await gateway.configure(table())
    await join_ready(gateway, server)
    assert await gateway.change([change("leave", server), change("join", server)]) == {}
    assert await state(gateway, server) == "drain"


async def test_pools_that_stay_keep_their_endpoints_and_states(world: World) -> None:
    gateway, one, two = world.gateway, world.good(1), world.good(2)
    await gateway.configure(table())
    await join_ready(gateway, one)
    await gateway.change([change("join", two)])
    more = Pool("site.more.1", "site", "more")
    fuller = table(interval=1.0)
    await gateway.configure(Table(fuller.listeners, (*fuller.pools, more)))
    assert (await state(gateway, one), await state(gateway, two)) == ("ready", "drain")
    facts = await gateway.observe()
    assert facts.pools["site.more.1"] == ()
    assert facts.in_step
    await gateway.configure(Table())
    assert (await gateway.observe()).pools == {}


async def test_a_restart_brings_back_what_ran(world: World) -> None:
    gateway, one, two = world.gateway, world.good(1), world.good(2)
    await gateway.configure(table())
    await join_ready(gateway, one, two)
    await gateway.change([change("drain", two)])
    before = await gateway.observe()
    await world.restart()
    facts = await gateway.observe()
    assert facts.table == before.table
    assert (await state(gateway, one), await state(gateway, two)) == ("ready", "drain")
    assert facts.in_step
    assert await gateway.change([change("ready", two)]) == {}
    assert await state(gateway, two) == "ready"


async def test_what_runs_and_is_not_in_the_file_is_told_and_can_be_written(world: World) -> None:
    gateway, server = world.gateway, world.good()
    await gateway.configure(table())
    await join_ready(gateway, server)
    await gateway.rewrite()
    assert (await gateway.observe()).in_step
    await world.meddle(server)
    facts = await gateway.observe()
    assert facts.pools[POOL][0].state == "maint"
    assert not facts.in_step
    await gateway.rewrite()
    assert (await gateway.observe()).in_step


async def test_a_server_in_maintenance_can_join_again(world: World) -> None:
    gateway, server = world.gateway, world.good()
    await gateway.configure(table())
    await join_ready(gateway, server)
    await world.meddle(server)
    assert await gateway.change([change("join", server)]) == {}
    assert await state(gateway, server) == "drain"


async def test_a_port_that_something_else_holds_is_named_and_nothing_changes(world: World) -> None:
    gateway, server = world.gateway, world.good()
    await gateway.configure(table())
    await join_ready(gateway, server)
    before = await gateway.observe()
    await world.take(8099)
    with pytest.raises(GatewayError, match="8099"):
        await gateway.configure(table(port=8099))
    facts = await gateway.observe()
    assert facts.table == before.table
    assert await state(gateway, server) == "ready"
    assert facts.in_step


async def test_a_table_that_cannot_be_written_is_refused_and_nothing_changes(world: World) -> None:
    await world.gateway.configure(table())
    listeners = (Listener(8080, "", "http", (Route(POOL, (), "/a\nbackend evil"),)),)
    with pytest.raises(GatewayError):
        await world.gateway.configure(table(listeners=listeners))
    facts = await world.gateway.observe()
    assert facts.table == table()
    assert facts.in_step


async def test_tls_to_a_managed_service_is_believed_by_its_name_and_its_authority(
    hosts_with_gateways: tuple[Lab, Fleet], tmp_path: Path
) -> None:
    """Whom the gateway does not believe, nobody reaches through it; what its system knows is enough."""
    lab, fleet = hosts_with_gateways
    world = await OnLab.of(lab, fleet)
    signer = authority(tmp_path)
    ours, name, ca = lab.layout.operator_ip, "db.example.test", signer.ca.read_text()
    world.servers.append(await asyncio.start_server(partial(_answer, 1), ours, 20443, ssl=signer.server(name)))
    pool = Pool("site.db.6380", "site", "db", fixed=f"{ours}:20443", interval=0.2, tls=name, ca=ca)
    doors = {
        8441: pool,
        8442: replace(pool, name="site.named.1", tls="other.example.test"),
        8443: replace(pool, name="site.system.1", ca=""),
    }

    async def opens(*wanted: int) -> bool:
        return {port for port in doors if await _answered(lab.hosts[0].private_ip, port)} == {*wanted}

    wanted = Table(tuple(Listener(port, routes=(Route(p.name),)) for port, p in doors.items()), tuple(doors.values()))
    try:
        await world.gateway.configure(wanted)
        await eventually(lambda: opens(8441))
        await world.restart()
        assert (await world.gateway.observe()).table == wanted
        await eventually(lambda: opens(8441))
        trust = 'printf %s "$1" > /usr/local/share/ca-certificates/test.crt && update-ca-certificates'
        await world.engine.exec(system_name("gateway", fleet.name), ["sh", "-c", trust, "sh", ca])
        await world.gateway.configure(replace(wanted, registry=(5999, "10.0.0.9", 25000)))
        await eventually(lambda: opens(8441, 8443))
    finally:
        await world.close()


async def _answered(address: str, port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection(address, port)
        with closing(writer):
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            return (await asyncio.wait_for(reader.read(12), 5)).startswith(b"HTTP/1.1 200")
    except (ConnectionError, TimeoutError):  # a server that is not believed is tried again before its caller is cut
        return False


async def test_a_gateway_that_does_not_run_is_an_error(world: World) -> None:
    await world.stop()
    with pytest.raises(GatewayError):
        await world.gateway.observe()
    with pytest.raises(GatewayError):
        await world.gateway.change([change("join", world.good())])
