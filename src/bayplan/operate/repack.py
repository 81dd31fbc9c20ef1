"""Making the fleet denser: looked at first, then done host by host, each replica beside its old self first."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bayplan.converge.observe import answered, observe
from bayplan.converge.sight import Sight
from bayplan.errors import UsageError
from bayplan.facts import Facts
from bayplan.operate import lost
from bayplan.operate.bring import Result, Wishes, changing, converge, record_next, tell
from bayplan.operate.events import OnEvent
from bayplan.operate.left_behind import check_registry_stays
from bayplan.operate.release import Chosen, current
from bayplan.plan.goal import Goal
from bayplan.plan.repack import Move, Repack, by_origin, repack
from bayplan.ports import FleetPorts


@dataclass(frozen=True, slots=True)
class Done:
    """What came of it. results: a run of an app each; is_whole: every move was made."""

    repack: Repack
    results: tuple[Result, ...]

    @property
    def is_whole(self) -> bool:
        return all(result.outcome.is_whole for result in self.results)


async def propose(ports: FleetPorts, most: int | None) -> Repack:
    """What would be moved, in at most so many moves. Nothing is changed. Raises NoHostError."""
    facts = answered(ports.fleet, await observe(ports))
    return repack(_goals(ports, await _chosen(ports, facts)), facts, most)


async def carry_out(ports: FleetPorts, shown: Repack, most: int | None, wishes: Wishes, on: OnEvent) -> Done:
    """What was shown, host by host; ends after a host that could not be emptied.

    Raises UsageError when the fleet changed meanwhile so that other moves would be made.
    """

    async def work(sight: Sight) -> Done:
        facts = sight.seen
        check_registry_stays(ports.fleet, facts)
        chosen = await _chosen(ports, facts)
        found = repack(_goals(ports, chosen), facts, most)
        if found != shown:
            raise UsageError(
                "the fleet changed meanwhile: other moves would be made now", todo="look again: bayplan repack"
            )
        changed = [chosen[app] for app in sorted({m.app for m in found.moves})]
        for now in changed:
            lost.check(now.app, now.app, facts)
        for now in changed:
            tell(on, lost.notes(now.app, now.app, facts, now.app.services.keys() - now.stopped))
            chosen[now.app.name] = await record_next(ports, now, now.app, now.stopped, "repack", facts)
        return Done(found, await _moved(ports, chosen, found, wishes, on))

    return await changing(ports, "repack", work, wishes, on)


async def _moved(
    ports: FleetPorts, chosen: Mapping[str, Chosen], found: Repack, wishes: Wishes, on: OnEvent
) -> tuple[Result, ...]:
    results: list[Result] = []
    for _, moves in by_origin(found.moves):
        for app in dict.fromkeys(m.app for m in moves):
            there = {(m.service, m.slot): m.target for m in moves if m.app == app}
            results.append(await converge(ports, chosen[app], Wishes(moves=there, patience=wishes.patience), on))
        if not all(result.outcome.is_whole for result in results):
            break
    return tuple(results)


async def _chosen(ports: FleetPorts, facts: Facts) -> dict[str, Chosen]:
    """The release of every app that has replicas: side by side, since each takes three requests."""
    apps = sorted({r.app for r in facts.replicas()})
    found = await asyncio.gather(*(current(ports.releases, app) for app in apps))
    return {app: chosen for app, chosen in zip(apps, found, strict=True) if chosen}


def _goals(ports: FleetPorts, chosen: Mapping[str, Chosen]) -> dict[str, Goal]:
    return {app: Goal(ports.fleet, c.app, c.number, c.before) for app, c in chosen.items()}


def as_json(found: Repack, done: Done | None) -> dict[str, Any]:
    """The shape of `repack --json`. done: None if it was only looked at."""
    return {
        "hosts": {"before": len(found.used), "after": len(found.used) - len(found.emptied)},
        "emptied": list(found.emptied),
        "moves": [_move(m) for m in found.moves],
        "kept": [{"host": k.host, "why": k.why} for k in found.kept],
        "reserved": {
            "before": {"cpus": found.reserved[0], "memory": found.reserved[1]},
            "after": {"cpus": found.after[0], "memory": found.after[1]},
        },
        "done": done is not None and done.is_whole,
    }


def _move(move: Move) -> dict[str, Any]:
    return {
        "app": move.app,
        "service": move.service,
        "slot": move.slot,
        "from": move.origin,
        "to": move.target,
        "why": move.why,
    }
