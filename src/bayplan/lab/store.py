"""Roots and images on disk, made once and kept; a changed recipe makes new ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from bayplan.errors import LabError
from bayplan.lab.layout import Say, cache
from bayplan.lab.process import alone, run, together
from bayplan.lab.recipes import HOSTS, IMAGES, REGISTRY, EngineKind, Root

# Killed with us, however we are; what it mounted is gone with it.
_LEASHED = ("setpriv", "--pdeathsig=KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
_BUILT = 1800.0  # seconds in which another process has built what is missing
_ROOM = 4 << 30  # three roots and three images are 1.3 GB; the rest is for what the engines pull


def ensure(engine: EngineKind, say: Say) -> None:
    """Make whichever roots and images are missing, all at once. Raises LabError with what mmdebstrap said."""
    with _locked():
        missing = [work for work in _targets(engine) if not work[1].exists()]
        if missing:
            _check_room()
        together(lambda work: _make(*work, say), missing, most=os.cpu_count() or 1)
        hub_root = directory(REGISTRY.root)
        if not hub_root.exists():
            _unpack(archive(REGISTRY.root), hub_root)


def _targets(engine: EngineKind) -> list[tuple[Root, Path]]:
    """The slowest first."""
    return [(HOSTS[engine], directory(HOSTS[engine])), *((image.root, archive(image.root)) for image in IMAGES)]


def directory(root: Root) -> Path:
    return cache() / "roots" / root.key


def archive(root: Root) -> Path:
    return cache() / "roots" / f"{root.key}.tar"


def prune() -> None:
    """Remove what a recipe that has changed since left. Only while no lab is up: hosts stand on these."""
    kept = {root.key for root in (*HOSTS.values(), *(image.root for image in IMAGES))}
    with _locked():
        for path in (cache() / "roots").iterdir():
            if path.name.removesuffix(".tar") not in kept:
                _remove(path)


def _make(root: Root, target: Path, say: Say) -> None:
    say(
        root.name,
        f"Debian {root.suite}: {', '.join(root.packages) or 'base system'} (once, about half a minute)",
        False,
    )
    partial = target.with_name(f"partial-{target.name}")
    _remove(partial)
    partial.parent.mkdir(parents=True, exist_ok=True)
    run([*_LEASHED, *root.command(str(partial))], deadline=1200)
    partial.rename(target)
    say(root.name, f"Debian {root.suite}", True)


def _unpack(tar: Path, target: Path) -> None:
    partial = target.with_name(f"partial-{target.name}")
    _remove(partial)
    partial.mkdir(parents=True)
    run(["tar", "-xpf", str(tar), "--numeric-owner", "-C", str(partial)], deadline=300)
    partial.rename(target)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)


def _check_room() -> None:
    cache().mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(cache()).free
    if free < _ROOM:
        raise LabError(
            f"{free / 1e9:.1f} GB free where {cache()} is, a lab needs {_ROOM / 1e9:.1f} GB",
            todo="make room, or name another place with BAYPLAN_CACHE",
        )


@contextmanager
def _locked() -> Iterator[None]:
    """One builder at a time on this machine; a second one waits, then finds it all made."""
    cache().mkdir(parents=True, exist_ok=True)
    with alone(cache() / "lock", _BUILT):
        yield
