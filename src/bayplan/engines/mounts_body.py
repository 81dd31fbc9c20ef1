"""Mounts as the engine's API has them: `Binds` and `Mounts` of the body of POST /containers/create."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from bayplan.container import Mounted


def as_binds(mounts: Iterable[Mounted]) -> list[str]:
    """Bind mounts that only the old form can say: a label for SELinux, or a source that is made if it is missing."""
    return [_bind(m) for m in mounts if _is_old_form(m)]


def as_mounts(mounts: Iterable[Mounted]) -> list[dict[str, Any]]:
    """All the others. A bind's source must be there: the engine refuses to start the container."""
    return [_mount(m) for m in mounts if not _is_old_form(m)]


def _is_old_form(mounted: Mounted) -> bool:
    return mounted.mount.kind == "bind" and bool(mounted.mount.selinux or mounted.create)


def _bind(mounted: Mounted) -> str:
    mount = mounted.mount
    options = ["ro"] * mount.read_only + [word for word in (mount.selinux, mount.propagation) if word]
    return ":".join((mount.source, mount.target, *([",".join(options)] if options else [])))


def _mount(mounted: Mounted) -> dict[str, Any]:
    mount = mounted.mount
    body: dict[str, Any] = {"Type": mount.kind, "Target": mount.target, "ReadOnly": mount.read_only}
    match mount.kind:
        case "volume":
            return body | {"Source": mounted.name} | _options("VolumeOptions", _volume(mounted))
        case "bind":
            return body | {"Source": mount.source} | _options("BindOptions", _bind_options(mounted))
        case "tmpfs":
            size = [("SizeBytes", mount.size)] if mount.size else []
            mode = [("Mode", mount.mode)] if mount.mode is not None else []
            return body | _options("TmpfsOptions", [*size, *mode])
        case "image":
            subpath = [("Subpath", mount.subpath)] if mount.subpath else []
            return body | {"Source": mount.source} | _options("ImageOptions", subpath)


def _options(key: str, found: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    options = dict(found)
    return {key: options} if options else {}


def _volume(mounted: Mounted) -> Iterator[tuple[str, Any]]:
    if mounted.mount.nocopy:
        yield "NoCopy", True
    if mounted.mount.subpath:
        yield "Subpath", mounted.mount.subpath
    if mounted.labels:
        yield "Labels", dict(mounted.labels)
    if mounted.driver and (mounted.driver != "local" or mounted.driver_opts):
        yield "DriverConfig", {"Name": mounted.driver, "Options": dict(mounted.driver_opts)}


def _bind_options(mounted: Mounted) -> Iterator[tuple[str, Any]]:
    mount = mounted.mount
    if mount.propagation:
        yield "Propagation", mount.propagation
    if mount.recursive == "disabled":
        yield "NonRecursive", True
    if mount.recursive == "writable":
        yield "ReadOnlyNonRecursive", True
    if mount.recursive == "readonly":
        yield "ReadOnlyForceRecursive", True
