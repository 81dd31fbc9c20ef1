"""The fleet: every host at once, and what only shows when they are seen together."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence

from bayplan.errors import BayplanError
from bayplan.facts import Facts
from bayplan.operate.doctor.finding import Finding, failed
from bayplan.operate.doctor.host import Examined, examine
from bayplan.operate.doctor.restart import restart_findings
from bayplan.operate.doctor.system import system_findings
from bayplan.operate.private_net import is_private
from bayplan.operate.registry_door import leads_to_registry
from bayplan.plan.own_registry import apps_of, registry_left
from bayplan.ports import FleetPorts
from bayplan.spec.model import App, Fleet, Host

REGISTRY_DEADLINE = 15.0  # seconds


async def fleet_findings(ports: FleetPorts, app: App | None) -> tuple[Finding, ...]:
    """Hosts in fleet.yaml's order, then the whole. Never raises an error of ours; hosts may be down."""
    hosts = tuple(ports.fleet.hosts.values())
    each = await asyncio.gather(*(_host(ports, h, app) for h in hosts))
    findings = [f for e in each for f in e.findings]
    whole = (*net_findings(ports.fleet), *_together(hosts, each), *left_findings(ports.fleet, each))
    return (*findings, *whole, *await _registry(ports, each))


async def _host(ports: FleetPorts, host: Host, app: App | None) -> Examined:
    seen = await examine(ports, host, app)
    if seen.facts is None:
        return seen
    system, restart = await asyncio.gather(system_findings(ports, seen.facts), restart_findings(ports, seen.facts))
    return Examined((*seen.findings, *system, *restart), seen.facts, seen.architecture)


def net_findings(fleet: Fleet) -> Iterator[Finding]:
    """Clouds let their customers have any network for a private one: it may be meant."""
    if not is_private(fleet.private_net):
        told = f"{fleet.private_net} is no private network: whoever has an address in it reaches replicas' ports"
        yield Finding("warn", "private_net", "fleet", told, "is it yours alone? else write a network that is")


def _together(hosts: Sequence[Host], each: Sequence[Examined]) -> Iterator[Finding]:
    kinds = {h.name: e.architecture for h, e in zip(hosts, each, strict=True) if e.architecture}
    if len(set(kinds.values())) < 2:  # noqa: PLR2004  one kind is no mixture
        return
    told = "hosts differ: " + ", ".join(f"{name} is {kind}" for name, kind in kinds.items())
    todo = "an image, built or copied, is for the kind of the host that builds, and its replicas go to such hosts alone"
    yield Finding("warn", "architecture", "fleet", told, todo)


def left_findings(fleet: Fleet, each: Sequence[Examined]) -> Iterator[Finding]:
    """A registry of the fleet's own, where fleet.yaml has one outside of the fleet by now."""
    facts = Facts({e.facts.name: e.facts for e in each if e.facts})
    if left := registry_left(fleet, facts):
        host, registry = left
        apps = apps_of(registry, facts)
        still = f"; on its images: {', '.join(apps)}" if apps else ""
        told = f"the one that the fleet had still runs{still}"
        todo = f"bayplan up{' of each' * bool(apps)}, and it goes; what it holds stays in its volume"
        yield Finding("warn", "registry", host, told, todo)


async def _registry(ports: FleetPorts, each: Sequence[Examined]) -> tuple[Finding, ...]:
    """Asked as a push does; the fleet's own only once it has been started."""
    registry, wanted = ports.registry, ports.fleet.registry
    if registry is None or wanted is None:
        return ()
    if wanted.host is not None and not any(e.facts and e.facts.name == wanted.host for e in each):
        return (Finding("fail", "registry", "fleet", f"nothing is known of it: it is on {wanted.host}, see above"),)
    started = any(e.facts and e.facts.engine.system for e in each)
    if wanted.host is not None and not started:
        return (Finding("ok", "registry", "fleet", "not there yet", f"bayplan up starts it on {wanted.host}"),)
    if wanted.host is not None and any(
        e.facts and e.facts.name == wanted.host and not leads_to_registry(e.facts, wanted.port) for e in each
    ):
        told = f"the gateway of {wanted.host}, through which it is asked, does not lead to it"
        return (Finding("fail", "registry", "fleet", told, "bayplan up mends it"),)
    try:
        async with asyncio.timeout(REGISTRY_DEADLINE):
            await registry.ping()
    except TimeoutError:
        return (Finding("fail", "registry", "fleet", f"{registry.prefix} does not answer", "is its host up?"),)
    except BayplanError as error:
        return (failed("registry", "fleet", error),)
    return (Finding("ok", "registry", "fleet", f"{registry.prefix} answers and lets us in"),)
