"""A replica: its names, its definition's digest, and the container that it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence

from bayplan import labels
from bayplan.container import Container, digest
from bayplan.facts import Binding, Replica
from bayplan.plan.goal import Goal
from bayplan.plan.grants import granted_mounts, grants_definition
from bayplan.plan.health import check_of
from bayplan.plan.names import hosts_file, network_name
from bayplan.plan.volumes import mounted, mounts_definition, volumes_label
from bayplan.routing import Server
from bayplan.spec.model import App, Fleet, Host, Port, Service

# What a container is made of. The rest of a service (how many, where, behind which listener) changes no container.
_MADE_OF = {
    "image",
    "command",
    "entrypoint",
    "environment",
    "labels",
    "user",
    "working_dir",
    "init",
    "restart",
    "stop_signal",
    "stop_grace_period",
    "healthcheck",
    "resources",
}
HOSTNAME = 63  # characters (RFC 1123)
_SERVER = re.compile(r".*-(\d+)-r(\d+)\.(.+)$")  # the last of that form: a service's name may have it, too


def replica_name(app: str, service: str, slot: int, release: int) -> str:
    """`site-web-3-r7`: the same from the same facts, whoever plans."""
    return f"{app}-{service}-{slot}-r{release}"


def server_name(replica: str, host: str) -> str:
    """A replica's name in a pool: while one moves, its slot stands on two hosts."""
    return f"{replica}.{host}"


def slot_and_host(server: str) -> tuple[int, str] | None:
    """The slot and the host that a server's name tells; None for a name that is not ours."""
    match = _SERVER.search(server)
    return (int(match[1]), match[3]) if match else None


def release_of(server: str) -> int:
    """The release that a server's name tells; 0 for a name that is not ours."""
    match = _SERVER.search(server)
    return int(match[2]) if match else 0


def pool_name(app: str, service: str, target: int) -> str:
    """`site.web.80`."""
    return f"{app}.{service}.{target}"


def service_of(pool: str, app: str) -> str:
    """The service in the name of one of the app's pools."""
    return pool.removeprefix(f"{app}.").rpartition(".")[0]


def is_cut_off(app: App, service: Service) -> bool:
    """Whether it is to reach nobody outside the fleet: all its networks are `internal`."""
    there = [app.networks.get(key) for key in service.networks]
    return bool(there) and all(network is not None and network.internal for network in there)


def definition(service: Service, app: App | None = None) -> str:
    """Digest of what the service's containers are made of. app: whose volumes and files they mount."""
    made_of = service.model_dump(mode="json", include=_MADE_OF)
    made_of["init"] = bool(service.init)  # as before there was a third
    made_of["ports"] = sorted(  # each once: a container is the same, however many listeners lead to a port of it
        {
            (
                p.target,
                p.protocol,
                p.mode,
                p.published if p.mode == "host" else 0,
                p.address if p.mode == "host" else "",
            )
            for p in service.ports
        }
    )
    if service.healthcheck is not None:
        made_of["healthcheck"] = check_of(service).dump()
    if options := service.options.model_dump(mode="json", exclude_defaults=True):
        made_of["options"] = options  # only what is set: a new kind of option is no new definition
    if quiet := sorted(set(free_targets(service)) - set(ingress_targets(service))):
        made_of["listens"] = quiet
    if service.is_job:
        made_of["job"] = True
    if service.mounts:
        made_of["mounts"] = list(mounts_definition(app, service.mounts))
    if grants := grants_definition(app, service):
        made_of["grants"] = grants
    if app and is_cut_off(app, service):
        made_of["cut_off"] = True
    if hooks := _hooks(service):
        made_of["hooks"] = hooks
    if app and (others := _restarted_with(service, app)):
        made_of["restarted_with"] = others
    return digest(made_of | _spoken(service))


def _spoken(service: Service) -> dict[str, object]:
    """Nothing of the container, and yet: those that run answer to what they were made for, and new ones show first that
    they do to another path, or to the PROXY protocol.
    """
    return {
        **({"probe": service.probe.path} if service.probe.kind == "http" else {}),
        **({"proxy_protocol": True} if service.proxy_protocol else {}),
    }


def _restarted_with(service: Service, app: App) -> dict[str, str]:
    """The definitions that it depends on with `restart: true`: with another of them it is another itself."""
    names = (name for name, dependency in service.depends_on.items() if dependency.restart and name in app.services)
    return {name: definition(app.services[name], app) for name in names}


def ingress_targets(service: Service) -> tuple[int, ...]:
    """Container ports that listeners lead to, each once, in the file's order."""
    return tuple(dict.fromkeys(p.target for p in service.ports if p.mode == "ingress"))


def free_targets(service: Service) -> tuple[int, ...]:
    """Container ports for which any free port of the host will do: those that listeners lead to, and those that other
    services reach.
    """
    if service.is_job or service.external:
        return ()
    fixed = {p.target for p in host_ports(service)}
    named = (*(e.port for e in service.expose if e.protocol == "tcp"), *service.listens)
    return tuple(dict.fromkeys((*ingress_targets(service), *(t for t in named if t not in fixed))))


def asked_targets(service: Service) -> frozenset[int]:
    """Container ports that the file itself names: a replica that answers on none of them, or not where listeners lead,
    is not ready.
    """
    return frozenset((*ingress_targets(service), *(e.port for e in service.expose if e.protocol == "tcp")))


def targets(service: Service) -> tuple[int, ...]:
    """Container ports that gateways may lead to; of what is not run here its own, and those that listeners lead to."""
    if service.external:
        return tuple(dict.fromkeys((service.external.port, *ingress_targets(service))))
    fixed = (p.target for p in host_ports(service) if p.protocol == "tcp" and not p.address)
    return tuple(dict.fromkeys((*free_targets(service), *fixed)))


def host_ports(service: Service) -> tuple[Port, ...]:
    """Ports that are to be that very port on the host."""
    return tuple(p for p in service.ports if p.mode == "host")


def fixed_ports(service: Service) -> set[tuple[str, int]]:
    """The same as (protocol, port)."""
    return {(p.protocol, p.published) for p in host_ports(service)}


def bindings(service: Service, host: Host, free: Sequence[int]) -> tuple[Binding, ...]:
    """Where the container's ports are on the host; `free` are host ports for the free targets, in their order."""
    inner = (Binding(target, port, host.private_ip) for target, port in zip(free_targets(service), free, strict=True))
    fixed = (Binding(p.target, p.published, p.address or host.private_ip, p.protocol) for p in host_ports(service))
    return (*inner, *fixed)


def endpoint(replica: Replica, target: int, host: Host) -> Server | None:
    """The replica's server in the pool of that container port; None if it does not have the port."""
    port = next((b.port for b in replica.ports if b.target == target and b.address == host.private_ip), None)
    return Server(server_name(replica.name, replica.host), host.private_ip, port) if port else None


def replica_container(
    goal: Goal, service: Service, slot: int, host: Host, ports: tuple[Binding, ...], spec: str
) -> Container:
    """The container of one slot on one host."""
    app, name = goal.app.name, replica_name(goal.app.name, service.name, slot, goal.release)
    resources, options = service.resources, service.options
    hostname = options.hostname or f"{service.name}-{slot}"[:HOSTNAME]
    return Container(
        name=name,
        image=service.image,
        command=service.command,
        entrypoint=service.entrypoint,
        environment={
            **service.environment,
            "BAYPLAN_REPLICA": f"{service.name}-{slot}",
            "BAYPLAN_HOST": host.name,
        },
        labels={**service.labels, **_labels(goal.fleet, goal.app, service, slot, goal.release, ports, spec)},
        hostname="" if options.uts else hostname,  # with its host's UTS namespace it has its host's name
        user=service.user,
        working_dir=service.working_dir,
        init=service.init,
        restart=service.restart,
        stop_signal=service.stop_signal,
        stop_grace=service.stop_grace_period,
        healthcheck=service.healthcheck,
        ports=ports,
        network=options.network_mode or network_name(goal.fleet.name, app, cut_off=is_cut_off(goal.app, service)),
        aliases=(hostname,),  # other names are in /etc/hosts: the engine knows the replicas of its own host only
        binds={} if options.network_mode else {hosts_file(goal.fleet.name, app, service.name): "/etc/hosts:ro"},
        limit_cpus=resources.limit_cpus,
        limit_memory=resources.limit_memory,
        limit_pids=resources.limit_pids,
        privileged=options.privileged,
        cap_add=options.cap_add,
        cap_drop=options.cap_drop,
        pid_mode=options.pid,
        options=options,
        mounts=(*mounted(goal.fleet, goal.app, service), *granted_mounts(goal.fleet.name, goal.app, service)),
    )


def _labels(
    fleet: Fleet, app: App, service: Service, slot: int, release: int, ports: Iterable[Binding], spec: str
) -> dict[str, str]:
    resources = service.resources
    return {
        labels.FLEET: fleet.name,
        labels.ROLE: "replica",
        labels.APP: app.name,
        labels.SERVICE: service.name,
        labels.SLOT: str(slot),
        labels.RELEASE: str(release),
        labels.SPEC: spec,
        labels.PORTS: ",".join(f"{b.target}={b.address}:{b.port}/{b.protocol}" for b in ports),
        labels.DRAIN: f"{service.drain:g}",
        labels.RESERVED: f"{resources.reserved_cpus:g},{resources.reserved_memory}",
        **volumes_label(app, service),
        **({labels.JOB: "yes"} if service.is_job else {}),
        **({labels.EVERYWHERE: "yes"} if service.is_global else {}),
        **_hooks(service),
    }


def _hooks(service: Service) -> dict[str, str]:
    """The labels that tell what is run in it after its start and before its stop; none for none."""
    found = {labels.POST_START: service.post_start, labels.PRE_STOP: service.pre_stop}
    return {
        label: json.dumps([hook.model_dump(mode="json", exclude_defaults=True) for hook in hooks], sort_keys=True)
        for label, hooks in found.items()
        if hooks
    }
