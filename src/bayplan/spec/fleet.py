"""fleet.yaml to a Fleet; with no file, this machine's own engine."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from pathlib import Path

from bayplan.spec.docker_context import engine_named
from bayplan.spec.document import read_file
from bayplan.spec.find import fleet_file
from bayplan.spec.fleet_file import BalancerFile, FleetFile, HostFile, RegistryFile, dns_label
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.model import Balancer, Elsewhere, Fleet, Host, Registry, Ssh, Tls
from bayplan.spec.node import Node, along
from bayplan.spec.port_syntax import is_port
from bayplan.spec.reading import expanded
from bayplan.spec.usage import read_usage
from bayplan.spec.validate import validate

LOCAL = "local"  # the name of the fleet that there is without a fleet.yaml

_ADDRESS = re.compile(
    r"ssh://(?:[^@/:\s]+@)?(?P<ssh>[^@/:\s]+)(?::(?P<port>\d+))?/?|unix://(?P<unix>/\S+)"
    r"|tcp://(?P<tcp>[^@/:\s]+):(?P<tls_port>\d+)/?"
)


def load_fleet(path: Path | None, environment: Mapping[str, str], compose: Sequence[Path] = ()) -> Fleet:
    """The fleet that fleet.yaml names.

    path: --fleet; None: BAYPLAN_FLEET, a fleet.yaml beside the Compose file, here or in a parent, else the local fleet.
    Raises SpecError with every mistake.
    """
    found = fleet_file(path, environment, compose)
    if found is None:
        return local_fleet(environment)
    mistakes = Mistakes()
    root = read_file(found, mistakes)
    written = validate(FleetFile, root, mistakes) if root is not None else None
    fleet = None
    if root is not None and written is not None:
        fleet = _Reader(root, written, found.absolute().parent, mistakes).fleet()
    mistakes.raise_any()
    assert fleet is not None  # noqa: S101  without one there was a mistake
    return fleet


def local_fleet(environment: Mapping[str, str]) -> Fleet:
    """The Docker Engine that `docker` talks to, as the only host; another machine's cannot be opened.

    Raises UsageError as `engine_named` does.
    """
    engine = engine_named(environment)
    is_here = engine.address.startswith("unix://")
    host = Host(name="localhost", address=engine.address, private_ip="127.0.0.1")
    return Fleet(
        name=LOCAL,
        private_net=IPv4Network("127.0.0.0/8"),
        hosts={"localhost": host},
        balancer=Balancer(hosts=("localhost",), address="127.0.0.1"),
        local=True,
        elsewhere=None if is_here else Elsewhere(by=engine.by, undo=engine.undo),
    )


@dataclass(frozen=True)
class _Reader:
    """One file on its way to a Fleet. directory: what its relative paths start from."""

    root: Node
    written: FleetFile
    directory: Path
    mistakes: Mistakes

    def fleet(self) -> Fleet | None:
        w = self.written
        hosts = {name: self._host(name, host) for name, host in w.hosts.items()}
        net = w.private_net or self._own_net(hosts)
        self._check_hosts(hosts, net)
        if not hosts:
            return None
        defaults = Fleet.model_fields
        return Fleet(
            name=w.name,
            private_net=net,
            hosts=hosts,
            balancer=self._balancer(w.balancer or BalancerFile(), hosts),
            registry=self._registry(w.registry, hosts) if w.registry else None,
            gateway_image=w.gateway.image if w.gateway else defaults["gateway_image"].default,
            ports=w.ports or defaults["ports"].default,
            tolerate=w.tolerate or 0,
            headroom=w.headroom or 0.0,
            store=self._store(w.store or ""),
            usage=read_usage(Path(self._absolute(w.usage)), self.mistakes) if w.usage else {},
            ssh=Ssh(config_file=self._absolute(w.ssh.config_file) if w.ssh else None),
        )

    def _wrong(self, what: str, *path: str | int, todo: str = "") -> None:
        *_, last = along(self.root, path)
        self.mistakes.add(what, last.place, todo)

    def _store(self, url: str) -> str:
        """A relative SQLite file starts from the fleet file, as every path in it does."""
        prefix = "sqlite:///"
        path = url.removeprefix(prefix)
        is_file = url.startswith(prefix) and path and not path.startswith(":")
        return f"{prefix}{self._absolute(path)}" if is_file else url

    def _absolute(self, path: str) -> str:
        return str(self.directory / expanded(path))

    def _host(self, name: str, written: HostFile) -> Host:
        at = ("hosts", name)
        match = _ADDRESS.fullmatch(written.address)
        if not match:
            self._wrong(
                f"hosts.{name}: {written.address!r} is not a host's address",
                *at, "address",
                todo="write ssh://user@host, unix:///path/of/docker.sock or tcp://host:2376",
            )  # fmt: skip
        port = (match["port"] or match["tls_port"]) if match else None
        if port and not is_port(port):
            self._wrong(
                f"hosts.{name}: {written.address!r} has no port that there is",
                *at,
                "address",
                todo="ports are 1 to 65535",
            )
        try:
            dns_label(name)
        except ValueError as error:
            what, _, todo = str(error).partition("\n")
            self._wrong(f"hosts: {what}", *at, todo=todo)
        if match and match["tcp"] and not written.tls:
            self._wrong(
                f"hosts.{name}: an engine over TCP needs TLS",
                *at, "address",
                todo="write tls: {ca, cert, key}, or reach it over SSH",
            )  # fmt: skip
        return Host(
            name=name,
            address=written.address,
            private_ip=written.private_ip or self._ip_of(name, match),
            zone=written.zone or "",
            labels={key: value or "" for key, value in (written.labels or {}).items()},
            tls=Tls(**{k: self._absolute(v) for k, v in written.tls.model_dump().items()}) if written.tls else None,
        )

    def _ip_of(self, name: str, match: re.Match[str] | None) -> str:
        """The private address, when only the host's address is written."""
        if match is None:
            return ""
        if match["unix"]:
            return "127.0.0.1"
        try:
            return str(IPv4Address(match["ssh"] or match["tcp"]))
        except AddressValueError:
            self._wrong(
                f"hosts.{name}: its private address is not known",
                "hosts", name,
                todo="write private_ip: the address that the other hosts reach it by",
            )  # fmt: skip
            return ""

    def _own_net(self, hosts: Mapping[str, Host]) -> IPv4Network:
        """Without private_net: for one engine on this machine, its own address; else it must be written."""
        only = next(iter(hosts.values()), None)
        if only is not None and (len(hosts) > 1 or not only.address.startswith("unix://")):
            self._wrong(
                "private_net is required",
                todo="write the network from which alone replicas' ports may be reached, such as 10.77.0.0/24",
            )
            return IPv4Network("0.0.0.0/0")
        return IPv4Network(f"{only.private_ip if only and only.private_ip else '127.0.0.1'}/32")

    def _check_hosts(self, hosts: Mapping[str, Host], net: IPv4Network) -> None:
        if not hosts:
            self._wrong("hosts: there is none", "hosts", todo="write one: hosts: {h1: ssh://user@10.77.0.11}")
        for name, host in hosts.items():
            if host.private_ip and IPv4Address(host.private_ip) not in net:
                self._wrong(
                    f"hosts.{name}: {host.private_ip} is not in private_net, {net}",
                    "hosts", name, "private_ip",
                    todo="correct one of them",
                )  # fmt: skip
        self._check_unique(hosts, "address", lambda host: host.address.rstrip("/"))
        self._check_unique(hosts, "private_ip", lambda host: host.private_ip)

    def _check_unique(self, hosts: Mapping[str, Host], key: str, value_of: Callable[[Host], str]) -> None:
        first: dict[str, str] = {}
        for name, host in hosts.items():
            value = value_of(host)
            if value and value in first:
                self._wrong(
                    f"hosts.{name}: {value} is {first[value]}'s {key} too", "hosts", name, key, todo="correct one"
                )
            first.setdefault(value, name)

    def _known_host(self, name: str, hosts: Mapping[str, Host], *path: str | int) -> None:
        if name not in hosts:
            self._wrong(f"{path[0]}: there is no host {name!r}", *path, todo=f"hosts are: {', '.join(hosts)}")

    def _balancer(self, written: BalancerFile, hosts: Mapping[str, Host]) -> Balancer:
        """By default on the first host, dialled at its private address."""
        names = written.hosts or tuple(hosts)[:1]
        for index, name in enumerate(names):
            self._known_host(name, hosts, "balancer", "hosts", index)
        address = written.address or next((hosts[n].private_ip for n in names if n in hosts), "")
        return Balancer(kind=written.kind, hosts=names, address=address)

    def _registry(self, written: RegistryFile, hosts: Mapping[str, Host]) -> Registry:
        if (written.host is None) == (written.address is None):
            self._wrong(
                "registry: needs either host or address",
                "registry",
                todo="host: runs one on that host; address: uses one that is there",
            )
        if written.host is not None:
            self._known_host(written.host, hosts, "registry", "host")
        if bool(written.username) != bool(written.password_command):
            self._wrong(
                "registry: username and password_command belong together",
                "registry",
                todo="password_command prints the password, such as 'pass show registry'",
            )
        if written.address and "://" in written.address:
            self._wrong(
                f"registry.address: {written.address!r} is not what an image's name starts with",
                "registry", "address",
                todo="write it without a scheme: registry.example.com/shop",
            )  # fmt: skip
        return Registry(**written.model_dump(exclude_none=True))
