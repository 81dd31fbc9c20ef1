"""What a reload says, and which ports cannot be had: before HAProxy tries, since it stops listening while it does."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bayplan.haproxy.fronts import bound
from bayplan.listening import listening
from bayplan.routing import Table

_BIND = re.compile(r"cannot bind socket \(([^)]*)\) for \[([^\]]*)\]")
_ALERT = re.compile(r"\[ALERT\]\s*\(\d+\) : (.*)")

Address = tuple[str, int]


def reload_fault(said: str) -> str:
    """Why the master did not reload; "" when it did (it answers `Success=1`, management manual 3.0, "reload")."""
    if "Success=1" in said:
        return ""
    if barred := _BIND.search(said):
        return f"{barred[2]} cannot be listened on: {barred[1].lower()}"
    alerts = _ALERT.findall(said)
    return f"HAProxy refused the configuration: {alerts[0] if alerts else said.strip() or 'no reason given'}"


def addresses(table: Table) -> frozenset[Address]:
    """What the table has HAProxy listen on."""
    fronts = {(front.address or "0.0.0.0", bound(front)) for front in table.listeners}  # noqa: S104
    return frozenset(fronts | ({("127.0.0.1", table.registry[0])} if table.registry else set()))


def new_addresses(old: Table, new: Table) -> tuple[Address, ...]:
    """What HAProxy is to listen on and does not yet; a port that it has at another address it can have at this one."""
    ours = {port for _, port in addresses(old)}
    return tuple(sorted(address for address in addresses(new) if address[1] not in ours))


def taken(wanted: Iterable[Address], proc_net_tcp: str) -> tuple[Address, ...]:
    """Addresses that another process listens on. proc_net_tcp: /proc/net/tcp and tcp6, one text."""
    there = set(listening(proc_net_tcp.splitlines()))
    return tuple((ip, port) for ip, port in wanted if _clash(ip, port, there))


def _clash(ip: str, port: int, there: set[Address]) -> bool:
    anywhere = ip == "0.0.0.0"  # noqa: S104
    return any(p == port and (anywhere or other in (ip, "")) for other, p in there)
