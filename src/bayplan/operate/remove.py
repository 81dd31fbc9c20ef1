"""Taking an app down, and, when it was the last, what bayplan itself runs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from bayplan.converge.observe import observe
from bayplan.errors import UsageError
from bayplan.operate.bring import Result, Wishes, converge
from bayplan.operate.events import OnEvent, Stage
from bayplan.operate.release import record
from bayplan.plan.replica import network_name
from bayplan.ports import FleetPorts
from bayplan.spec.model import App

ROLES = ("guard", "gateway", "registry")


async def down(ports: FleetPorts, app: str, on: OnEvent, *, everything: bool = False) -> Result:
    """Nothing of the app left running; its releases stay recorded. everything: nor anything of the fleet."""
    others = sorted({r.app for r in (await observe(ports, images=False)).replicas()} - {app})
    if everything and others:
        raise UsageError(f"the fleet still runs {', '.join(others)}", todo="take them down first, or leave out --all")
    chosen = await record(ports.releases, App(name=app), "down")
    result = await converge(ports, chosen, Wishes(), on)
    if result.outcome.is_whole:
        on(Stage("hosts", "networks" if not everything else "networks, gateways, guards, registry"))
        await _each(ports, [network_name(ports.fleet.name, app)], ROLES if everything else ())
    return result


async def _each(ports: FleetPorts, networks: Sequence[str], roles: Sequence[str]) -> None:
    names = [f"bayplan-{role}-{ports.fleet.name}" for role in roles]
    done = await asyncio.gather(
        *(engine.remove(name, 10) for engine in ports.engines.values() for name in names),
        *(engine.remove_network(name) for engine in ports.engines.values() for name in networks),
        return_exceptions=True,
    )
    failed = next((e for e in done if isinstance(e, BaseException)), None)
    if failed:
        raise failed
