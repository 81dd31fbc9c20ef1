"""What nearly every verb begins with: the files read, the fleet opened."""

from __future__ import annotations

import os
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from bayplan.cli.console import run, tell_warning, waited_for
from bayplan.ports import FleetPorts
from bayplan.spec.find import compose_files
from bayplan.spec.model import App, Fleet
from bayplan.spec.storage import Volume
from bayplan.wiring import open_fleet

T = TypeVar("T")


def read_fleet(path: Path | None, files: Sequence[Path] | None = None) -> Fleet:
    """fleet.yaml, also one beside the Compose file, or this machine's own engine."""
    from bayplan.spec import load_fleet

    return load_fleet(path, os.environ, files or ())


def read_both(
    files: Sequence[Path] | None,
    project: str | None,
    fleet: Path | None,
    profiles: Sequence[str] | None = None,
    named: Sequence[str] | None = None,
) -> tuple[App, Fleet]:
    """Both files, checked. named: services that are asked for, whatever their profiles. Raises SpecError with every
    mistake.
    """
    from bayplan.spec import load_both

    return load_both(
        files,
        project=project,
        fleet=fleet,
        environment=os.environ,
        profiles=profiles or (),
        named=named or (),
        warn=tell_warning,
    )


def read_secrets(app: App, files: Sequence[Path] | None) -> Mapping[str, bytes]:
    """The values of the app's secrets, by key. Raises SpecError."""
    from bayplan.spec import secret_values

    return secret_values(app, files, os.environ) if app.secrets else {}


def on_fleet(fleet: Fleet, work: Callable[[FleetPorts], Awaitable[T]], slow: Callable[[str], None] | None = None) -> T:
    """Run `work` with the fleet's ports, and let go of them. slow: shows which host is waited for, if not as a line."""

    async def opened() -> T:
        async with open_fleet(fleet, slow or _Told()) as ports:
            return await work(ports)

    return run(opened())


class _Told:
    """A line for each host that is waited for, once."""

    def __init__(self) -> None:
        self._hosts: set[str] = set()

    def __call__(self, host: str) -> None:
        if host not in self._hosts:
            self._hosts.add(host)
            sys.stderr.write(f"{waited_for(host)}\n")


def read_name(files: Sequence[Path] | None, project: str | None, fleet: Path | None) -> tuple[str, Fleet]:
    """The app's name and the fleet, for verbs that ask what runs and not what the file says."""
    from bayplan.spec import app_name

    found = read_fleet(fleet, files)
    return app_name(files, project=project, environment=os.environ), found


def written_volumes(
    files: Sequence[Path] | None, project: str | None, fleet: Path | None
) -> Callable[[], Mapping[str, Volume]]:
    """Reads the Compose file's volumes, by key, when it is called; {} where there is no file. Raises SpecError."""

    def read() -> Mapping[str, Volume]:
        return read_both(files, project, fleet)[0].volumes if compose_files(files, os.environ) else {}

    return read


def directory(files: Sequence[Path] | None) -> Path | None:
    """Where the Compose file is."""
    found = compose_files(files, os.environ)
    return found[0].absolute().parent if found else None
