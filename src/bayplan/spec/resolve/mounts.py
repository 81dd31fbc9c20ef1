"""What a replica finds in its file system: mounts of volumes and paths, secrets, configs."""

from __future__ import annotations

import os
from collections.abc import Iterable

from bayplan.spec.mount_syntax import is_path, unknown_options
from bayplan.spec.reading import expanded
from bayplan.spec.resolve.around import Surroundings, blank, given
from bayplan.spec.storage import Grant, Mount
from bayplan.spec.written.service import ServiceFile
from bayplan.spec.written.storage import (
    BindFile,
    GrantFile,
    ImageOptionsFile,
    MountFile,
    TmpfsFile,
    VolumeOptionsFile,
)  # fmt: skip


def mounts(name: str, written: ServiceFile, around: Surroundings) -> tuple[Mount, ...]:
    """`volumes:`; of two at one place the later is taken, as Compose does.

    Compose hands a volume without a name on to the next container, which is on the same machine there.
    """
    found: dict[str, Mount] = {}
    for index, entry in enumerate(written.volumes or ()):
        mount = _mount(entry, around)
        where, place = mount.target.rstrip("/") or "/", around.place("services", name, "volumes", index)
        for option in unknown_options(around.written("services", name, "volumes", index)):
            told = f"services.{name}: the option {option!r} of this volume is none, and changes nothing"
            around.mistakes.warn(told, place, "there are ro, rw, nocopy, z, Z, and propagations such as rshared")
        if mount.kind == "volume" and not mount.source:
            told = f"services.{name}: what is in {where} goes with each replica, as this volume has no name"
            around.mistakes.warn(told, place, f"to keep it, write NAME:{where} here, and NAME under volumes")
        if where in found:
            around.mistakes.warn(f"services.{name}: this volume stands in for another one at {where}", place)
        found[where] = mount
    return tuple(found.values())


def _mount(entry: MountFile, around: Surroundings) -> Mount:
    bind, volume = entry.bind or BindFile(), entry.volume or VolumeOptionsFile()
    tmpfs, image = entry.tmpfs or TmpfsFile(), entry.image or ImageOptionsFile()
    source = entry.source or ""
    return Mount(
        kind=entry.type,
        target=entry.target,
        source=absolute(source, around) if entry.type == "bind" else source,
        read_only=bool(entry.read_only),
        nocopy=bool(volume.nocopy),
        subpath=volume.subpath or image.subpath or "",
        labels=blank(volume.labels),
        propagation=bind.propagation or "",
        create_host_path=given(bind.create_host_path, True),
        recursive=bind.recursive or "",
        selinux=bind.selinux or "",
        size=tmpfs.size or 0,
        mode=tmpfs.mode,
    )


def absolute(path: str, around: Surroundings) -> str:
    """A path of the operator's machine, without `..`; links are kept."""
    return os.path.normpath(around.directory / expanded(path))


def volume_of(mount: Mount) -> str:
    """The key of the volume that it mounts, or nothing."""
    return mount.source if mount.kind == "volume" and not is_path(mount.source) else ""


def grants(written: Iterable[GrantFile], directory: str) -> tuple[Grant, ...]:
    """`secrets:` or `configs:`. directory: where a target that is no path from the root lies."""
    return tuple(
        Grant(
            source=entry.source,
            target=os.path.join(directory, entry.target or entry.source),  # noqa: PTH118  of the replica, not of ours
            uid=int(entry.uid or 0),
            gid=int(entry.gid or 0),
            mode=given(entry.mode, 0o444),
        )
        for entry in written
    )
