"""What is in a volume: read out of one, written into one and compared, and removed with it.

The engine does it, through a container that mounts the volume and is held meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

from bayplan import labels
from bayplan.container import Container, Mounted
from bayplan.errors import DeadlineError, EngineError, UsageError
from bayplan.operate.tree_digest import Digest, digested
from bayplan.operate.volumes import Volumes, Written, opened_prefix, remains_of, volumes
from bayplan.plan.names import half_name
from bayplan.plan.volumes import mounted
from bayplan.ports import Engine, FleetPorts, HeldContainer, How, VolumeEntry
from bayplan.spec.model import Service
from bayplan.spec.storage import Mount

OnBytes = Callable[[str, int], None]  # what is done, and how many bytes of it are
AT = "/volume"
DYING = 5.0  # seconds for the container of a process that was killed to end
_STARTED, _SYNCED = 30.0, 600.0  # seconds for what has a volume open to run, and for all that was written to be kept
_SYNC = 'if sync --help 2>&1 | grep -q -e --file-system; then exec sync -f "$0"; fi; exec sync'  # BusyBox has it plain


@dataclass(frozen=True, slots=True)
class Copied:
    """What was copied, and its digest: of the files, not of how they are packed."""

    name: str
    host: str
    bytes: int
    files: int
    digest: str


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
        for left in remains_of(entry, ports.fleet.name):
            await engine.remove(left, 0)
        await _until_closed(engine, entry, ports.fleet.name)
    for one in both:
        await engine.remove_volume(one)


async def _until_closed(engine: Engine, entry: VolumeEntry, fleet: str) -> bool:
    """What a process that has just been killed had open ends by itself, a moment after it; False: one still lives."""
    try:
        async with asyncio.timeout(DYING):
            for name in (n for n, runs in entry.used_by.items() if runs and n.startswith(opened_prefix(fleet))):
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


@asynccontextmanager
async def opened(ports: FleetPorts, host: str, *volumes: Mounted) -> AsyncIterator[str]:
    """A container that mounts them and does nothing: the engine reads and writes through it. It goes with this process,
    however that ends: one that stayed would keep a volume from being moved or removed.
    """
    name = f"{opened_prefix(ports.fleet.name)}{uuid4().hex[:8]}"
    told = {labels.FLEET: ports.fleet.name, labels.ROLE: "volume"}
    engine = ports.engines[host]
    container = Container(name, ports.fleet.gateway_image, ("true",), labels=told, network="none", mounts=volumes)
    held = await engine.hold(container)
    living = asyncio.create_task(held.live())
    try:
        yield name
    finally:
        await asyncio.shield(_put_away(engine, name, held, living))


async def _put_away(engine: Engine, name: str, held: HeldContainer, living: asyncio.Task[None]) -> None:
    """Gone when this ends, unless its host is."""
    await held.let_go()
    await asyncio.gather(living, return_exceptions=True)
    await engine.remove(name, 0)
