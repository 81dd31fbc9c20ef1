"""A volume as a file on this machine, and back; what mounts it stands still meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from bayplan.container import Mounted
from bayplan.errors import BayplanError, NotFoundError, UsageError
from bayplan.operate import backup_file
from bayplan.operate.ask import check_hosts
from bayplan.operate.tree_digest import Digest, digested
from bayplan.operate.volume_data import AT, Copied, OnBytes, as_made, as_sent, fill, is_closed, mount_at, opened
from bayplan.operate.volumes import Written, check_absent, running, volumes
from bayplan.ports import Engine, FleetPorts


async def backup(
    ports: FleetPorts,
    app: str,
    said: str,
    file: Path,
    on: OnBytes,
    *,
    written: Written = dict,
    host: str | None = None,
    live: bool = False,
) -> Copied:
    """A volume as a tar, packed as the file's name says, with its checksum beside it (`FILE.sha256`).

    What mounts it stands still meanwhile, unless live: what is copied is as after a power cut, at one moment.
    Raises UsageError, BayplanError for what the disk refuses.
    """
    known = await volumes(ports, app, written, said)
    home, entry = known.home_of(said, host)
    if not live and known.paused[home] & entry.used_by.keys():
        await _check_alone(ports, home, entry.name)
        known = await volumes(ports, app, written, said)
        home, entry = known.home_of(said, host)
    engine, digest, size = ports.engines[home], Digest(), 0
    with backup_file.written(file) as out:
        async with (
            _mended(ports, home, entry.name, known.paused[home] & entry.used_by.keys()),
            opened(ports, home, Mounted(mount_at(), entry.name)) as at,  # first: what stands still has it open
            _frozen(engine, () if live else running(entry)),
            digested(engine.read_tree(at, AT), lambda n: on("read", n), digest, as_sent(entry.name, home)) as chunks,
        ):
            async for chunk in chunks:
                await asyncio.to_thread(out.write, chunk)
                size += len(chunk)
    return Copied(entry.name, home, size, digest.entries, digest.value)


async def restore(
    ports: FleetPorts, app: str, said: str, file: Path, host: str, on: OnBytes, *, written: Written = dict
) -> Copied:
    """A backup as a volume of that host, which must not have it yet; read back and compared.

    Raises UsageError, EngineError when it is not what was written: then it is removed again.
    """
    check_hosts(ports.fleet, (host,))
    known = await volumes(ports, app, written, said)
    made = as_made(known, said)
    check_absent(known, made.name, host)
    await asyncio.to_thread(backup_file.check, file)
    digest, unread = Digest(), list[BayplanError]()
    try:
        async with digested(backup_file.read(file, unread), lambda n: on("write", n), digest, str(file)) as source:
            return await fill(known, made, host, source, digest, on)
    except BayplanError as error:
        if not (unread or digest.fault):
            raise
        # what the engine says of it then is that it was sent no more
        raise BayplanError(f"{(unread or [error])[0].what}; nothing was restored") from error


@asynccontextmanager
async def _mended(ports: FleetPorts, host: str, volume: str, paused: Collection[str]) -> AsyncIterator[None]:
    """What a backup left paused that was killed goes on, unless another that still lives paused it."""
    try:
        yield
    finally:
        if paused:
            await asyncio.shield(_go_on(ports, host, volume, paused))


async def _go_on(ports: FleetPorts, host: str, volume: str, paused: Collection[str]) -> None:
    if await is_closed(ports, host, volume):
        await _thawed(ports.engines[host], paused)


async def _check_alone(ports: FleetPorts, host: str, volume: str) -> None:
    """What another process froze goes on when that one has ended, and would write to what is read here."""
    if not await is_closed(ports, host, volume):
        raise UsageError(
            f"{volume} on {host} is being copied by another bayplan",
            todo="wait until that has ended; or do not mind what writes to it meanwhile: --live",
        )


@asynccontextmanager
async def _frozen(engine: Engine, names: Collection[str]) -> AsyncIterator[None]:
    """What is left paused by a kill goes on with the next `up`, or backup. Raises BayplanError if one did meanwhile."""
    done: list[str] = []
    freezing = asyncio.create_task(_freeze(engine, names, done))
    try:
        await asyncio.shield(freezing)
        yield
        for name in done:
            await _check_stood(engine, name)
    finally:
        await asyncio.shield(_go_on_after(freezing, engine, done))


async def _freeze(engine: Engine, names: Collection[str], done: list[str]) -> None:
    for name in names:
        await engine.pause(name)
        done.append(name)


async def _go_on_after(freezing: asyncio.Task[None], engine: Engine, done: Collection[str]) -> None:
    """Not before: an engine goes on with what it was asked for, though nobody waits for it any more."""
    await asyncio.gather(freezing, return_exceptions=True)
    await _thawed(engine, done)


async def _check_stood(engine: Engine, name: str) -> None:
    """What another `up` lets go on has written meanwhile: what was read is of no one moment."""
    with suppress(NotFoundError):
        if (await engine.inspect(name))["State"]["Status"] == "paused":
            return
    todo = "back it up again while nobody changes the app: bayplan up lets go on what is paused"
    raise BayplanError(f"{name} did not stand still while its volume was read", where=engine.host, todo=todo)


async def _thawed(engine: Engine, names: Collection[str]) -> None:
    """All that can be. Raises BayplanError for the others."""
    frozen: dict[str, BayplanError] = {}
    for name in names:
        try:
            await engine.start(name)
        except BayplanError as error:
            frozen[name] = error
    if frozen:
        first = next(iter(frozen.values()))
        told = f"{' and '.join(frozen)} stands frozen: {first.what}"
        raise BayplanError(told, where=engine.host, todo="bayplan up lets it go on, once its host answers") from first
