"""Names that hosts, engines and firewalls know a fleet's things by. All of them follow from the fleet's name."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from bayplan.container import digest
from bayplan.facts import Role

# An interface's name has 15 characters at most (IFNAMSIZ): "bp", 4 hex digits of the fleet, 6 of the app.
ANY_BRIDGE: Final = "bp"
_FLEET_DIGITS: Final = 4
_APP_DIGITS: Final = 6
_CUT_OFF: Final = "i"  # no hex digit, in place of the app's first: `internal`


@lru_cache
def bridge_prefix(fleet: str) -> str:
    """`bp3fa9`: what the interfaces of all the fleet's bridges start with; `bp3fa9+` in a firewall's rule."""
    return f"{ANY_BRIDGE}{digest(fleet)[:_FLEET_DIGITS]}"


def cut_off_among(bridges: str) -> str:
    """`bp3fa9i`: what the interfaces of those start with that lead to the fleet alone. bridges: the prefix of all."""
    return bridges + _CUT_OFF


@lru_cache
def bridge_name(fleet: str, app: str, *, cut_off: bool = False) -> str:
    """The interface of an app's bridge network on every host. cut_off: of the one that leads to the fleet alone."""
    if cut_off:
        return cut_off_among(bridge_prefix(fleet)) + digest(app)[: _APP_DIGITS - len(_CUT_OFF)]
    return bridge_prefix(fleet) + digest(app)[:_APP_DIGITS]


def network_name(fleet: str, app: str, *, cut_off: bool = False) -> str:
    """The bridge network that an app's replicas of one host share; the dot is in no app's name."""
    return f"{fleet}-{app}{'.internal' if cut_off else ''}"


def bridges(fleet: str, app: str) -> dict[str, str]:
    """All of an app's on a host: interfaces by the networks' names."""
    return {network_name(fleet, app, cut_off=c): bridge_name(fleet, app, cut_off=c) for c in (False, True)}


def half_name(volume: str) -> str:
    """A volume beside one that is still being filled: what a copy that was killed left behind is not whole."""
    return f"{volume}.unfinished"


def system_name(role: Role, fleet: str) -> str:
    """The name of a container that bayplan itself needs: `bayplan-gateway-shop`."""
    return f"bayplan-{role}-{fleet}"


def names_directory(fleet: str) -> str:
    """Where the names of services are kept on each host, by app and service: what the replicas have as /etc/hosts."""
    return f"/var/lib/bayplan/{fleet}/names"


def hosts_file(fleet: str, app: str, service: str) -> str:
    """The /etc/hosts of a service's replicas, on their host."""
    return f"{names_directory(fleet)}/{app}/{service}"


def run_directory(fleet: str) -> str:
    """Where a gateway's sockets are, on the host and in the container alike."""
    return f"/run/bayplan/{fleet}"


def lock_name(fleet: str) -> str:
    """The name of the container that is the lock of one operator at a time."""
    return f"bayplan-lock-{fleet}"


def grants_directory(fleet: str, app: str) -> str:
    """Where an app's secrets and configs are, on the host and in its gateway alike: in memory."""
    return f"{run_directory(fleet)}/grants/{app}"
