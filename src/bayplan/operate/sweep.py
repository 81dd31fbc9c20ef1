"""The volumes that go with an app that is taken down, and those that stay, with why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from bayplan import labels
from bayplan.facts import Facts
from bayplan.operate.release import last_that_ran
from bayplan.operate.together import raise_failed, together
from bayplan.operate.volume_data import remove_whole
from bayplan.operate.volumes import volumes_of
from bayplan.ports import FleetPorts, VolumeEntry


@dataclass(frozen=True, slots=True)
class Sweep:
    """What goes: (volume, host), as engines call them. kept: why others of the app stay, by volume."""

    gone: tuple[tuple[str, str], ...] = ()
    kept: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        goes = ", ".join(f"{name} on {host}" for name, host in self.gone)
        stays = "; ".join(f"{name} stays: {why}" for name, why in self.kept.items())
        return "; ".join(part for part in (f"removes with all that is in it: {goes}" if goes else "", stays) if part)


async def foreseen(ports: FleetPorts, app: str, facts: Facts) -> Sweep:
    """What a `down -v` will remove. What is not known to be the app's own data, on a host's own disk, stays."""
    known = await volumes_of(ports, await last_that_ran(ports.releases, app), facts)
    own = {r.name for r in facts.replicas(app)} | {o.name for o in facts.oneoffs(app)}
    external = {v.name for v in known.app.volumes.values() if v.external}
    gone: list[tuple[str, str]] = []
    kept = dict.fromkeys(sorted(external), "it is external")
    for view in known.views():
        entry = known.at[view.host][view.name]
        why = "external" if view.name in external else _why_kept(entry, ports.fleet.name, app, own)
        if not why:
            gone.append((view.name, view.host))
        elif view.name not in external:
            kept[view.name] = why
    return Sweep(tuple(gone), kept)


async def sweep(ports: FleetPorts, goes: Sweep) -> None:
    """Remove them. Raises PartialError that tells all that could not be."""
    failed = await together(remove_whole(ports, host, name) for name, host in goes.gone)
    raise_failed(failed, "not all volumes could be removed")


def _why_kept(entry: VolumeEntry, fleet: str, app: str, own: Collection[str]) -> str:
    """ "": it goes."""
    if entry.labels.get(labels.FLEET, fleet) != fleet:
        return f"it is of the fleet {entry.labels[labels.FLEET]}"
    if (owner := entry.labels.get(labels.APP) or entry.labels.get(labels.COMPOSE_PROJECT, app)) != app:
        return f"it is of the app {owner}"
    if others := sorted(set(entry.used_by) - set(own)):
        return f"{', '.join(others)} mounts it, too"
    if entry.driver != "local":
        return f"its data is elsewhere ({entry.driver})"
    device = entry.options.get("device", "")
    return f"its data is elsewhere ({device})" if device and entry.options.get("type") != "tmpfs" else ""
