"""Taking an app down, and, when it was the last, what bayplan itself runs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain

from bayplan.converge.outcome import Outcome
from bayplan.converge.sight import Sight
from bayplan.errors import UsageError
from bayplan.facts import ASIDE, Facts, Role
from bayplan.operate.ask import check_hosts
from bayplan.operate.bring import Result, Wishes, changing, converge
from bayplan.operate.events import Note, OnEvent, Stage
from bayplan.operate.release import current, is_new_fleet, last_readable, record
from bayplan.operate.secrets import forget
from bayplan.operate.sweep import Sweep, foreseen, sweep
from bayplan.operate.together import raise_failed, together
from bayplan.plan.goal import Goal
from bayplan.plan.names import bridges, system_name
from bayplan.plan.steps import Plan
from bayplan.ports import FleetPorts
from bayplan.spec.model import App

ROLES: tuple[Role, ...] = ("guard", "gateway", "registry")
PLAINLY = Wishes()
LEFT = "not all of it could be removed"
RUN_GRACE = 10.0  # seconds for a command that `run` runs


async def down(
    ports: FleetPorts,
    app: str,
    on: OnEvent,
    *,
    everything: bool = False,
    with_volumes: bool = False,
    wishes: Wishes = PLAINLY,
) -> Result:
    """Nothing of the app left running; its releases stay recorded. everything: nor anything of the fleet.
    with_volumes: nor its data; which volumes go is told before anything is stopped.

    Raises UsageError when others need what everything would remove, NoHostError.
    """
    check_hosts(ports.fleet, wishes.assume_down)
    return await changing(
        ports, f"down {app}", lambda sight: _down(ports, app, on, everything, with_volumes, wishes, sight), wishes, on
    )


async def _down(
    ports: FleetPorts, app: str, on: OnEvent, everything: bool, with_volumes: bool, wishes: Wishes, sight: Sight
) -> Result:
    facts = sight.seen
    others = sorted({r.app for r in facts.replicas()} - {app})
    if everything and others:
        raise UsageError(f"the fleet still runs {', '.join(others)}", todo="take them down first, or leave out --all")
    if with_volumes:
        await current(ports.releases, app)  # which volumes are others' is in it
    goes = await foreseen(ports, app, facts) if with_volumes else Sweep()
    if with_volumes:
        silent = [h.name for h in facts.hosts.values() if not h.reachable]
        unknown = f"; what {' and '.join(silent)} has is not known" if silent else ""
        on(Stage("volumes", (str(goes) or "no volumes to remove") + unknown))
    runs = [(o.host, o.name) for o in facts.oneoffs(app)]
    left = await together(ports.engines[host].remove(name, RUN_GRACE) for host, name in runs)
    result = await _converge(ports, app, facts, on, wishes, sight)
    if result.outcome.is_whole:
        await sweep(ports, goes)
        result = replace(result, volumes=goes.gone)
        on(Stage("networks", "removes networks, gateways, guards and the registry" if everything else "networks"))
        await forget(ports, App(name=app))
        await _each(ports, bridges(ports.fleet.name, app), ROLES if everything else ())
    raise_failed(left, LEFT)
    return result


async def _converge(ports: FleetPorts, app: str, facts: Facts, on: OnEvent, wishes: Wishes, sight: Sight) -> Result:
    """Until nothing of it runs. A `down --all` that was cut short may have left no registry to ask or record in; a name
    that was misspelt is none to record.
    """
    is_new = is_new_fleet(ports.fleet, facts)
    before = None if is_new else await last_readable(ports.releases, app, lambda text: on(Note(text)))
    if is_new or (before is None and not _is_there(app, facts)):
        return Result(Goal(ports.fleet, App(name=app), 0), Outcome(facts, Plan(), passes=1), is_new=False)
    chosen = await record(ports, App(name=app), "down", facts, latest=before)
    return await converge(ports, chosen, wishes, on, sight)


def _is_there(app: str, facts: Facts) -> bool:
    return any(facts.replicas(app)) or any(pool.app == app for table in facts.tables() for pool in table.pools)


async def _each(ports: FleetPorts, networks: Iterable[str], roles: Sequence[Role]) -> None:
    names = [system_name(role, ports.fleet.name) for role in roles]
    names += [name + ASIDE for name in names]
    every = ports.engines.values()
    containers = (engine.remove(name, 10) for engine in every for name in names)
    gone = (engine.remove_network(network) for engine in every for network in networks)
    raise_failed(await together(chain(containers, gone)), LEFT)
