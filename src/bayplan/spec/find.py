"""Where the files are when nobody says, as Compose looks for them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

COMPOSE_NAMES: Final = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_OVERRIDES: Final = tuple(name.replace(".y", ".override.y") for name in COMPOSE_NAMES)
FLEET_NAME: Final = "fleet.yaml"


def compose_files(files: Sequence[Path] | None, environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The files named, or COMPOSE_FILE's, or the first here or in a parent, with its override file; maybe none."""
    if files:
        return tuple(files)
    if named := environment.get("COMPOSE_FILE"):
        separator = environment.get("COMPOSE_PATH_SEPARATOR", os.pathsep)
        return tuple(Path(name) for name in named.split(separator) if name)
    for directory in _upwards():
        if found := _first(directory, COMPOSE_NAMES):
            override = _first(directory, _OVERRIDES)
            return (found, override) if override else (found,)
    return ()


def file_below(files: Sequence[Path]) -> Path | None:
    """The Compose file beside one that is named alone, and may be meant to be laid over it; maybe none."""
    if len(files) != 1 or files[0].name in {*COMPOSE_NAMES, "-"}:
        return None
    return _first(files[0].parent, COMPOSE_NAMES)


def fleet_file(path: Path | None, environment: Mapping[str, str], compose: Sequence[Path] = ()) -> Path | None:
    """The file named, or BAYPLAN_FLEET's, or a fleet.yaml beside the Compose file, here or in a parent; maybe none."""
    named = path or (Path(environment["BAYPLAN_FLEET"]) if environment.get("BAYPLAN_FLEET") else None)
    if named:
        return named
    beside = [file.parent for file in compose[:1]]
    return next((d / FLEET_NAME for d in (*beside, *_upwards()) if os.path.lexists(d / FLEET_NAME)), None)


def project_directory(files: Sequence[Path]) -> Path:
    """What relative paths in Compose files start from: the first file's directory; of standard input, this one."""
    return Path.cwd() if str(files[0]) == "-" else files[0].absolute().parent


def _upwards() -> Iterator[Path]:
    here = Path.cwd()
    yield here
    yield from here.parents


def _first(directory: Path, names: Sequence[str]) -> Path | None:
    """Whatever it is: one that cannot be read, such as a link to nowhere, is told, and no parent's is taken for it."""
    return next((directory / name for name in names if os.path.lexists(directory / name)), None)
