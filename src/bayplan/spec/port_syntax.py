"""The short syntax of `ports:` (Compose Specification, "Ports"): `[[host:]published:]target[/protocol]`."""

from __future__ import annotations

import re
from ipaddress import IPv4Address
from typing import Any

from bayplan.spec.shapes import either

_RANGE = r"\d+(?:-\d+)?"
_SHORT = re.compile(
    rf"(?:(?P<host_ip>\[[^\]]*\]|[^:]*):(?=.*:))?(?:(?P<published>{_RANGE})?:)?(?P<target>{_RANGE})(?:/(?P<protocol>\w+))?"
)
_HIGHEST = 65535
_EXAMPLES = "write '80:8080' (published:target), '127.0.0.1:80:8080' or '8080'"


def is_port(number: str) -> bool:
    """Whether anything could listen there."""
    return len(number) <= len(str(_HIGHEST)) and 0 < int(number) <= _HIGHEST


def long_port(entry: Any) -> Any:
    """The long form of an entry; what is no short form is given back. Raises ValueError."""
    if isinstance(either(entry, "a string, a number or a map (key: value)", str, int, dict), dict):
        return {key: value for key, value in entry.items() if key != "published" or value != ""}  # a variable may be
    match = _SHORT.fullmatch(str(entry).strip())
    if not match:
        raise ValueError(f"{str(entry)!r} is not a port\n{_EXAMPLES}")
    found = {key: value for key, value in match.groupdict().items() if value}
    return found | ({"protocol": found["protocol"].lower()} if "protocol" in found else {})  # as nat.ParsePortSpec does


def port_range(text: str | int) -> tuple[int, ...]:
    """The ports of "80" or "8000-8002". Raises ValueError."""
    if not re.fullmatch(_RANGE, str(text)):
        raise ValueError(
            f"{str(text)!r} is not a port\nwrite a number from 1 to {_HIGHEST}, or a range such as 8000-8002"
        )
    first, _, last = str(text).partition("-")
    low, high = int(first), int(last or first)
    if not 1 <= low <= high <= _HIGHEST:
        raise ValueError(f"{str(text)!r} is not a port\nthey go from 1 to {_HIGHEST}, a range from low to high")
    return tuple(range(low, high + 1))


def listen_address(text: str) -> str:
    """The address that a listener binds; all of them is "". Raises ValueError."""
    if text in {"", "0.0.0.0"}:  # noqa: S104  not bound here: what the file says
        return ""
    try:
        return str(IPv4Address(text))
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 address\nlisteners have one; leave it out for all of them") from None


def port_key(entry: Any) -> tuple[str, ...]:
    """What makes an entry unique when files are merged: address, target, published, protocol."""
    try:
        entry = long_port(entry)
    except ValueError:
        return ("", str(entry))
    target = str(entry.get("target", ""))
    return (
        str(entry.get("host_ip", "")),
        target,
        str(entry.get("published", target)),
        str(entry.get("protocol", "tcp")),
    )


def exposed(entry: Any) -> tuple[tuple[int, str], ...]:
    """(port, protocol) of each port of an entry of `expose:`: "8080", "8000-8002", "53/udp". Raises ValueError."""
    ports, _, protocol = str(entry).partition("/")
    return tuple((port, protocol.lower() or "tcp") for port in port_range(ports))
