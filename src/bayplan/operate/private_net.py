"""Which networks are nobody's but their owner's."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Final

# RFC 1918, and RFC 6598 (carriers, and some clouds' private networks).
PRIVATE: Final = tuple(IPv4Network(n) for n in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))


def is_private(net: IPv4Network) -> bool:
    """Whether all of it is. A single address is its host's own."""
    return net.is_loopback or net.num_addresses == 1 or any(net.subnet_of(p) for p in PRIVATE)
