"""Moving a volume to another host: its services stop, its data is copied and compared, and they start where it is."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from bayplan.converge.outcome import StepEvent
from bayplan.converge.sight import Sight
from bayplan.errors import UsageError
from bayplan.facts import HostFacts
from bayplan.operate import lost
from bayplan.operate.bring import Result, Wishes, changing, converge, record_next, tell
from bayplan.operate.events import OnEvent, Stage
from bayplan.operate.left_behind import check_registry_stays
from bayplan.operate.release import required
from bayplan.operate.volume_data import Copied, OnBytes, copy, remove_whole
from bayplan.operate.volumes import check_move, running, volumes_of
from bayplan.plan.steps import Remove, Stop
from bayplan.ports import Engine, FleetPorts, VolumeEntry


async def move(
    ports: FleetPorts, app: str, said: str, to: str, wishes: Wishes, on: OnEvent, on_bytes: OnBytes
) -> tuple[Copied, Result]:
    """Killed at any moment, the data is whole on one of both hosts: the old volume goes when the new one is as it was,
    and until then a stopped replica there says which counts.

    Raises UsageError; EngineError when the copy is not what was read: then all is as before.
    """

    async def work(sight: Sight) -> tuple[Copied, Result]:
        facts = sight.seen
        check_registry_stays(ports.fleet, facts)
        chosen = await required(ports.releases, app)
        known = await volumes_of(ports, chosen.app, facts)
        home, entry = check_move(known, said, to)
        _check_ours(facts.hosts[home], app, entry)
        lost.check(chosen.app, chosen.app, facts)
        tell(on, lost.notes(chosen.app, chosen.app, facts, chosen.app.services.keys() - chosen.stopped))
        engine = ports.engines[home]
        on(Stage("volume", f"{entry.name} moves from {home} to {to}"))
        grace = max((s.stop_grace_period for s in known.app.services.values()), default=10.0)
        ran = running(entry)
        try:
            await _stopped(engine, ran, grace)
            for name in ran:
                on(StepEvent(Stop(home, "", name, grace, "its volume moves"), "done"))
            on(Stage("copy", f"{entry.name} is copied and compared"))
            copied = await copy(ports, known, said, to, on_bytes)
        except BaseException:
            await asyncio.shield(asyncio.gather(*(engine.start(name) for name in ran), return_exceptions=True))
            raise
        for name in entry.used_by:
            await engine.remove(name, 0)
            on(StepEvent(Remove(home, "", name, 0, f"its volume is on {to}"), "done"))
        await remove_whole(ports, home, entry.name)
        seen = await sight.look(whole=True)
        chosen = await record_next(ports, chosen, chosen.app, chosen.stopped, f"volume move {said} {to}", seen)
        return copied, await converge(ports, chosen, wishes, on, sight)

    return await changing(ports, f"volume move {app} {said} {to}", work, wishes, on)


async def _stopped(engine: Engine, names: Iterable[str], grace: float) -> None:
    """All of them, also when it is not wanted any more: their engine goes on, and would stop what was started again."""
    stopping = asyncio.gather(*(engine.stop(name, grace) for name in names), return_exceptions=True)
    try:
        failed = [r for r in await asyncio.shield(stopping) if isinstance(r, BaseException)]
    except asyncio.CancelledError:
        await stopping
        raise
    if failed:
        raise failed[0]


def _check_ours(host: HostFacts, app: str, entry: VolumeEntry) -> None:
    """What is not the app's cannot be stopped for it."""
    ours = {r.name for r in host.engine.replicas if r.app == app} | {
        o.name for o in host.engine.oneoffs if o.app == app
    }
    if others := sorted(entry.used_by.keys() - ours):
        told = f"{entry.name} on {host.name} is mounted by {', '.join(others)}, too"
        raise UsageError(told, todo="take that down first")
