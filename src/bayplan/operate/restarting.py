"""What bayplan itself runs on a host and what ends as soon as it starts, again and again: what it says of that."""

from __future__ import annotations

import re
from collections.abc import Iterable

from bayplan.converge.observe import last_lines
from bayplan.facts import HostFacts, Role
from bayplan.plan.names import system_name
from bayplan.ports import FleetPorts

_LINES = 20
_BEGINS, _GRAVE = "[NOTICE]", re.compile(r"^\[ALERT\]\s+\(\d+\) : ")  # HAProxy's: each start has notices, then alerts


async def why(ports: FleetPorts, host: HostFacts, role: Role) -> str | None:
    """In its own words; "" if it says nothing, None if it does not restart."""
    there = host.system(role)
    if there is None or there.state != "restarting":
        return None
    said = await last_lines(ports.engines[host.name], system_name(role, ports.fleet.name), _LINES)
    return reason(line.text for line in said)


def told(role: Role, words: str) -> str:
    """A sentence. words: as `why` has them."""
    return f"its {role} ends as soon as it starts" + (f": {words}" if words else "")


def todo(fleet: str, host: str, role: Role) -> str:
    """What to do about it. A gateway that is made anew leads to every app again."""
    name = system_name(role, fleet)
    return (
        f"docker logs {name} on {host} says more; once what is in its way is gone, its engine starts it again within a "
        f"minute. Where its own files are damaged: docker rm -f {name} there, and bayplan up makes it anew"
    )


def reason(said: Iterable[str]) -> str:
    """The first grave line of its last start; else the last line of all."""
    lines = [line.strip() for line in said if line.strip()]
    begun = max((n for n, line in enumerate(lines) if line.startswith(_BEGINS)), default=-1)
    grave = (_GRAVE.sub("", line) for line in lines[begun + 1 :] if _GRAVE.match(line))
    return next(grave, lines[-1] if lines else "").rstrip(".")
