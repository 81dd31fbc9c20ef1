"""Fleets, services, replicas and facts in one line each, for tests of planning."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

from bayplan import labels
from bayplan.facts import Binding, EngineFacts, Facts, GatewayFacts, HostFacts, Replica, ServerFacts, SystemContainer
from bayplan.plan.goal import Goal
from bayplan.plan.names import network_name
from bayplan.plan.replica import definition, replica_name, server_name
from bayplan.plan.routes import desired, pools
from bayplan.plan.steps import System
from bayplan.plan.system import plan_system
from bayplan.ports import Release, Releases
from bayplan.routing import Names, Server, Table
from bayplan.spec.model import App, Balancer, Fleet, Host, Port, Service

IMAGE = "shop/web@sha256:1"
GB = 1024**3


def host(name: str, **more: Any) -> Host:
    """`h3` is at 10.77.0.13, in a zone of its own."""
    number = int("".join(c for c in name if c.isdigit()) or 0)
    return Host(name=name, address=f"ssh://10.77.0.{10 + number}", private_ip=f"10.77.0.{10 + number}", **more)


def fleet(*hosts: Host | str, balancers: tuple[str, ...] | None = None, **more: Any) -> Fleet:
    """A fleet of these hosts (by name: plain ones), the first of which is the balancer."""
    made = {h.name: h for h in (host(x) if isinstance(x, str) else x for x in hosts)}
    on = balancers or (next(iter(made)),)
    net = IPv4Network("10.77.0.0/24")
    return Fleet(name="t", private_net=net, hosts=made, balancer=Balancer(hosts=on, address="203.0.113.1"), **more)


def ingress(published: int = 80, target: int = 8080, **more: Any) -> Port:
    """A listener."""
    return Port(target=target, published=published, **more)


def service(name: str = "web", replicas: int = 1, **more: Any) -> Service:
    """A service behind port 80, unless other ports are given."""
    return Service(**{"name": name, "image": IMAGE, "replicas": replicas, "ports": (ingress(),), **more})


def goal(on: Fleet, *services: Service, release: int = 1, app: str = "shop", **more: Any) -> Goal:
    """One release of one app."""
    return Goal(on, App(name=app, services={s.name: s for s in services}), release, **more)


def replica(
    of: Service, slot: int, at: str, *, port: int | None = None, of_app: App | None = None, **more: Any
) -> Replica:
    """A running replica of that very definition, on the port that it would be given on an empty host."""
    release = more.pop("release", 1)
    targets = list(dict.fromkeys(p.target for p in of.ports if p.mode == "ingress"))
    first = port if port is not None else 20000 + (targets[0] % 10000 if targets else 0)
    ports = tuple(Binding(t, first + i, host(at).private_ip) for i, t in enumerate(targets))
    given = {
        "id": f"{at}/{of.name}-{slot}-r{release}",
        "name": replica_name("shop", of.name, slot, release),
        "host": at,
        "app": "shop",
        "service": of.name,
        "slot": slot,
        "release": release,
        "spec": definition(of, of_app),
        "state": "running",
        "image": of.image,
        "ports": ports,
        "cpus": of.resources.reserved_cpus,
        "memory": of.resources.reserved_memory,
        "job": of.is_job,
    }
    return Replica(**(given | more))


def server(of: Replica, state: str = "ready", *, up: bool | None = True, **more: Any) -> ServerFacts:
    """A replica's endpoint as a gateway has it."""
    at = of.ports[0]
    return ServerFacts(Server(server_name(of.name, of.host), at.address, at.port), state, up, **more)  # type: ignore[arg-type]


def engine(*replicas: Replica, cpus: float = 4, memory: int = 8 * GB, **more: Any) -> EngineFacts:
    """An engine with the app's network."""
    return EngineFacts(
        cpus=cpus,
        memory=memory,
        replicas=replicas,
        networks=more.pop("networks", frozenset({network_name("t", "shop")})),
        **more,
    )


def table(*args: Any, **more: Any) -> Table:
    """A gateway's, with the names of any service of these tests laid down."""
    text = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n"
    names = tuple(
        Names("shop", name, text, (("shop_default", (name,)),))
        for name in ("api", "backup", "db", "extra", "files", "migrate", "seed", "site", "ssh", "web", "worker")
    )
    return Table(*args, **{"names": names, **more})


def silent(name: str, why: str = "no route to host") -> HostFacts:
    """A host that does not answer."""
    return HostFacts(name, reachable=False, why=why)


def up(name: str, *replicas: Replica, gateway: GatewayFacts | None = None, **more: Any) -> HostFacts:
    """A host that answers, has the image, and whose gateway leads nowhere unless told."""
    images = more.pop("images", frozenset({IMAGE}))
    return HostFacts(
        name, reachable=True, engine=engine(*replicas, **more), gateway=gateway or GatewayFacts(table()), images=images
    )


def facts(*hosts: HostFacts) -> Facts:
    """The fleet."""
    return Facts({h.name: h for h in hosts})


def serving(to: Goal, servers: Mapping[str, Iterable[ServerFacts]]) -> GatewayFacts:
    """A gateway with the app's pools and listeners, and these servers by pool."""
    made = tuple(pools(to, to.fleet.balancer.hosts[0]))
    filled = {p.name: tuple(servers.get(p.name, ())) for p in made}
    there = GatewayFacts(table(pools=made), filled)
    name = to.fleet.balancer.hosts[0]
    return GatewayFacts(desired(to, facts(up(name)), up(name), there), filled)


def standing(to: Goal, *replicas: Replica, down: Iterable[str] = ()) -> Facts:
    """The whole fleet, converged on these replicas: every one behind every listener of its service."""
    by_pool: dict[str, list[ServerFacts]] = {}
    for r in replicas:
        for pool in (p for p in pools(to, to.fleet.balancer.hosts[0]) if p.service == r.service):
            by_pool.setdefault(pool.name, []).append(server(r))
    hosts = []
    for name in to.fleet.hosts:
        gateway = serving(to, by_pool) if name in to.fleet.balancer.hosts else GatewayFacts(table())
        here = [r for r in replicas if r.host == name]
        hosts.append(silent(name) if name in down else up(name, *here, gateway=gateway))
    return settled(to.fleet, facts(*hosts))


def settled(on: Fleet, seen: Facts) -> Facts:
    """The same, with what bayplan itself runs on every host."""
    hosts = {n: replace(h, images=h.images | {on.gateway_image}) for n, h in seen.hosts.items()}
    for step in plan_system(on, Facts(hosts)):
        if isinstance(step, System):
            told, engine = step.container.labels, hosts[step.host].engine
            made = SystemContainer(step.container.name, step.role, told[labels.SPEC], "running", step.container.ports)
            hosts[step.host] = replace(hosts[step.host], engine=replace(engine, system=(*engine.system, made)))
    return Facts(hosts)


async def latest(releases: Releases, app: str) -> Release | None:
    """The one with the highest number."""
    numbers = await releases.numbers(app)
    return await releases.get(app, numbers[-1]) if numbers else None
