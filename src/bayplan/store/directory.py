"""Releases as files: for one local host with no registry."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
from pathlib import Path

from bayplan.errors import RegistryError
from bayplan.ports import Release
from bayplan.spec.image_name import component
from bayplan.store.document import read, taken, write

_FILE = re.compile(r"release-([1-9]\d*)\.json")


class DirectoryReleases:
    """`PATH/APP/release-N.json`; the directory is made when the first is put."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def get(self, app: str, number: int) -> Release | None:
        """One of them."""
        return await asyncio.to_thread(_get, self._file(app, number))

    async def numbers(self, app: str) -> tuple[int, ...]:
        """All of them, ascending."""
        return await asyncio.to_thread(_numbers, self._path / component(app))

    async def put(self, release: Release) -> None:
        """Record one: whole or not at all, and of two that race for a number, one."""
        await asyncio.to_thread(_put, self._file(release.app, release.number), release)

    def _file(self, app: str, number: int) -> Path:
        return self._path / component(app) / f"release-{number}.json"


def _get(path: Path) -> Release | None:
    try:
        return read(path.read_bytes(), str(path))
    except FileNotFoundError:
        return None
    except OSError as failed:
        raise _failed(path, failed) from failed


def _numbers(folder: Path) -> tuple[int, ...]:
    try:
        return tuple(sorted(int(m[1]) for f in folder.iterdir() if (m := _FILE.fullmatch(f.name))))
    except FileNotFoundError:
        return ()
    except OSError as failed:
        raise _failed(folder, failed) from failed


def _put(path: Path, release: Release) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent) as draft:
            draft.write(write(release))
            draft.flush()
            os.fsync(draft.fileno())
            os.link(draft.name, path)  # unlike a rename, refuses a name that is taken
    except FileExistsError as there:
        raise taken(release, str(path)) from there
    except OSError as failed:
        raise _failed(path, failed) from failed


def _failed(path: Path, why: OSError) -> RegistryError:
    return RegistryError(
        f"releases cannot be kept here: {why.strerror}", where=str(path), todo="or name another place in BAYPLAN_STATE"
    )
