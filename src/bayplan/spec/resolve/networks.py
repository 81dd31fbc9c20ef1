"""What a network says that engines choose by themselves here: told where it changes nothing, refused where it would."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from bayplan.spec.resolve.around import Surroundings
from bayplan.spec.written.networks import NetworkFile

# What a bridge is called no program sees, and how large packets may be is found out on their way (path MTU discovery).
_HARMLESS: Final = frozenset({"com.docker.network.bridge.name", "com.docker.network.driver.mtu"})
_ENCRYPTED: Final = "encrypted"


def check_network(key: str, written: NetworkFile, around: Surroundings) -> None:
    """Adds what is told of a network that services are on."""
    ipam = written.ipam
    if ipam is not None and (ipam.config or ipam.options):
        where = "config" if ipam.config else "options"
        around.mistakes.warn(
            f"networks.{key}.ipam: addresses are each engine's own, other ones on each host",
            around.place("networks", key, "ipam", where),
            "remove it; whatever names one of its addresses is to use the service's name",
        )
    if written.enable_ipv6:
        around.mistakes.warn(
            f"networks.{key}.enable_ipv6: replicas have no IPv6 addresses of their own, and find each other by IPv4",
            around.place("networks", key, "enable_ipv6"),
            "remove it",
        )
    _check_options(key, written.driver_opts or {}, around)


def _check_options(key: str, options: Mapping[str, str | None], around: Surroundings) -> None:
    for name, value in options.items():
        where = ("networks", key, "driver_opts", name)
        if name in _HARMLESS or (name == _ENCRYPTED and (around.one_host or value == "false")):
            around.mistakes.warn(
                f"networks.{key}.driver_opts: {name} changes nothing: an app's bridge is made by bayplan",
                around.place(*where), "remove it",
            )  # fmt: skip
        elif name == _ENCRYPTED:
            todo = "remove it, and encrypt private_net where others could listen (WireGuard)"
            around.wrong(f"networks.{key}.driver_opts: nothing encrypts what hosts send each other", *where, todo=todo)
        else:
            todo = "remove it"
            around.wrong(f"networks.{key}.driver_opts: {name}: a network's driver takes no options", *where, todo=todo)
