"""Volumes of an app: which there are and where, what is copied into one or read out of one, and how one is removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import uuid4

from bayplan import labels
from bayplan.container import Container, Mounted
from bayplan.errors import DeadlineError, EngineError, HostUnreachableError, UsageError
from bayplan.facts import Facts
from bayplan.operate.ask import ask_all, check_hosts
from bayplan.operate.release import last_that_ran
from bayplan.operate.tree_digest import Digest, digested
from bayplan.plan.constraints import unmet
from bayplan.plan.names import half_name
from bayplan.plan.volumes import mounted
from bayplan.ports import Engine, FleetPorts, Held, How, VolumeEntry
from bayplan.spec.model import App, Service
from bayplan.spec.pinned import pinned
from bayplan.spec.storage import Mount, Volume

OnBytes = Callable[[str, int], None]  # what is done, and how many bytes of it are
Written = Callable[[], Mapping[str, Volume]]  # the volumes of the Compose file, by key; {} where there is none
AT = "/volume"
DYING = 5.0  # seconds for the container of a process that was killed to end
_STARTED, _SYNCED = 30.0, 600.0  # seconds for what has a volume open to run, and for all that was written to be kept
_SYNC = 'if sync --help 2>&1 | grep -q -e --file-system; then exec sync -f "$0"; fi; exec sync'  # BusyBox has it plain
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
class Copied:
    """What was copied, and its digest: of the files, not of how they are packed."""

    name: str
    host: str
    bytes: int
    files: int
    digest: str


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
    remains = _remains(entry, fleet)
    return replace(entry, used_by={n: runs for n, runs in entry.used_by.items() if n not in remains})


def _remains(entry: VolumeEntry, fleet: str) -> frozenset[str]:
    """What a process left that was killed before its container was started, which therefore does not end by itself."""
    return frozenset(n for n, runs in entry.used_by.items() if n.startswith(_opened_prefix(fleet)) and not runs)


def _opened_prefix(fleet: str) -> str:
    return f"{_OPENED}{fleet}-"


async def copy(ports: FleetPorts, known: Volumes, said: str, to: str, on: OnBytes) -> Copied:
    """A volume on another host as well, read back and compared; nothing may write to it meanwhile."""
    home, entry = known.home_of(said)
    engine, digest = ports.engines[home], Digest()
    made = Mounted(mount_at(), entry.name, entry.driver, entry.options, entry.labels)
    async with (
        opened(ports, home, Mounted(mount_at(), entry.name)) as at,
        digested(engine.read_tree(at, AT), lambda n: on("copy", n), digest, as_sent(entry.name, home)) as source,
    ):
        return await fill(known, made, to, source, digest, on)


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


async def remove(ports: FleetPorts, app: str, said: str, host: str | None, written: Written = dict) -> tuple[str, str]:
    """A volume with all that is in it: its name, and its host. Raises UsageError while a container mounts it, for an
    external one, which bayplan did not make, and for one that is not the app's.
    """
    known = await volumes(ports, app, written, said)
    home, entry = known.home_of(said, host, or_half=True)
    if any(volume.name == entry.name and volume.external for volume in known.app.volumes.values()):
        raise UsageError(
            f"{entry.name} is external: bayplan neither makes nor removes it",
            todo=f"if it is to go: docker volume rm {entry.name}, on {home}",
        )
    if not any((view.name, view.host) == (entry.name, home) for view in known.views()):
        raise UsageError(
            f"{entry.name} on {home} is not a volume of {app}",
            todo=f"if nobody needs it: docker volume rm {entry.name}, on {home}",
        )
    if entry.used_by:
        raise UsageError(
            f"{entry.name} on {home} is mounted by {', '.join(sorted(entry.used_by))}",
            todo="take that down first: bayplan down; or, if it is left over of a release before, bayplan up",
        )
    await remove_whole(ports, home, entry.name)
    return entry.name, home


async def remove_whole(ports: FleetPorts, host: str, name: str) -> None:
    """The volume, and then what says that it is not whole."""
    engine, both = ports.engines[host], (name, half_name(name))
    for entry in [v for v in await engine.volumes() if v.name in both]:
        for left in _remains(entry, ports.fleet.name):
            await engine.remove(left, 0)
        await _until_closed(engine, entry, ports.fleet.name)
    for one in both:
        await engine.remove_volume(one)


async def _until_closed(engine: Engine, entry: VolumeEntry, fleet: str) -> bool:
    """What a process that has just been killed had open ends by itself, a moment after it; False: one still lives."""
    try:
        async with asyncio.timeout(DYING):
            for name in (n for n, runs in entry.used_by.items() if runs and n.startswith(_opened_prefix(fleet))):
                await engine.until_removed(name)
    except TimeoutError:
        return False
    return True


async def is_closed(ports: FleetPorts, host: str, name: str) -> bool:
    """Whether no process has the volume open."""
    engine = ports.engines[host]
    there = [v for v in await engine.volumes() if v.name == name]
    return all([await _until_closed(engine, entry, ports.fleet.name) for entry in there])


async def fill(
    known: Volumes, made: Mounted, host: str, source: AsyncIterator[bytes], digest: Digest, on: OnBytes
) -> Copied:
    """The volume, made on that host of what `source` sends, read back and compared. It is marked as a half of itself
    until it is found to be what was sent. Raises EngineError when it is not, and removes it then.
    """
    engine, size = known.ports.engines[host], 0
    if known.is_half(made.name, host):
        await remove_whole(known.ports, host, made.name)
    half = Mounted(Mount(kind="volume", target="/unfinished", nocopy=True), half_name(made.name), labels=made.labels)
    try:
        async with opened(known.ports, host, half, made) as at:
            await engine.write_tree(at, AT, source)
            sent, back = as_sent(made.name, host), Digest(beside=digest.parents)
            async with digested(engine.read_tree(at, AT), lambda n: on("check", n), back, sent) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
            _compare(made.name, host, digest, back)
            await _sync(engine, at)
        await engine.remove_volume(half.name)
    except BaseException:
        await asyncio.shield(remove_whole(known.ports, host, made.name))
        raise
    return Copied(made.name, host, size, back.entries, back.value)


async def _sync(engine: Engine, opened_by: str) -> None:
    """On the disk, before what says that it is not whole goes, and with a move the other one: what was read back came
    from memory. Raises EngineError, DeadlineError.
    """
    try:
        async with asyncio.timeout(_STARTED):
            while not (await engine.inspect(opened_by))["State"]["Running"]:  # noqa: ASYNC110  no event tells
                await asyncio.sleep(0.05)
    except TimeoutError as late:
        raise DeadlineError(f"{opened_by} did not start within {_STARTED:g} s", where=engine.host) from late
    done = await engine.exec(opened_by, ("sh", "-c", _SYNC, AT), how=How(user="0"), deadline=_SYNCED)
    if done.status:
        said = done.output.decode(errors="replace").strip()
        raise EngineError(f"what was written cannot be kept on its disk: {said}", where=engine.host)


def as_sent(name: str, host: str) -> str:
    """Whose bytes they are, for messages."""
    return f"what the engine of {host} sends of {name}"


def _compare(name: str, host: str, sent: Digest, back: Digest) -> None:
    if back.value != sent.value:
        raise EngineError(
            f"{name} is not what was sent: {back.entries} of {sent.entries} entries",
            where=host,
            todo="the copy was removed; is its disk full, or has it what an engine cannot copy (docs/lost-hosts.md)?",
        )


def as_made(known: Volumes, said: str) -> Mounted:
    """As a replica's container would make it. Raises UsageError."""
    key = known.key_of(said)
    volume = known.app.volumes[key].model_copy(update={"external": False})
    app = known.app.model_copy(update={"volumes": {key: volume}})
    return mounted(known.ports.fleet, app, Service(name=key, mounts=(mount_at(key),)))[0]


def mount_at(key: str = "") -> Mount:
    """Where the engine reads and writes a volume: at AT. key: in the Compose file, "" for by its name alone."""
    return Mount(kind="volume", source=key, target=AT, nocopy=True)


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


@asynccontextmanager
async def opened(ports: FleetPorts, host: str, *volumes: Mounted) -> AsyncIterator[str]:
    """A container that mounts them and does nothing: the engine reads and writes through it. It goes with this process,
    however that ends: one that stayed would keep a volume from being moved or removed.
    """
    name = f"{_opened_prefix(ports.fleet.name)}{uuid4().hex[:8]}"
    told = {labels.FLEET: ports.fleet.name, labels.ROLE: "volume"}
    engine = ports.engines[host]
    container = Container(name, ports.fleet.gateway_image, ("true",), labels=told, network="none", mounts=volumes)
    held = await engine.hold(container)
    living = asyncio.create_task(held.live())
    try:
        yield name
    finally:
        await asyncio.shield(_put_away(engine, name, held, living))


async def _put_away(engine: Engine, name: str, held: Held, living: asyncio.Task[None]) -> None:
    """Gone when this ends, unless its host is."""
    await held.let_go()
    await asyncio.gather(living, return_exceptions=True)
    await engine.remove(name, 0)
