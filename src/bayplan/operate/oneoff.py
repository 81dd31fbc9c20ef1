"""A container for one command, in a service's environment or of any image: no replica, and no lock is held for it."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from bayplan import labels
from bayplan.container import Container
from bayplan.converge.observe import answered, observe
from bayplan.errors import NoHostError, UsageError
from bayplan.facts import Facts, HostFacts
from bayplan.images import login_for
from bayplan.operate.ask import check_hosts
from bayplan.operate.release import Chosen, check_known, current, required, unreleased
from bayplan.plan.constraints import foreign, unmet
from bayplan.plan.goal import Goal
from bayplan.plan.names import bridges, half_name, network_name
from bayplan.plan.replica import HOSTNAME, replica_container
from bayplan.ports import FleetPorts, OnTransfer
from bayplan.spec.model import App, Service
from bayplan.spec.pinned import pinned

_SUFFIX = 3  # bytes


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to run. service "": an image alone. Empty fields: the service's, or the image's."""

    service: str = ""
    image: str = ""
    command: tuple[str, ...] = ()
    entrypoint: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    workdir: str = ""
    host: str = ""


async def prepare_run(ports: FleetPorts, app: str, wish: Wish, on: OnTransfer) -> tuple[str, Container]:
    """The host, with the image and the app's network on it, and the container.

    Raises UsageError for a service or host that is not there, NoHostError.
    """
    check_hosts(ports.fleet, [wish.host] if wish.host else [])
    facts = answered(ports.fleet, await observe(ports))
    chosen = await required(ports.releases, app) if wish.service else await current(ports.releases, app)
    chosen = chosen or unreleased(app)
    service = _service(chosen.app, wish.service)
    host = _host(ports, facts, chosen.app, wish, service)
    container = _container(ports, chosen, wish, service, host)
    await _ready(ports, app, host, container, on)
    return host.name, container


def _service(app: App, name: str) -> Service | None:
    check_known(app, [name] if name else [])
    service = app.services.get(name)
    if service is not None and service.external:
        raise UsageError(f"{name} is not run here: it is external", todo="name an image: bayplan run --image IMAGE")
    return service


def _host(ports: FleetPorts, facts: Facts, app: App, wish: Wish, service: Service | None) -> HostFacts:
    """Where what the service needs is; of several, where a replica of it stands, then where most room is."""
    if wish.host and not facts.hosts[wish.host].reachable:
        silent = facts.hosts[wish.host]
        raise NoHostError(f"{wish.host} {silent.silence}", todo=silent.todo)
    kinds = frozenset[str]() if wish.image else {h.engine.arch for h in facts.reachable()}  # another image: not known
    lacks = {h.name: _lack(ports, app, service, h, kinds) if service else "" for h in facts.reachable()}
    there = [h for h in facts.reachable() if wish.host in ("", h.name)]
    found = min(there, key=lambda h: (bool(lacks[h.name]), not _has_replica(h, app.name, wish.service), -_room(h)))
    if lacks[found.name]:
        others = [name for name, lack in lacks.items() if not lack]
        todo = f"run it there: --host {others[0]}" if others else f"bring it up first: bayplan up {wish.service}"
        raise UsageError(f"{wish.service} cannot run on {found.name}: {lacks[found.name]}", todo=todo)
    return found


def _lack(ports: FleetPorts, app: App, service: Service, host: HostFacts, kinds: Collection[str]) -> str:
    """What of the service's needs the host does not have: they come with its replicas."""
    if why := unmet(service, ports.fleet.hosts[host.name], host.engine.arch):
        return f"it {why}"
    if why := foreign(service, host.engine.arch, kinds):
        return why
    for name in sorted({volume.name for _, volume in pinned(app, service)}):
        if name not in host.engine.volumes:
            return f"its volume {name} is not there"
        if half_name(name) in host.engine.volumes:
            return f"what is there of its volume {name} is a copy that was not finished"
    if (service.secrets or service.configs) and not _has_replica(host, app.name, service.name):
        return "its secrets and configs are where its replicas are"
    return ""


def _has_replica(host: HostFacts, app: str, service: str) -> bool:
    return any((r.app, r.service) == (app, service) for r in host.engine.replicas)


def _room(host: HostFacts) -> int:
    """Bytes of memory that nothing has reserved."""
    return host.engine.memory - sum(r.memory for r in host.engine.replicas if not r.ended)


def _container(ports: FleetPorts, chosen: Chosen, wish: Wish, service: Service | None, host: HostFacts) -> Container:
    app, fleet = chosen.app, ports.fleet
    told = {labels.FLEET: fleet.name, labels.ROLE: "run", labels.APP: app.name, labels.SERVICE: wish.service}
    if service is None:
        base = Container("", wish.image, network=network_name(fleet.name, app.name))
    else:
        base = replica_container(Goal(fleet, app, chosen.number), service, 0, fleet.hosts[host.name], (), "")
        base = replace(base, environment={**base.environment, "BAYPLAN_REPLICA": f"{service.name}-run"})
    asked = replace(
        base,
        name="-".join(part for part in (app.name, wish.service, "run", secrets.token_hex(_SUFFIX)) if part),
        image=wish.image or base.image,
        labels={**(service.labels if service else {}), **told},
        hostname=f"{wish.service or 'run'}-run"[:HOSTNAME],
        command=wish.command or (() if wish.entrypoint else base.command),
        entrypoint=(wish.entrypoint,) if wish.entrypoint else base.entrypoint,
        environment={**base.environment, **wish.environment},
        user=wish.user or base.user,
        working_dir=wish.workdir or base.working_dir,
        restart="no",
        healthcheck=None,
        aliases=(),
    )
    return _with_names(asked, app, wish.service, host) if base.network in bridges(fleet.name, app.name) else asked


def _with_names(container: Container, app: App, service: str, host: HostFacts) -> Container:
    """It knows the app's services: by the service's own file of names, or, where that is not, as they are now."""
    laid = host.gateway.table.names if host.gateway else ()
    if any((n.app, n.service) == (app.name, service) for n in laid):
        return container
    known = tuple(f"{s.name}={s.address}" for s in app.services.values() if s.address)
    options = container.options.model_copy(update={"extra_hosts": (*known, *container.options.extra_hosts)})
    return replace(container, binds={}, options=options)


async def _ready(ports: FleetPorts, app: str, host: HostFacts, container: Container, on: OnTransfer) -> None:
    engine, fleet = ports.engines[host.name], ports.fleet.name
    bridge = bridges(fleet, app).get(container.network)
    if bridge and container.network not in host.engine.networks:
        told = {labels.FLEET: fleet, labels.APP: app}
        await engine.ensure_network(container.network, bridge, told)
    if container.image not in host.images and await engine.image_id(container.image) is None:
        await engine.pull(container.image, on, await login_for(container.image, ports.registry))
