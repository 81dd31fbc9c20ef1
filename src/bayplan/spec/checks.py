"""What no single service can say: mistakes between ports, services and the fleet."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from bayplan.spec.checks_addresses import check_addresses
from bayplan.spec.checks_listeners import Published, Wrong, check_listeners, published_of, tell_ports
from bayplan.spec.checks_names import check_names
from bayplan.spec.checks_proxies import check_proxies
from bayplan.spec.checks_volumes import check_mount_points
from bayplan.spec.model import Fleet, Port, Service
from bayplan.spec.mount_syntax import is_relative
from bayplan.spec.resolve import Surroundings
from bayplan.spec.written import ServiceFile

_NO_HOST_NETWORK = "a replica on its host's own network answers on the host's public address too"
_HOST_PORTS = "publish with ports, mode: host for a port of the host itself"


def check(
    services: Sequence[tuple[Service, ServiceFile]],
    written: Collection[str],
    fleet: Fleet | None,
    around: Surroundings,
) -> None:
    """Adds mistakes of whole services, between services, and of services on this fleet.

    written: the names of all services of the files, those of profiles that nobody asked for as well.
    """
    everything: list[Published] = []
    for service, file in services:
        published = [*published_of(service, file)]
        everything += published
        _check_source(service, around)
        _check_pull_policy(service, file, around)
        _check_resources(service, around)
        _check_rollback(service, around)
        _check_uts(service, around)
        _check_extension(service, file, around)
        _check_cpus(service, around)
        _check_networks(service, file, fleet, around)
        _check_job(service, published, around)
        _check_mac(service, around)
        check_mount_points(service, around)
        _check_targets(published, around)
        for one in published:
            _check_protocol(one, around)
        if fleet is not None:
            tell_ports((wrong for one in published for wrong in _wrong_port(one, fleet)), around)
            for one in published:
                _check_host_port(one, fleet, around)
        if fleet is not None and not fleet.is_this_machine:
            _check_paths(service.name, file, around)
    check_listeners(everything, around)
    check_names([service for service, _ in services], written, around)
    check_addresses(services, around)
    check_proxies([service for service, _ in services], around)


def _check_source(service: Service, around: Surroundings) -> None:
    is_told = around.is_broken("services", service.name)
    if not service.image and not service.build and not service.external and not is_told:
        around.not_there(
            f"services.{service.name}: has neither image nor build",
            "services", service.name,
            todo="write image: NAME, or build: DIRECTORY",
        )  # fmt: skip


def _check_pull_policy(service: Service, written: ServiceFile, around: Surroundings) -> None:
    """What is built is never pulled; what others built comes from somewhere."""
    if written.pull_policy == "never" and service.image and not service.build:
        around.wrong(
            f"services.{service.name}.pull_policy: 'never' cannot be meant: hosts have the image from a registry",
            "services", service.name, "pull_policy",
            todo="remove it, or build the image here: build",
        )  # fmt: skip


def _check_resources(service: Service, around: Surroundings) -> None:
    r = service.resources
    pairs = (("cpus", r.limit_cpus, r.reserved_cpus), ("memory", r.limit_memory, r.reserved_memory))
    for name, limit, reserved in pairs:
        if limit is not None and limit < reserved:
            around.wrong(
                f"services.{service.name}: the limit of {name} is below what is reserved",
                "services", service.name, "deploy", "resources", "limits", name,
                todo="raise the limit, or lower the reservation",
            )  # fmt: skip


def _check_extension(service: Service, written: ServiceFile, around: Surroundings) -> None:
    """What says how gateways treat a service means nothing where no gateway leads to it.

    To what it exposes the gateways lead other services: they probe it, too.
    """
    if written.extension is None or any(port.mode == "ingress" for port in service.ports):
        return
    for key in ("http", "proxy_protocol") if service.expose else ("http", "probe", "proxy_protocol"):
        if getattr(written.extension, key) is not None:
            around.wrong(
                f"services.{service.name}.x-bayplan.{key}: the service has no port that a gateway leads to",
                "services", service.name, "x-bayplan", key,
                todo="publish one with ports, or remove it",
            )  # fmt: skip


def _check_rollback(service: Service, around: Surroundings) -> None:
    if service.rollback and service.rollback.failure_action == "rollback":
        around.wrong(
            f"services.{service.name}: a rollback that fails cannot be rolled back",
            "services", service.name, "deploy", "rollback_config", "failure_action",
            todo="write pause or continue",
        )  # fmt: skip


def _check_job(service: Service, published: Sequence[Published], around: Surroundings) -> None:
    """What runs to its end serves nobody."""
    if not service.is_job:
        return
    for one in (p for p in published if p.port.mode == "ingress"):
        around.wrong(
            f"services.{service.name}: a job ends, and nobody can be led to its port", *one.path,
            todo="remove the port, or write deploy: {mode: replicated} and let nobody wait for its end",
        )  # fmt: skip


def _check_cpus(service: Service, around: Surroundings) -> None:
    """The engine takes a number of cores, or the scheduler's own numbers."""
    for key in ("cpu_quota", "cpu_period"):
        if service.resources.limit_cpus is not None and getattr(service.options, key):
            around.wrong(
                f"services.{service.name}: {key} and a limit of cpus are two ways to say one thing",
                "services", service.name, key,
                todo="remove one",
            )  # fmt: skip


def _check_networks(service: Service, written: ServiceFile, fleet: Fleet | None, around: Surroundings) -> None:
    if written.network_mode is None:
        return
    if written.networks:
        what, todo = ": has networks and a network_mode", "remove network_mode"
    elif not service.networks and service.ports:
        what, todo = ": has ports and no network", f"remove network_mode: {written.network_mode}, or ports"
    elif written.network_mode == "host" and fleet is not None and not fleet.local:
        what, todo = f".network_mode: 'host': {_NO_HOST_NETWORK}", _HOST_PORTS
    else:
        return
    around.wrong(f"services.{service.name}{what}", "services", service.name, "network_mode", todo=todo)


def _check_uts(service: Service, around: Surroundings) -> None:
    for key in ("hostname", "domainname"):
        if service.options.uts and getattr(service.options, key):
            around.wrong(
                f"services.{service.name}: with uts: host it has its host's name, and {key} says another",
                "services", service.name, key,
                todo="remove one",
            )  # fmt: skip


def _check_mac(service: Service, around: Surroundings) -> None:
    """A bridge with two equal addresses reaches neither."""
    if service.options.mac_address and (service.replicas > 1 or service.update.order == "start-first"):
        around.wrong(
            f"services.{service.name}: two replicas would have one MAC address",
            "services", service.name, "mac_address",
            todo="write deploy: {replicas: 1, update_config: {order: stop-first}}, or remove it",
        )  # fmt: skip


def _check_paths(name: str, written: ServiceFile, around: Surroundings) -> None:
    """A relative path is one of the operator's machine, which hosts do not have."""
    for index, entry in enumerate(written.volumes or ()):
        if entry.type == "bind" and is_relative(entry.source or ""):
            around.wrong(
                f"services.{name}: {entry.source} is a path of this machine, and hosts do not have it",
                "services", name, "volumes", index,
                todo="put it into the image with build, deliver a file with configs, or keep data in a named volume",
            )  # fmt: skip


def _check_targets(published: Sequence[Published], around: Surroundings) -> None:
    """A port of the container is one pool, which speaks one protocol."""
    speaks: dict[int, str] = {}
    for one in published:
        port = one.port
        if port.mode == "ingress" and speaks.setdefault(port.target, port.app_protocol) != port.app_protocol:
            around.wrong(
                f"services.{one.service.name}: port {port.target} of the container is published as http and as tcp",
                *one.path,
                todo="write the same app_protocol",
            )


def _check_protocol(published: Published, around: Surroundings) -> None:
    name, port = published.service.name, published.port
    if port.protocol == "udp" and port.mode == "ingress":
        around.wrong(f"services.{name}: UDP cannot be balanced", *published.path, todo="publish it with mode: host")


def _wrong_port(published: Published, fleet: Fleet) -> Iterator[Wrong]:
    port = published.port
    if port.mode == "host" or port.protocol == "udp":
        return  # told by itself
    low, high = fleet.ports
    if low <= port.published <= high and not _is_apart(port, fleet):
        what = "lies in the range from which hosts' ports are taken"
        yield published, what, f"choose one outside of {low}-{high}, or change ports in fleet.yaml"
    # A listener on every address leaves the registry's its own: the kernel prefers the address that says more.
    at_home = port.address.startswith("127.")
    if fleet.registry and fleet.registry.host and port.published == fleet.registry.port and at_home:
        what = "is where engines find the fleet's registry"
        yield published, what, "choose another, or change registry.port in fleet.yaml"


def _is_apart(port: Port, fleet: Fleet) -> bool:
    """Whether a listener in the range meets no endpoint: those are on private addresses, closed to the outside.

    On this machine alone nothing is closed, and placement leaves listeners' ports free.
    """
    private = {host.private_ip for host in fleet.hosts.values()}
    return fleet.is_this_machine or (bool(port.address) and port.address not in private)


def _check_host_port(published: Published, fleet: Fleet, around: Surroundings) -> None:
    service = published.service
    if published.port.mode == "host" and service.replicas > len(fleet.hosts):
        around.wrong(
            f"services.{service.name}: {service.replicas} replicas want port {published.port.published} of their host, "
            f"and the fleet has {len(fleet.hosts)}",
            *published.path,
            todo="lower replicas, or use mode: ingress",
        )
