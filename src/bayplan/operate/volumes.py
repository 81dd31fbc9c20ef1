"""Volumes of an app: which there are, taken away as a file, put back, and moved to another host."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from bayplan import labels
from bayplan.container import Container, Mounted
from bayplan.errors import BayplanError, EngineError, UsageError
from bayplan.facts import Facts
from bayplan.operate.ask import ask_all, check_hosts
from bayplan.operate.release import current, unreleased
from bayplan.operate.tree_digest import Digest, digested
from bayplan.plan.filters import unmet
from bayplan.plan.names import half_name
from bayplan.plan.volumes import mounted
from bayplan.ports import Engine, FleetPorts, Held, VolumeEntry
from bayplan.spec.model import App, Service
from bayplan.spec.pinned import pinned
from bayplan.spec.storage import Mount

OnBytes = Callable[[str, int], None]  # what is done, and how many bytes of it are
_AT = "/volume"
_CHUNK = 1 << 20


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
    """The app's volumes on the hosts that answer."""

    ports: FleetPorts
    app: App
    at: Mapping[str, Mapping[str, VolumeEntry]]

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

    def home_of(self, said: str, host: str | None = None, *, or_half: bool = False) -> tuple[str, VolumeEntry]:
        """Where it is. or_half: a copy that is not whole counts, too.

        Raises UsageError when it is nowhere, or on several hosts and none is named.
        """
        name = self.name_of(said)
        there = [h for h, entries in self.at.items() if name in entries and host in (None, h)]
        homes = [h for h in there if or_half or not self.is_half(name, h)]
        if not there:
            known = ", ".join(sorted({v.volume or v.name for v in self.views()})) or "none"
            raise UsageError(f"no host{f' {host}' if host else ''} has a volume {name}", todo=f"there are: {known}")
        if not homes:
            raise UsageError(
                f"what {' and '.join(there)} has of {name} is a copy that was not finished",
                todo="begin it again (bayplan volume restore), or remove it (bayplan volume rm)",
            )
        if len(homes) > 1:
            raise UsageError(f"{name} is on {' and on '.join(homes)}", todo=f"say which: --host {homes[0]}")
        return homes[0], self.at[homes[0]][name]


async def volumes(ports: FleetPorts, app: str) -> Volumes:
    """One look at every host that answers. Raises NoHostError."""
    facts = await ask_all(ports)
    chosen = await current(ports.releases, app) or unreleased(app)
    return await volumes_of(ports, chosen.app, facts)


async def volumes_of(ports: FleetPorts, app: App, facts: Facts) -> Volumes:
    """The app's on the hosts that answered a moment ago."""
    hosts = [host.name for host in facts.reachable()]
    found = await asyncio.gather(*(ports.engines[host].volumes() for host in hosts))
    entries = {host: {v.name: v for v in there} for host, there in zip(hosts, found, strict=True)}
    return Volumes(ports, app, entries)


async def backup(
    ports: FleetPorts, app: str, said: str, file: Path, on: OnBytes, *, host: str | None = None, live: bool = False
) -> Copied:
    """A volume as a tar, with its checksum beside it (`FILE.sha256`).

    What mounts it stands still meanwhile, unless live: what is copied is as after a power cut, at one moment.
    """
    known = await volumes(ports, app)
    home, entry = known.home_of(said, host)
    engine, part, packed = ports.engines[home], file.with_name(f"{file.name}.part"), hashlib.sha256()
    digest, size = Digest(), 0
    async with (
        _frozen(engine, () if live else running(entry)),
        _opened(ports, home, Mounted(_mount(), entry.name)) as at,
    ):
        try:
            reading = digested(engine.read_tree(at, _AT), lambda n: on("read", n), digest)
            async with reading as chunks:
                with part.open("wb") as out:
                    async for chunk in chunks:
                        await asyncio.to_thread(out.write, chunk)
                        packed.update(chunk)
                        size += len(chunk)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
    part.replace(file)
    file.with_name(f"{file.name}.sha256").write_text(f"{packed.hexdigest()}  {file.name}\n")
    return Copied(entry.name, home, size, digest.entries, digest.value)


async def restore(ports: FleetPorts, app: str, said: str, file: Path, host: str, on: OnBytes) -> Copied:
    """A backup as a volume of that host, which must not have it yet; read back and compared.

    Raises UsageError, EngineError when it is not what was written: then it is removed again.
    """
    check_hosts(ports.fleet, (host,))
    known = await volumes(ports, app)
    _check_absent(known, known.name_of(said), host)
    await asyncio.to_thread(_check_file, file)
    digest = Digest()
    async with digested(_read(file), lambda n: on("write", n), digest) as source:
        return await _fill(known, _made(known, said), host, source, digest, on)


async def copy(ports: FleetPorts, known: Volumes, said: str, to: str, on: OnBytes) -> Copied:
    """A volume on another host as well, read back and compared; nothing may write to it meanwhile."""
    home, entry = known.home_of(said)
    engine, digest = ports.engines[home], Digest()
    made = Mounted(_mount(), entry.name, entry.driver, entry.options, entry.labels)
    async with (
        _opened(ports, home, Mounted(_mount(), entry.name)) as at,
        digested(engine.read_tree(at, _AT), lambda n: on("copy", n), digest) as source,
    ):
        return await _fill(known, made, to, source, digest, on)


def check_move(known: Volumes, said: str, to: str) -> tuple[str, VolumeEntry]:
    """Where it is now. Raises UsageError for a move that cannot be, or that its services could not follow."""
    check_hosts(known.ports.fleet, (to,))
    home, entry = known.home_of(said)
    if home == to:
        raise UsageError(f"{entry.name} is on {to} already")
    _check_absent(known, entry.name, to)
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


async def remove(ports: FleetPorts, app: str, said: str, host: str | None) -> tuple[str, str]:
    """A volume with all that is in it: its name, and its host. Raises UsageError while a container mounts it."""
    known = await volumes(ports, app)
    home, entry = known.home_of(said, host, or_half=True)
    if entry.used_by:
        raise UsageError(
            f"{entry.name} on {home} is mounted by {', '.join(sorted(entry.used_by))}", todo="take that down first"
        )
    await remove_whole(ports.engines[home], entry.name)
    return entry.name, home


async def remove_whole(engine: Engine, name: str) -> None:
    """The volume, and then what says that it is not whole."""
    await engine.remove_volume(name)
    await engine.remove_volume(half_name(name))


async def _fill(
    known: Volumes, made: Mounted, host: str, source: AsyncIterator[bytes], digest: Digest, on: OnBytes
) -> Copied:
    """It is marked as a half of itself until it is found to be what was sent."""
    engine, size, back = known.ports.engines[host], 0, Digest()
    if known.is_half(made.name, host):
        await remove_whole(engine, made.name)
    half = Mounted(Mount(kind="volume", target="/unfinished", nocopy=True), half_name(made.name), labels=made.labels)
    try:
        async with _opened(known.ports, host, half, made) as at:
            await engine.write_tree(at, _AT, source)
            async with digested(engine.read_tree(at, _AT), lambda n: on("check", n), back) as chunks:
                async for chunk in chunks:
                    size += len(chunk)
        _compare(made.name, host, digest, back)
        await engine.remove_volume(half.name)
    except BaseException:
        await asyncio.shield(remove_whole(engine, made.name))
        raise
    return Copied(made.name, host, size, back.entries, back.value)


def _compare(name: str, host: str, sent: Digest, back: Digest) -> None:
    if back.value != sent.value:
        raise EngineError(
            f"{name} is not what was sent: {back.entries} of {sent.entries} entries",
            where=host,
            todo="the copy was removed; is its disk full?",
        )


def _made(known: Volumes, said: str) -> Mounted:
    """As a replica's container would make it."""
    volume = known.app.volumes.get(said)
    if volume is None:
        told = {labels.FLEET: known.ports.fleet.name, labels.APP: known.app.name}
        return Mounted(_mount(), said, "local", {}, told)
    app = known.app.model_copy(update={"volumes": {said: volume.model_copy(update={"external": False})}})
    return mounted(known.ports.fleet, app, Service(name=said, mounts=(_mount(said),)))[0]


def _mount(key: str = "") -> Mount:
    return Mount(kind="volume", source=key, target=_AT, nocopy=True)


def _check_absent(known: Volumes, name: str, host: str) -> None:
    """A copy that is not whole is begun again."""
    if host not in known.at:
        raise UsageError(f"{host} does not answer")
    if name in known.at[host] and not known.is_half(name, host):
        raise UsageError(
            f"{host} has a volume {name} already", todo=f"remove it first: bayplan volume rm {name} --host {host}"
        )


def running(entry: VolumeEntry) -> tuple[str, ...]:
    """The containers that mount it and run."""
    return tuple(name for name, runs in entry.used_by.items() if runs)


@asynccontextmanager
async def _frozen(engine: Engine, names: tuple[str, ...]) -> AsyncIterator[None]:
    """What is left paused by a kill goes on with the next `up`."""
    done: list[str] = []
    try:
        for name in names:
            await engine.pause(name)
            done.append(name)
        yield
    finally:
        for name in done:
            await asyncio.shield(engine.start(name))


@asynccontextmanager
async def _opened(ports: FleetPorts, host: str, *volumes: Mounted) -> AsyncIterator[str]:
    """A container that mounts them and does nothing: the engine reads and writes through it. It goes with this process,
    however that ends: one that stayed would keep a volume from being moved or removed.
    """
    name = f"bayplan-volume-{ports.fleet.name}-{uuid4().hex[:8]}"
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


async def _read(file: Path) -> AsyncGenerator[bytes]:
    with file.open("rb") as source:
        while chunk := await asyncio.to_thread(source.read, _CHUNK):
            yield chunk


def _check_file(file: Path) -> None:
    """Against the checksum beside it, if there is one."""
    try:
        beside = file.with_name(f"{file.name}.sha256")
        wanted = beside.read_text().split()[:1] if beside.exists() else []
        with file.open("rb") as source:
            found = hashlib.file_digest(source, "sha256").hexdigest() if wanted else ""
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from error
    if wanted and wanted != [found]:
        raise BayplanError(f"{file} is not what was backed up: its checksum differs from {beside.name}")
