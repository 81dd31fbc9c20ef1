"""The containers that bayplan itself needs on the hosts, and what is missing of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from bayplan import labels
from bayplan.container import Container, File, digest
from bayplan.facts import ASIDE, Facts, GatewayFacts, HostFacts, Role
from bayplan.haproxy.config import render
from bayplan.haproxy.lost import FILE as LOST
from bayplan.haproxy.places import INITIAL, SPEC, START, named_files, start_script
from bayplan.plan.guard import Watch, script
from bayplan.plan.names import bridge_prefix, names_directory, run_directory, system_name
from bayplan.plan.own_registry import RegistryEndpoint, apps_of, registry_endpoint, registry_left
from bayplan.plan.steps import Configure, PoolChange, Pull, Remove, Rename, Rewrite, Start, Step, System, key
from bayplan.spec.model import ENGINE_SOCKET, Fleet, Host

_KEPT = 512  # definitions: each pass asks for every host's again, and to tell what one is takes as long as the rest

GRACE = 30.0  # seconds that a gateway which ends gives to what it still serves, unless a service says more

# To bind ports below 1024; to become an unprivileged user in an empty root; to end old workers, which are that user's.
_GATEWAY_MAY = ("NET_BIND_SERVICE", "SETUID", "SETGID", "SYS_CHROOT", "KILL")

# To run in the host's root, keep its firewall, give a directory to the engine's group, see where the gateway listens.
_GUARD_MAY = ("SYS_PTRACE", "SYS_CHROOT", "NET_ADMIN", "NET_RAW", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID")

# Any configuration file of distribution 2 and 3. `relativeurls`: it is reached by another name than it knows.
_REGISTRY_CONFIG = """\
version: 0.1
log: {{level: info}}
storage:
  filesystem: {{rootdirectory: /var/lib/registry}}
  delete: {{enabled: true}}
http:
  addr: '{address}:{port}'
  relativeurls: true
  headers: {{X-Content-Type-Options: [nosniff]}}
"""
_REGISTRY_FILE = "/etc/bayplan/registry.yml"


def plan_system(fleet: Fleet, facts: Facts) -> tuple[Step, ...]:
    """Steps for each host that answered and lacks a container of bayplan's, or has a stopped or an old one."""
    hosts = [host for host in facts.reachable() if host.name in fleet.hosts]
    gateway = _gateway(fleet.name, fleet.gateway_image)
    steps = (
        step
        for host in hosts
        for step in (
            *_relieved(facts, host),
            *_of_before(fleet, facts, host),
            *(s for c, role in _wanted(fleet, facts, host, gateway) for s in _missing(fleet, facts, host, role, c)),
        )
    )
    return tuple(_in_turn(fleet, facts, {key(s): s for s in steps}.values()))


def _in_turn(fleet: Fleet, facts: Facts, steps: Iterable[Step]) -> Iterator[Step]:
    """Gateways of balancers are replaced one after another, the next when the one before answers."""
    there = (h for h in facts.reachable() if h.name in fleet.balancer.hosts)
    silent = {h.name for h in there if h.gateway is None or h.hands_over or h.system("gateway") is None}
    for step in steps:
        if isinstance(step, System) and step.role == "gateway" and step.host in fleet.balancer.hosts:
            if silent - {step.host} and step.host not in silent:
                continue
            silent.add(step.host)
        yield step


def gateway_container(fleet: Fleet, now: GatewayFacts | None = None) -> Container:
    """The gateway of a host. now: what the one that it replaces runs with, so that it goes on with that."""
    now, container = now or GatewayFacts(), _gateway(fleet.name, fleet.gateway_image)
    initial = File(INITIAL, render(fleet.name, run_directory(fleet.name), now.table, now.pools, 0).encode())
    files = dict.fromkeys((*container.files, initial, *named_files(now.table)))
    return replace(container, files=tuple(files))


@lru_cache(maxsize=_KEPT)
def _gateway(fleet: str, image: str) -> Container:
    """But for what it starts with, which is no part of its definition."""
    run = run_directory(fleet)
    container = Container(
        name=system_name("gateway", fleet),
        image=image,
        entrypoint=("/bin/sh", START),
        command=(),
        user="0",
        restart="always",
        stop_signal="SIGUSR1",  # it stops listening and lets requests end
        stop_grace=GRACE,
        network="host",
        binds={path: path for path in (run, names_directory(fleet))},
        files=(File(START, start_script(run).encode(), 0o755), LOST),
        cap_drop=("ALL",),
        cap_add=_GATEWAY_MAY,
    )
    return _labelled(fleet, "gateway", container)


def guard_container(fleet: Fleet, host: Host, registry: RegistryEndpoint | None) -> Container:
    """The guard of a host: in the host's network and root, with no more power over it than it uses."""
    is_registry = registry is not None and registry[1] == host.private_ip  # the others' guards let nobody in to one
    watch = Watch(
        bridges=bridge_prefix(fleet.name),
        private_net=fleet.private_net,
        private_ip=host.private_ip,
        ports=fleet.ports,
        run=run_directory(fleet.name),
        engine_socket=host.address.removeprefix("unix://") if host.address.startswith("unix://") else ENGINE_SOCKET,
        registry=registry[1:] if registry else None,
        peers=tuple(sorted(h.private_ip for h in fleet.hosts.values())) if is_registry else (),
    )
    return _guard(fleet.name, fleet.gateway_image, watch)


@lru_cache(maxsize=_KEPT)
def _guard(fleet: str, image: str, watch: Watch) -> Container:
    container = Container(
        name=system_name("guard", fleet),
        image=image,
        entrypoint=("chroot", "/host", "/bin/sh", "-c", script(watch)),
        command=(),
        user="0",
        restart="always",
        stop_signal="SIGTERM",
        stop_grace=10.0,
        network="host",
        binds={"/": "/host"},
        pid_mode="host",  # with it an engine on SELinux lets the container use the host's files
        cap_drop=("ALL",),
        cap_add=_GUARD_MAY,
    )
    return _labelled(fleet, "guard", container)


def registry_container(fleet: Fleet, endpoint: RegistryEndpoint) -> Container:
    """The fleet's registry: on its host's private address, where only the fleet's hosts get through to it."""
    loopback, address, port = endpoint
    container = Container(
        name=system_name("registry", fleet.name),
        image=fleet.registry.image if fleet.registry else "",
        command=("serve", _REGISTRY_FILE),
        restart="always",
        network="host",
        binds={f"bayplan-registry-{fleet.name}": "/var/lib/registry"},
        files=(File(_REGISTRY_FILE, _REGISTRY_CONFIG.format(address=address, port=port).encode()),),
        labels={labels.PORTS: f"{loopback}={address}:{port}/tcp"},
    )
    return _labelled(fleet.name, "registry", container)


def _wanted(fleet: Fleet, facts: Facts, host: HostFacts, gateway: Container) -> Iterator[tuple[Container, Role]]:
    """The guard first: it makes the directory in which the gateway's sockets are. gateway: the same on every host."""
    endpoint = registry_endpoint(fleet, facts)
    yield guard_container(fleet, fleet.hosts[host.name], endpoint), "guard"
    yield gateway, "gateway"
    if endpoint and fleet.registry and fleet.registry.host == host.name:
        yield registry_container(fleet, endpoint), "registry"


def _relieved(facts: Facts, host: HostFacts) -> Iterator[Remove]:
    """A gateway whose successor answers ends, and lets what it still serves end."""
    if _has_taken_over(host):
        grace = _longest_drain(facts, host)
        yield from (Remove(host.name, "", old.name, grace, "another gateway took over") for old in host.aside())


def _longest_drain(facts: Facts, host: HostFacts) -> float:
    """Seconds: what comes through the host's gateway gets as long to end as where its replica goes. Its successor leads
    to what it led to.
    """
    pools = host.gateway.table.pools if host.gateway else ()
    services = {(p.app, p.service) for p in pools}
    return max((GRACE, *(r.drain for app, service in services for r in facts.replicas(app, service))))


def _of_before(fleet: Fleet, facts: Facts, host: HostFacts) -> Iterator[Remove]:
    """A registry where fleet.yaml does not have it any more: once its successor runs, which is guarded in its stead.
    Or, of one outside of the fleet, once nothing that stands is made of its images; fleet.yaml may go back until then.
    """
    now, left = fleet.registry.host if fleet.registry else None, registry_left(fleet, facts)
    if left and left[0] == host.name and fleet.registry:
        if all(h.reachable for h in facts.hosts.values()) and not apps_of(left[1], facts):
            yield _former_registry(fleet, host, f"{fleet.registry.address} now, and nothing runs of this one")
    elif now not in (None, host.name) and host.system("registry"):
        known = facts.hosts.get(now)
        successor = known.system("registry") if known else None
        if successor and successor.state == "running":
            yield _former_registry(fleet, host, f"on {now} now")


def _former_registry(fleet: Fleet, host: HostFacts, now: str) -> Remove:
    why = f"the registry is {now}; what it holds stays in its volume"
    return Remove(host.name, "", system_name("registry", fleet.name), None, why)


def _has_taken_over(host: HostFacts) -> bool:
    now = host.system("gateway")
    return bool(now and now.state == "running" and host.gateway and host.aside() and not host.hands_over)


def without_handed_over(steps: Iterable[Step], facts: Facts) -> Iterator[Step]:
    """A gateway that is being relieved is told nothing more: the next one would not know."""
    relieved = {h.name for h in facts.reachable() if h.hands_over}
    return (s for s in steps if not (isinstance(s, PoolChange | Configure | Rewrite) and s.host in relieved))


def _missing(
    fleet: Fleet, facts: Facts, host: HostFacts, role: Role, container: Container
) -> Iterator[System | Rename | Remove | Pull | Start]:
    there = host.system(role)
    if named_otherwise := _named_otherwise(host, role, container.name):
        yield from named_otherwise
        return
    if there is None:
        why = f"no {role} is here"
    elif role == "gateway" and there.state in ("exited", "paused"):
        # The listeners of every app are in its files and nowhere else: a new one would begin with none.
        yield Start(host.name, "", container.name, f"the {role} was stopped ({there.state})", container.restart)
        return
    elif role == "gateway" and there.state == "restarting" and there.spec == container.labels[labels.SPEC]:
        return  # its engine starts it again, with its files
    elif role == "gateway" and _has_taken_over(host):
        return  # the one aside goes first
    elif there.spec != container.labels[labels.SPEC]:
        why = f"the {role} is of another definition"
    elif there.state != "running":
        why = f"the {role} does not run ({there.state})"
    else:
        return
    if container.image in host.images:
        yield _system(fleet, facts, host, role, container, why)
    else:
        yield Pull(host.name, container.image, why)


def _named_otherwise(host: HostFacts, role: Role, name: str) -> tuple[Rename | Remove, ...]:
    """Of a container that somebody renamed; where another one has its name by now, it goes."""
    there = [c for c in host.engine.system if c.role == role and not c.aside]
    others = [c for c in there if c.name not in ("", name)]
    rest = others if len(others) < len(there) else others[1:]
    back = [Rename(host.name, c.name, name, f"the {role} was renamed to {c.name}") for c in others if c not in rest]
    gone = [
        Remove(host.name, "", c.name, GRACE if role == "gateway" else 0, f"another {role} has its place") for c in rest
    ]
    return (*back, *gone)


def _system(fleet: Fleet, facts: Facts, host: HostFacts, role: Role, container: Container, why: str) -> System:
    if role != "gateway":
        return System(host.name, role, container, why)
    there = host.system(role)
    follows = there is not None and there.state == "running" and host.gateway is not None and not host.aside()
    new = gateway_container(fleet, host.gateway or _twin(fleet, facts, host))
    return System(host.name, role, new, why, aside=container.name + ASIDE if follows else "")


def _twin(fleet: Fleet, facts: Facts, host: HostFacts) -> GatewayFacts | None:
    """Another balancer's gateway, for one that is gone with its files: it has the same listeners, of every app."""
    if host.name not in fleet.balancer.hosts:
        return None
    others = (facts.hosts.get(name) for name in fleet.balancer.hosts if name != host.name)
    return next((other.gateway for other in others if other and other.reachable and other.gateway), None)


def _labelled(fleet: str, role: Role, container: Container) -> Container:
    spec = digest(container)
    told = {**container.labels, labels.FLEET: fleet, labels.ROLE: role, labels.SPEC: spec}
    return replace(container, labels=told, environment={SPEC: spec} if role == "gateway" else {})
