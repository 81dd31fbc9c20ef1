"""What a host listens on, from the lines of its kernel's /proc/net/tcp and tcp6 (proc(5))."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

TABLES = ("cat", "/proc/net/tcp", "/proc/net/tcp6")  # the command that prints them
_LISTENS = "0A"  # TCP_LISTEN in <net/tcp_states.h>
_IPV4 = 8  # hex digits of an address


def listening(lines: Iterable[str]) -> Iterator[tuple[str, int]]:
    """(address, port) of each socket that listens; "" is all addresses. `0: 0B004D0A:0050 00000000:0000 0A …`.

    One that listens on an address of IPv6 only is left out: it is in no listener's way.
    """
    for line in lines:
        words = line.split()
        if words[3:4] == [_LISTENS]:
            digits, _, port = words[1].partition(":")
            if (address := _address(digits)) is not None:
                yield address, int(port, 16)


def _address(digits: str) -> str | None:
    """The kernel prints it in hexadecimal, in the host's byte order."""
    if not int(digits, 16):
        return ""
    return str(IPv4Address(bytes.fromhex(digits)[::-1])) if len(digits) == _IPV4 else None
