"""Asking every engine what runs on it, for verbs that need no gateway, no image and no release."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from contextlib import suppress

from bayplan.converge.observe import answered, see_engine
from bayplan.errors import BayplanError, UsageError
from bayplan.facts import Facts, Replica
from bayplan.operate.release import current
from bayplan.ports import FleetPorts
from bayplan.spec.model import Fleet


async def ask_all(ports: FleetPorts) -> Facts:
    """Every host at once. Raises NoHostError when none answers."""
    seen = await asyncio.gather(*(see_engine(ports, host) for host in ports.fleet.hosts))
    return answered(ports.fleet, Facts({h.name: h for h in seen}))


def replicas_of(facts: Facts, app: str, services: Collection[str]) -> tuple[Replica, ...]:
    """The app's replicas of these services (none named: all), by service, then slot."""
    found = (r for r in facts.replicas(app) if not services or r.service in services)
    return tuple(sorted(found, key=lambda r: (r.service, r.slot, r.release, r.host)))


async def check_services(ports: FleetPorts, facts: Facts, app: str, services: Collection[str]) -> None:
    """Raises UsageError for a service that neither runs nor is in the newest release."""
    known = {r.service for r in facts.replicas(app)}
    if set(services) <= known:
        return
    with suppress(BayplanError):  # a registry that is down hides what was released, not what runs
        chosen = await current(ports.releases, app)
        known |= set(chosen.app.services) if chosen else set()
    unknown = sorted(set(services) - known)
    if unknown:
        todo = f"it has: {', '.join(sorted(known))}" if known else "nothing of it runs here: bayplan up"
        raise UsageError(f"no service {unknown[0]} in the app {app}", todo=todo)


def check_hosts(fleet: Fleet, named: Iterable[str]) -> None:
    """Raises UsageError for a host that the fleet does not have."""
    unknown = next((name for name in sorted(named) if name not in fleet.hosts), None)
    if unknown is not None:
        raise UsageError(f"no host {unknown} in the fleet", todo=f"it has: {', '.join(fleet.hosts)}")
