"""A real gateway with real traffic, and the rule that only listeners answer, probed from outside."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from tests.gateways import eventually, fleet_on, in_a_loop_of_its_own, remove_system, start_system
from tests.lab.site import on
from tests.lab.web import Load, Reply, Web, ask, get

from bayplan.container import Container, File
from bayplan.engines.docker import DockerEngine
from bayplan.errors import GatewayError
from bayplan.facts import ASIDE, Binding
from bayplan.gateways.haproxy import HaproxyGateway
from bayplan.haproxy.places import CLOSING, SPEC
from bayplan.hosts import reach_for
from bayplan.lab import Lab
from bayplan.lab.process import wait_for
from bayplan.plan.names import bridge_name, bridge_prefix, run_directory
from bayplan.plan.steps import PoolChange
from bayplan.plan.system import GRACE, gateway_container
from bayplan.ports import Reach
from bayplan.routing import Listener, Pool, Route, Table
from bayplan.spec.model import Fleet, Registry

FLEET = "traffic"
WEB = "site.web.80"
PORT = 8090
REGISTRY = Registry(host="h1", image="registry:2", port=5555)


@pytest.fixture(scope="module")
def fleet(lab: Lab) -> Iterator[Fleet]:
    made = fleet_on(lab, FLEET, 2, REGISTRY)
    in_a_loop_of_its_own(start_system(made))
    yield made
    remove_system(lab, made)


@dataclass
class Site:
    """The gateway of h1 with a pool of servers of this test."""

    lab: Lab
    fleet: Fleet
    reach: Reach
    engine: DockerEngine
    gateway: HaproxyGateway
    webs: list[Web] = field(default_factory=list)

    @property
    def address(self) -> str:
        return self.lab.hosts[0].private_ip

    async def serve(self, count: int = 1, *, first: int = 21000, proxied: bool = False) -> list[Web]:
        started = [await Web.start(self.lab.layout.operator_ip, first + n, proxied=proxied) for n in range(count)]
        self.webs += started
        return started

    async def configure(self, *listeners: Listener, pools: tuple[Pool, ...] = (), **pool: Any) -> None:
        fronts = listeners or (Listener(PORT, "", "http", (Route(WEB),)),)
        own = Pool(WEB, "site", "web", "http" if fronts[0].mode == "http" else "tcp", **pool)
        await self.gateway.configure(Table(fronts, (own, *pools), (5555, self.address, 25555)))

    async def change(self, action: Any, webs: list[Web], pool: str = WEB) -> None:
        assert await self.gateway.change([PoolChange("h1", action, pool, w.endpoint, "test") for w in webs]) == {}

    async def up(self, webs: list[Web], pool: str = WEB) -> None:
        await self.change("join", webs, pool)
        names = {w.endpoint.name for w in webs}

        async def all_up() -> bool:
            seen = (await self.gateway.observe()).pools[pool]
            return names <= {s.server.name for s in seen if s.up}

        await eventually(all_up)
        await self.change("ready", webs, pool)

    async def sessions(self) -> int:
        return sum(s.sessions for s in (await self.gateway.observe()).pools[WEB])

    async def kept_waiting(self, web: Web) -> asyncio.Task[Reply]:
        """A request that it has, and answers once `hold` is set."""
        web.hold.clear()
        asked = asyncio.create_task(self.get())
        await web.holding.wait()
        return asked

    async def get(self, path: str = "/", **headers: str) -> Reply:
        return await get(self.address, PORT, path, **headers)


@pytest.fixture
async def site(lab: Lab, fleet: Fleet) -> AsyncIterator[Site]:
    reach = reach_for(fleet.hosts["h1"], fleet.ssh)
    engine = DockerEngine(reach)
    made = Site(lab, fleet, reach, engine, HaproxyGateway(reach, engine, fleet.name))
    yield made
    for web in made.webs:
        web.close()
    await made.gateway.configure(Table(registry=(5555, made.address, 25555)))
    await made.gateway.close()
    await engine.close()
    await reach.close()


async def test_the_app_sees_who_asks_and_not_what_a_client_says_of_itself(site: Site) -> None:
    await site.configure()
    await site.up(await site.serve())
    reply = await site.get(
        host="shop.example.com",
        x_forwarded_for="6.6.6.6",
        x_forwarded_host="6.6.6.6",
        x_real_ip="6.6.6.6",
        forwarded="for=6.6.6.6",
    )
    assert reply.seen("x-forwarded-for") == site.lab.layout.operator_ip
    assert reply.seen("x-forwarded-proto") == "http"
    assert reply.seen("host") == "shop.example.com"
    assert "6.6.6.6" not in reply.body.decode()


async def test_services_share_a_port_by_host_and_path(site: Site) -> None:
    others = [f"site.{name}.80" for name in ("api", "deep", "shop", "wild")]
    routes = (
        Route(WEB),
        Route(others[0], (), "/api"),
        Route(others[1], (), "/api/deep/"),
        Route(others[2], ("shop.example.com",)),
        Route(others[3], ("*.example.com",)),
    )
    pools = tuple(Pool(name, "site", name.split(".")[1], "http") for name in others)
    await site.configure(Listener(PORT, "", "http", routes), pools=pools)
    webs = await site.serve(5)
    for web, pool in zip(webs, (WEB, *others), strict=True):
        await site.up([web], pool)
    web, api, deep, shop, wild = (w.port for w in webs)
    for path, host, wanted in (
        ("/", "nobody", web),
        ("/apix", "nobody", web),
        ("/api", "nobody", api),
        ("/api/x", "nobody", api),
        ("/api/deep", "nobody", deep),
        ("/api/deep/er?q=1", "nobody", deep),
        ("/", f"SHOP.example.com:{PORT}", shop),
        ("/api", "shop.example.com", shop),
        ("/", "a.example.com", wild),
        ("/", "a.b.example.com", wild),
        ("/", "example.com", web),
    ):
        assert (await site.get(path, host=host)).port == wanted, f"{host}{path}"


async def test_what_no_service_takes_is_404_and_a_pool_without_servers_503(site: Site) -> None:
    await site.configure(Listener(PORT, "", "http", (Route(WEB, ("shop.example.com",)),)))
    nobody, empty = await site.get(host="other"), await site.get(host="shop.example.com")
    assert (nobody.status, nobody.headers["content-type"]) == (404, "text/plain")
    assert (empty.status, empty.headers["content-type"]) == (503, "text/plain")


async def test_a_sticky_client_comes_back_to_its_server_and_is_not_told_its_name(site: Site) -> None:
    await site.configure(sticky=True)
    webs = await site.serve(3)
    await site.up(webs)
    first = await site.get()
    cookie = first.headers["set-cookie"].split(";")[0]
    again = [(await site.get(cookie=cookie)).port for _ in range(6)]
    assert set(again) == {first.port}
    assert not any(w.endpoint.name in cookie or w.address in cookie for w in webs)
    assert len({(await site.get()).port for _ in range(6)}) == 3


async def test_proxy_protocol_tells_a_tcp_service_who_asks(site: Site) -> None:
    await site.configure(Listener(PORT, "", "tcp", (Route(WEB),)), proxy_protocol=True)
    await site.up(await site.serve(proxied=True))
    assert (await site.get()).told["source"] == site.lab.layout.operator_ip


async def test_a_server_that_fails_its_check_takes_no_traffic(site: Site) -> None:
    await site.configure(check="http /probe")
    good, bad = await site.serve(2)
    bad.close()
    await site.change("join", [bad])
    await site.up([good])
    assert {(await site.get()).port for _ in range(8)} == {good.port}


async def test_a_server_that_is_gone_costs_a_retry_and_not_an_error(site: Site) -> None:
    await site.configure(interval=60.0)
    webs = await site.serve(3)
    await site.up(webs)
    webs[0].close()
    replies = [await site.get() for _ in range(12)]
    assert {r.status for r in replies} == {200}
    assert {r.port for r in replies} == {webs[1].port, webs[2].port}


async def test_who_is_with_a_server_that_is_lost_is_cut_and_can_ask_again(site: Site) -> None:
    await site.configure()
    lost, other = await site.serve(2)
    await site.up([lost])
    asked = await site.kept_waiting(lost)
    await site.up([other])
    lost.close()  # it accepts nobody any more, and goes on keeping who is there waiting
    with pytest.raises(asyncio.IncompleteReadError):
        await asyncio.wait_for(asked, 10)
    assert json.loads((await site.get()).body)["port"] == other.port
    lost.hold.set()


async def test_a_draining_server_finishes_what_it_has(site: Site) -> None:
    await site.configure()
    one, two = await site.serve(2)
    await site.up([one])
    asking = await site.kept_waiting(one)
    await site.up([two])
    await site.change("drain", [one])
    assert {(await site.get()).port for _ in range(4)} == {two.port}
    assert await site.sessions() == 1
    one.hold.set()
    assert (await asking).port == one.port

    async def is_drained() -> bool:
        return await site.sessions() == 0

    await eventually(is_drained)
    await site.change("leave", [one])


async def test_connections_of_before_a_reload_still_count(site: Site) -> None:
    """A replica may only go when nobody is connected to it, through the old process either."""
    front = Listener(PORT, "", "tcp", (Route(WEB),))
    await site.configure(front)
    await site.up(await site.serve())
    reader, writer = await asyncio.open_connection(site.address, PORT)
    await ask(reader, writer, host="x")
    await site.configure(front, interval=1.0)
    assert await site.sessions() == 1
    assert (await ask(reader, writer, host="x")).status == 200
    writer.close()

    async def is_drained() -> bool:
        return await site.sessions() == 0

    await eventually(is_drained)


async def test_removing_most_servers_under_load_fails_no_request(site: Site) -> None:
    await site.configure()
    webs = await site.serve(12)
    await site.up(webs)
    load = Load(site.address, PORT)
    running = asyncio.create_task(load.run())
    await _answered(load, 200)
    await site.change("drain", webs[2:])

    async def is_drained() -> bool:
        seen = (await site.gateway.observe()).pools[WEB]
        return not any(s.sessions for s in seen if s.state == "drain")

    await eventually(is_drained)
    await site.change("leave", webs[2:])
    for web in webs[2:]:
        web.close()
    await _answered(load, 200)
    load.stop()
    await running
    assert load.failed == []
    assert len((await site.gateway.observe()).pools[WEB]) == 2


async def test_reloads_under_load_fail_no_request(site: Site) -> None:
    await site.configure()
    await site.up(await site.serve(3))
    load = Load(site.address, PORT)
    running = asyncio.create_task(load.run())
    for interval in (1.0, 2.0, 1.0):
        await _answered(load, 100)
        await site.configure(interval=interval)
    await _answered(load, 100)
    load.stop()
    await running
    assert load.failed == []


async def test_a_gateway_that_is_replaced_under_load_fails_no_request(site: Site) -> None:
    """As a pass does it: the new one takes over the listening sockets, and the old one ends after it."""
    await site.configure()
    await site.up(await site.serve(3))
    load = Load(site.address, PORT)
    running = asyncio.create_task(load.run())
    name = gateway_container(site.fleet).name
    for number in range(2):
        await _answered(load, 100)
        new = gateway_container(site.fleet, await site.gateway.observe())
        spec = f"another {number}"
        await site.engine.rename(name, name + ASIDE)
        await site.engine.run(replace(new, environment={SPEC: spec}))

        async def has_taken_over(spec: str = spec) -> bool:
            with suppress(GatewayError):
                return (await site.gateway.observe()).spec == spec
            return False

        await eventually(has_taken_over)
        await _answered(load, 100)
        await site.engine.remove(name + ASIDE, GRACE)
        await _answered(load, 100)
        assert (await site.gateway.observe()).spec == spec
    load.stop()
    await running
    assert load.failed == []


async def test_a_gateway_that_restarts_refuses_nobody(site: Site) -> None:
    await site.configure()
    await site.up(await site.serve(3))
    await site.gateway.rewrite()
    await asyncio.to_thread(_until_patient, site.lab)
    load = Load(site.address, PORT, kept=False)
    running = asyncio.create_task(load.run())
    await _answered(load, 50)
    await asyncio.to_thread(on, site.lab, "h1", "docker", "restart", gateway_container(site.fleet).name)
    await _answered(load, 50)
    load.stop()
    await running
    assert load.failed == []


async def test_a_gateway_that_restarts_does_not_keep_everybody_waiting_for_who_stays_connected(site: Site) -> None:
    """As an engine that is started again has it: the gateway ends by itself, or after as long as its container says."""
    await site.configure(Listener(PORT, "", "tcp", (Route(WEB),)))
    await site.up(await site.serve())
    await site.gateway.rewrite()
    name = gateway_container(site.fleet).name
    _, staying = await asyncio.open_connection(site.address, PORT)
    async with asyncio.timeout(GRACE / 2):
        await asyncio.to_thread(on, site.lab, "h1", "docker", "restart", "-t", f"{GRACE:g}", name)
    assert (await site.get()).status == 200
    staying.close()


async def test_who_is_in_the_queue_of_a_gateway_that_restarts_is_answered(site: Site) -> None:
    """They are connected, and HAProxy has not come to them: what the kernel would reset with the queue."""
    await site.configure()
    await site.up(await site.serve(3))
    await site.gateway.rewrite()
    await asyncio.to_thread(_until_patient, site.lab)
    await asyncio.to_thread(_signal_haproxy, site, "STOP")
    queued = [await asyncio.open_connection(site.address, PORT) for _ in range(20)]
    asking = [asyncio.create_task(ask(*one, host="localhost")) for one in queued]
    restart = asyncio.to_thread(on, site.lab, "h1", "docker", "restart", gateway_container(site.fleet).name)
    restarting = asyncio.create_task(restart)
    await asyncio.to_thread(wait_for, lambda: _is_shut(site.lab), "nobody more gets in", deadline=10)
    await asyncio.to_thread(_signal_haproxy, site, "CONT")
    assert {reply.status for reply in await asyncio.gather(*asking)} == {200}
    for _, writer in queued:
        writer.close()
    await restarting
    assert (await site.get()).status == 200
    assert not _is_shut(site.lab)


def _signal_haproxy(site: Site, signal: str) -> None:
    everyone = f"kill -{signal} $(grep -lx haproxy /proc/[0-9]*/comm | cut -d/ -f3)"
    on(site.lab, "h1", "docker", "exec", gateway_container(site.fleet).name, "sh", "-c", everyone)


def _is_shut(lab: Lab) -> bool:
    return any(f"--dport {PORT} " in rule and "SYN" in rule for rule in on(lab, "h1", "iptables", "-S").splitlines())


def _until_patient(lab: Lab) -> None:
    """The guard has heard where the gateway listens."""
    wait_for(lambda: f"--sport {PORT}" in on(lab, "h1", "iptables", "-S"), "the guard's rule", deadline=10)


async def _answered(load: Load, more: int) -> None:
    wanted = load.answered + more

    async def enough() -> bool:
        return load.answered >= wanted or bool(load.failed)

    await eventually(enough)


async def test_a_gateway_that_is_replaced_goes_on_with_what_it_had(site: Site) -> None:
    await site.configure()
    one, two = await site.serve(2)
    await site.up([one, two])
    await site.change("drain", [two])
    await site.gateway.close()
    container = gateway_container(site.fleet, await site.gateway.observe())
    await site.engine.remove(container.name, 0)
    await site.engine.run(container)

    async def is_served() -> bool:
        try:
            return (await site.get()).port == one.port and (await site.gateway.observe()).in_step
        except (OSError, GatewayError):  # its sockets come back one after the other
            return False

    await eventually(is_served)
    facts = await site.gateway.observe()
    assert [(s.server, s.state) for s in facts.pools[WEB]] == [(one.endpoint, "ready"), (two.endpoint, "drain")]
    assert facts.in_step


async def test_the_admin_socket_is_for_the_engines_users_only(site: Site) -> None:
    socket = f"{run_directory(FLEET)}/admin.sock"
    assert site.lab.on("h1", ["su", "deploy", "-s", "/bin/sh", "-c", f"test -w {socket}"]).returncode == 0
    assert site.lab.on("h1", ["su", "nobody", "-s", "/bin/sh", "-c", f"test -e {socket}"]).returncode != 0


async def test_a_port_that_something_else_holds_is_found_before_haproxy_stops_listening(site: Site) -> None:
    await site.configure()
    await site.up(await site.serve())
    with pytest.raises(GatewayError, match="port 22 "):
        await site.configure(Listener(22, "", "http", (Route(WEB),)))
    assert (await site.get()).status == 200


REPLICA = """\
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
frontend all
  bind :8080
  http-request return status 200 content-type text/plain string hello
"""
NAME = f"{FLEET}-replica"


@pytest.fixture
async def replica(site: Site) -> AsyncIterator[str]:
    """A container on a bridge of the fleet, published on h1's private address: its URL."""
    await site.engine.ensure_network(NAME, bridge_name(FLEET, "site"), {})
    address = site.address
    container = Container(
        name=NAME,
        image="haproxy:3.0",
        command=("haproxy", "-f", "/etc/replica.cfg"),
        files=(File("/etc/replica.cfg", REPLICA.encode()),),
        ports=(Binding(8080, 20080, address),),
        network=NAME,
    )
    await site.engine.run(container)
    private = Probe(site.lab, address, 20080)
    await eventually(private.from_private_net)
    yield address
    await site.engine.remove(NAME, 0)
    await site.engine.remove_network(NAME)


@dataclass(frozen=True)
class Probe:
    """Whether a port of h1 accepts, asked from two places."""

    lab: Lab
    address: str
    port: int

    async def from_private_net(self) -> bool:
        try:
            async with asyncio.timeout(1):
                return (await get(self.address, self.port)).status == 200
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return False

    async def from_outside(self) -> bool:
        """By way of h1's public address: what the private one gets is delivered."""
        public = self.lab.hosts[0].public_ip
        look = f"ip route replace {self.address} via {public}; exec 3<>/dev/tcp/{self.address}/{self.port}"
        return await self._bash(look)

    async def of_public_address(self) -> bool:
        return await self._bash(f"exec 3<>/dev/tcp/{self.lab.hosts[0].public_ip}/{self.port}")

    async def _bash(self, text: str) -> bool:
        argv = ["timeout", "2", "bash", "-c", text]
        return (await asyncio.to_thread(self.lab.outside, argv)).returncode == 0

    async def is_closed(self) -> bool:
        return not await self.from_outside()


async def test_only_listeners_answer_from_outside(site: Site, replica: str) -> None:
    await site.configure()
    private, listener = Probe(site.lab, replica, 20080), Probe(site.lab, replica, PORT)
    assert await private.from_private_net()
    assert not await private.from_outside()
    assert not await private.of_public_address()
    assert await listener.of_public_address()


async def test_the_guard_mends_a_firewall_that_was_flushed(site: Site, replica: str) -> None:
    probe = Probe(site.lab, replica, 20080)
    for flush in ("iptables -F", "iptables -F; iptables -t nat -F; iptables -X DOCKER-USER"):
        site.lab.on("h1", ["sh", "-c", flush])
        await eventually(probe.is_closed)
        assert await probe.from_private_net()


async def test_a_guard_finds_its_pipe_whatever_lies_there(site: Site) -> None:
    """A gateway that ended beside its guard, as when an engine stops, may have left a plain file: nothing to wait at."""
    pipe = f"{run_directory(FLEET)}/{CLOSING}"
    on(site.lab, "h1", "sh", "-c", f"rm {pipe} && echo >{pipe}")
    wait_for(lambda: site.lab.on("h1", ["test", "-p", pipe]).returncode == 0, "there is a pipe again", deadline=10)


async def test_rules_stay_while_a_guard_is_stopped_and_go_when_the_bridges_are_gone(site: Site, replica: str) -> None:
    guard, probe = f"bayplan-guard-{FLEET}", Probe(site.lab, replica, 20080)
    site.lab.on("h1", ["docker", "stop", guard])
    assert not await probe.from_outside()
    site.lab.on("h1", ["docker", "start", guard])
    await site.engine.remove(NAME, 0)
    await site.engine.remove_network(NAME)
    site.lab.on("h1", ["docker", "stop", guard])
    rules = site.lab.on("h1", ["sh", "-c", "iptables -S; iptables -t nat -S"]).stdout
    site.lab.on("h1", ["docker", "start", guard])
    assert bridge_prefix(FLEET) not in rules
    assert "DOCKER-USER" in rules


async def test_the_registry_answers_the_fleets_hosts_and_nobody_else(site: Site) -> None:
    """This machine's end of the private network is in it, and is no host of the fleet. A listener may have its port, on
    other addresses than the loopback.
    """
    await site.configure(Listener(5555, "", "http", (Route(WEB),)))
    probe = Probe(site.lab, site.address, 25555)
    look = "exec 3<>/dev/tcp/127.0.0.1/5555 && printf 'GET /v2/ HTTP/1.0\\r\\n\\r\\n' >&3 && head -1 <&3"
    for host in ("h1", "h2"):
        reach = reach_for(site.fleet.hosts[host], site.fleet.ssh)
        gateway = HaproxyGateway(reach, engine := DockerEngine(reach), FLEET)
        await gateway.configure(replace((await gateway.observe()).table, registry=(5555, site.address, 25555)))
        answer = site.lab.on(host, ["timeout", "5", "bash", "-c", look])
        assert " 200 " in answer.stdout, answer
        await gateway.close()
        await engine.close()
        await reach.close()
    assert (await get(site.address, 5555)).body.startswith(b"No replica")
    assert not await probe.from_private_net()
    assert not await probe.from_outside()
