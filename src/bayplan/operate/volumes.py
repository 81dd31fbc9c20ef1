"""Volumes of an app: which there are, where, and who mounts them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from bayplan import labels
from bayplan.errors import HostUnreachableError, UsageError
from bayplan.facts import Facts
from bayplan.operate.ask import ask_all, check_hosts
from bayplan.operate.release import last_that_ran
from bayplan.plan.constraints import unmet
from bayplan.plan.names import half_name
from bayplan.ports import FleetPorts, VolumeEntry
from bayplan.spec.model import App
from bayplan.spec.pinned import pinned
from bayplan.spec.storage import Volume

Written = Callable[[], Mapping[str, Volume]]  # the volumes of the Compose file, by key; {} where there is none
_OPENED = "bayplan-volume-"


@dataclass(frozen=True, slots=True)
class VolumeView:
    """A volume of the app on one host. volume: its key in the Compose file, "" if it is in none.

    unfinished: a copy that was begun there and is not whole.
    """

    volume: str
    name: str
    host: str
    driver: str
    services: tuple[str, ...]
    used_by: tuple[str, ...]
    unfinished: bool = False


@dataclass(frozen=True, slots=True)
class Volumes:
    """The app's volumes on the hosts that answer. paused: by host, the fleet's containers that stand so.

    unknown: hosts that did not answer, and why: what they have is not known.
    """

    ports: FleetPorts
    app: App
    at: Mapping[str, Mapping[str, VolumeEntry]]
    paused: Mapping[str, frozenset[str]]
    unknown: Mapping[str, str]

    def views(self) -> Iterator[VolumeView]:
        """Those that the release names, and those that were made for the app."""
        keys = {volume.name: key for key, volume in self.app.volumes.items()}
        halves = {half_name(name) for entries in self.at.values() for name in entries}
        for host, entries in self.at.items():
            for entry in (e for e in entries.values() if e.name not in halves):
                is_ours = entry.labels.get(labels.APP) == self.app.name
                if entry.name in keys or (is_ours and entry.labels.get(labels.FLEET) == self.ports.fleet.name):
                    key = keys.get(entry.name, "")
                    services = tuple(
                        s.name for s in self.app.services.values() if any(m.source == key for m in s.mounts)
                    )
                    yield VolumeView(
                        key,
                        entry.name,
                        host,
                        entry.driver,
                        services if key else (),
                        tuple(sorted(entry.used_by)),
                        self.is_half(entry.name, host),
                    )

    def is_half(self, name: str, host: str) -> bool:
        """Whether a copy of it was begun there and is not whole."""
        return half_name(name) in self.at[host]

    def name_of(self, said: str) -> str:
        """What engines call it: by its key in the Compose file, or by that name itself."""
        volume = self.app.volumes.get(said)
        return volume.name if volume else said

    def key_of(self, said: str) -> str:
        """By its key or its name. Raises UsageError for what is not the app's: nothing would ever mount it."""
        if said in self.app.volumes:
            return said
        found = next((key for key, volume in self.app.volumes.items() if volume.name == said), None)
        if found is None:
            known = ", ".join(sorted(self.app.volumes)) or "none"
            raise UsageError(
                f"neither the release nor the Compose file of {self.app.name} has a volume {said}",
                todo=f"there are: {known}",
            )
        return found

    def home_of(
        self, said: str, host: str | None = None, *, or_half: bool = False, todo: str = "say which: --host {host}"
    ) -> tuple[str, VolumeEntry]:
        """Where it is. or_half: a copy that is not whole counts, too. todo: what can be done where several have it.

        Raises UsageError when it is nowhere, or on several hosts and none is named; HostUnreachableError when only a
        host that did not answer may have it.
        """
        name = self.name_of(said)
        there = [h for h, entries in self.at.items() if name in entries and host in (None, h)]
        homes = [h for h in there if or_half or not self.is_half(name, h)]
        silent = [h for h in self.unknown if host in (None, h)]
        if not there and silent:
            raise HostUnreachableError(
                f"no host that answers has a volume {name}; {' and '.join(silent)} may",
                todo="\n  ".join(f"{h} does not answer: {self.unknown[h]}" for h in silent),
            )
        if not there:
            known = ", ".join(sorted({v.volume or v.name for v in self.views()})) or "none"
            raise UsageError(f"no host{f' {host}' if host else ''} has a volume {name}", todo=f"there are: {known}")
        if not homes:
            raise UsageError(
                f"what {' and '.join(there)} has of {name} is a copy that was not finished",
                todo="begin it again (bayplan volume restore), or remove it (bayplan volume rm)",
            )
        if len(homes) > 1:
            used = next((h for h in homes if running(self.at[h][name])), homes[0])
            raise UsageError(f"{name} is on {' and on '.join(homes)}", todo=todo.format(host=used, name=name))
        return homes[0], self.at[homes[0]][name]


async def volumes(ports: FleetPorts, app: str, written: Written = dict, said: str = "") -> Volumes:
    """One look at every host that answers. written: asked where the newest release that ran does not know `said`, or
    has no volumes. Raises NoHostError.
    """
    facts = await ask_all(ports)
    known = await last_that_ran(ports.releases, app)
    names = {*known.volumes, *(volume.name for volume in known.volumes.values())}
    if not names or (said and said not in names):
        known = known.model_copy(update={"volumes": {**written(), **known.volumes}})
    return await volumes_of(ports, known, facts)


async def volumes_of(ports: FleetPorts, app: App, facts: Facts) -> Volumes:
    """The app's on the hosts that answered a moment ago."""
    hosts = [host.name for host in facts.reachable()]
    found = await asyncio.gather(*(ports.engines[host].volumes() for host in hosts))
    entries = {
        host: {v.name: _without_remains(v, ports.fleet.name) for v in there}
        for host, there in zip(hosts, found, strict=True)
    }
    paused = {
        host.name: frozenset(
            c.name for there in (host.engine.replicas, host.engine.oneoffs) for c in there if c.state == "paused"
        )
        for host in facts.reachable()
    }
    unknown = {host.name: host.why for host in facts.hosts.values() if not host.reachable}
    return Volumes(ports, app, entries, paused, unknown)


def _without_remains(entry: VolumeEntry, fleet: str) -> VolumeEntry:
    remains = remains_of(entry, fleet)
    return replace(entry, used_by={n: runs for n, runs in entry.used_by.items() if n not in remains})


def remains_of(entry: VolumeEntry, fleet: str) -> frozenset[str]:
    """What a process left that was killed before its container was started, which therefore does not end by itself."""
    return frozenset(n for n, runs in entry.used_by.items() if n.startswith(opened_prefix(fleet)) and not runs)


def opened_prefix(fleet: str) -> str:
    return f"{_OPENED}{fleet}-"


def check_move(known: Volumes, said: str, to: str) -> tuple[str, VolumeEntry]:
    """Where it is now. Raises UsageError for a move that cannot be, or that its services could not follow."""
    check_hosts(known.ports.fleet, (to,))
    home, entry = known.home_of(said, todo="remove the one that does not count: bayplan volume rm {name} --host HOST")
    if home == to:
        raise UsageError(f"{entry.name} is on {to} already")
    check_absent(known, entry.name, to)
    host = known.ports.fleet.hosts[to]
    for service in known.app.services.values():
        names = {volume.name for _, volume in pinned(known.app, service)}
        if entry.name not in names:
            continue
        if why := unmet(service, host, ""):
            raise UsageError(f"{service.name} may not live on {to}: it {why}", todo="change its constraints first")
        if others := sorted(names - {entry.name}):
            raise UsageError(
                f"{service.name} has {', '.join(others)} on {home}, too: its volumes are on one host",
                todo="give it one volume, or take it down and restore backups of all of them there",
            )
    return home, entry


def check_absent(known: Volumes, name: str, host: str) -> None:
    """Raises UsageError for a host that has it, or does not answer. A copy that is not whole is begun again."""
    if host not in known.at:
        raise UsageError(f"{host} does not answer")
    if name in known.at[host] and not known.is_half(name, host):
        raise UsageError(
            f"{host} has a volume {name} already", todo=f"remove it first: bayplan volume rm {name} --host {host}"
        )


def running(entry: VolumeEntry) -> tuple[str, ...]:
    """The containers that mount it and run, but for one that a process has it open with."""
    return tuple(name for name, runs in entry.used_by.items() if runs and not name.startswith(_OPENED))
