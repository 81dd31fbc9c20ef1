"""fleet.yaml as its author writes it: which keys there are, and what each may hold."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from bayplan.spec.port_syntax import port_range
from bayplan.spec.shapes import FileModel, List, Map, Maybe, Natural, Pairs, Text, wrong
from bayplan.units import parse_percent

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_LEAST_PORTS = 10
_PRIVILEGED = 1024


def dns_label(value: str) -> str:
    """A name of a fleet, host or zone. Raises ValueError."""
    if not _LABEL.fullmatch(value):
        raise wrong(f"{value!r} cannot be a name here", "use lower-case letters, digits and -, 63 at most")
    return value


def _ipv4(value: str) -> str:
    try:
        return str(IPv4Address(value))
    except AddressValueError:
        raise wrong(f"{value!r} is not an IPv4 address", "write one such as 10.77.0.11") from None


def _network(value: str) -> IPv4Network:
    try:
        return IPv4Network(value)
    except (AddressValueError, NetmaskValueError):
        raise wrong(f"{value!r} is not a network", "write one such as 10.77.0.0/24") from None
    except ValueError:
        raise wrong(f"{value!r} has host bits set", f"did you mean {IPv4Network(value, strict=False)}?") from None


def _range(value: Any) -> tuple[int, int]:
    ports = port_range(value if isinstance(value, str | int) else "")
    if len(ports) < _LEAST_PORTS or ports[0] < _PRIVILEGED:
        raise wrong(f"{value} is too few or too low a range", f"write {_LEAST_PORTS} or more ports above 1023")
    return ports[0], ports[-1]


def _share(value: Any) -> float:
    return parse_percent(value if isinstance(value, str | float) else str(value))


def _host(value: Any) -> Any:
    return {"address": value} if isinstance(value, str) else value


Name = Annotated[Text, AfterValidator(dns_label)]
Ipv4 = Annotated[Text, AfterValidator(_ipv4)]
PortNumber = Annotated[int, BeforeValidator(lambda v: port_range(v)[0], json_schema_input_type=int)]


class TlsFile(FileModel):
    """`tls:` of a host: the PEM files of the client's side."""

    ca: Text
    cert: Text
    key: Text


class HostFile(FileModel):
    """An entry of `hosts:`, long."""

    address: Text
    private_ip: Maybe[Ipv4] = None
    zone: Maybe[Name] = None
    labels: Maybe[Pairs] = None
    tls: Maybe[TlsFile] = None


class BalancerFile(FileModel):
    """`balancer:`."""

    kind: Literal["haproxy"] = "haproxy"
    hosts: Maybe[List[Text]] = None
    address: Maybe[Text] = None


class RegistryFile(FileModel):
    """`registry:`, on a host or by address."""

    host: Maybe[Text] = None
    image: Maybe[Text] = None
    port: Maybe[PortNumber] = None
    address: Maybe[Text] = None
    username: Maybe[Text] = None
    password_command: Maybe[Text] = None


class GatewayFile(FileModel):
    """`gateway:`."""

    image: Text


class SshFile(FileModel):
    """`ssh:`."""

    config_file: Text


class FleetFile(FileModel):
    """The whole file."""

    name: Name
    private_net: Maybe[Annotated[IPv4Network, BeforeValidator(_network, json_schema_input_type=str)]] = None
    hosts: Map[Annotated[HostFile, BeforeValidator(_host, json_schema_input_type=str | HostFile)]]
    balancer: Maybe[BalancerFile] = None
    registry: Maybe[RegistryFile] = None
    gateway: Maybe[GatewayFile] = None
    ports: Maybe[Annotated[tuple[int, int], BeforeValidator(_range, json_schema_input_type=str)]] = None
    tolerate: Maybe[Natural] = None
    headroom: Maybe[Annotated[float, BeforeValidator(_share, json_schema_input_type=str | float)]] = None
    usage: Maybe[Text] = None
    store: Maybe[Text] = None
    ssh: Maybe[SshFile] = None
