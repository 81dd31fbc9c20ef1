"""Containers that run and that their engine would not start again: somebody took their restart policy."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from bayplan.errors import BayplanError
from bayplan.facts import HostFacts, Replica
from bayplan.operate.doctor.finding import Finding
from bayplan.operate.release import current
from bayplan.ports import Engine, FleetPorts

AT_ONCE = 8  # requests: there may be hundreds of containers
_NEVER = frozenset({"", "no"})
_ALWAYS = "always"  # what bayplan itself runs on a host


async def restart_findings(ports: FleetPorts, facts: HostFacts) -> tuple[Finding, ...]:
    """Of replicas that are to run, and of what bayplan itself runs there. The engine's list does not tell: each running
    container is asked for. Never raises an error of ours.
    """
    system = {c.name for c in facts.engine.system if c.state == "running" and not c.aside and c.name}
    replicas = {r.name: r for r in facts.engine.replicas if r.state == "running" and not r.job}
    lost = await _without(ports.engines[facts.name], (*sorted(system), *replicas))
    wanted = await _wanted(ports, [replicas[name] for name in lost if name in replicas])
    wanted |= {name: _ALWAYS for name in lost if name in system}
    return tuple(_told(facts.name, name, wanted[name]) for name in lost if wanted.get(name, "no") not in _NEVER)


async def _without(engine: Engine, names: Sequence[str]) -> list[str]:
    turns = asyncio.Semaphore(AT_ONCE)

    async def is_without(name: str) -> bool:
        async with turns:
            try:
                return (await engine.inspect(name))["HostConfig"]["RestartPolicy"]["Name"] in _NEVER
            except BayplanError:  # it went meanwhile, or the host fell silent, which is told otherwise
                return False

    found = await asyncio.gather(*map(is_without, names))
    return [name for name, lost in zip(names, found, strict=True) if lost]


async def _wanted(ports: FleetPorts, replicas: Iterable[Replica]) -> dict[str, str]:
    """The policy that each is to have, by name, as far as releases tell; of what is stopped, none."""
    found: dict[str, str] = {}
    by_app: dict[str, list[Replica]] = defaultdict(list)
    for replica in replicas:
        by_app[replica.app].append(replica)
    for app, there in sorted(by_app.items()):
        policies = await _released(ports, app)
        found |= {r.name: policies[r.service] for r in there if r.service in policies}
    return found


async def _released(ports: FleetPorts, app: str) -> Mapping[str, str]:
    try:
        chosen = await current(ports.releases, app)
    except BayplanError:
        return {}
    services = chosen.app.services.values() if chosen else ()
    return {s.name: s.restart for s in services if chosen and s.name not in chosen.stopped}


def _told(host: str, name: str, policy: str) -> Finding:
    told = f"{name} runs, and is not started again when it ends or the host restarts: its restart policy is gone"
    return Finding("warn", "restart", host, told, f"give it back, on {host}: docker update --restart={policy} {name}")
