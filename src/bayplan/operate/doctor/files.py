"""The files: every mistake of both, and environment variables that look like secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bayplan.errors import SpecError
from bayplan.operate.doctor.finding import Finding
from bayplan.spec import load_app, load_fleet
from bayplan.spec.find import compose_files, fleet_file
from bayplan.spec.model import App, Fleet

_SECRET = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY", re.IGNORECASE)
_BY_FILE = re.compile(r"_(FILE|PATH|URL|NAME|ID|USER)$", re.IGNORECASE)


def file_findings(
    files: Sequence[Path] | None,
    project: str | None,
    fleet: Path | None,
    environment: Mapping[str, str],
    profiles: Sequence[str] = (),
) -> tuple[Fleet | None, App | None, tuple[Finding, ...]]:
    """What each file says, None for one that has mistakes or is not there; and what is wrong with them."""
    where, found = _fleet(fleet, environment, files or ())
    app, more = _app(files, project, environment, where, profiles)
    return where, app, (*found, *more)


def _fleet(
    path: Path | None, environment: Mapping[str, str], files: Sequence[Path]
) -> tuple[Fleet | None, list[Finding]]:
    at = fleet_file(path, environment, files)
    try:
        fleet = load_fleet(path, environment, files)
    except SpecError as error:
        return None, list(_mistakes("fleet file", error))
    if at is None:
        return fleet, [Finding("ok", "fleet file", "fleet.yaml", "none: this machine's own Docker is the fleet")]
    count = len(fleet.hosts)
    return fleet, [Finding("ok", "fleet file", str(at), f"fleet {fleet.name}: {count} host{'s' * (count != 1)}")]


def _app(
    files: Sequence[Path] | None,
    project: str | None,
    environment: Mapping[str, str],
    fleet: Fleet | None,
    profiles: Sequence[str],
) -> tuple[App | None, list[Finding]]:
    paths = compose_files(files, environment)
    if not paths:
        todo = "bayplan init writes one"
        return None, [Finding("warn", "compose file", "compose.yaml", "there is none here or in a parent", todo)]
    try:
        app = load_app(files, project=project, environment=environment, fleet=fleet, profiles=profiles)
    except SpecError as error:
        return None, list(_mistakes("compose file", error))
    told = f"app {app.name}: {', '.join(app.services)}"
    return app, [Finding("ok", "compose file", ", ".join(map(str, paths)), told), *secrets(app)]


def _mistakes(check: str, error: SpecError) -> Iterator[Finding]:
    for m in error.mistakes:
        yield Finding("fail", check, m.where, m.what, m.todo)


def secrets(app: App) -> Iterator[Finding]:
    """Variables whose name says that the value is a secret. A name that ends in _FILE and the like only tells where."""
    for service in app.services.values():
        names = [n for n, v in service.environment.items() if v and _SECRET.search(n) and not _BY_FILE.search(n)]
        if names:
            yield Finding(
                "warn",
                "secrets",
                f"service {service.name}",
                f"environment {', '.join(names)}: looks like a secret; it is kept in the release and the container",
                "who reads the registry or an engine reads it: let the program fetch it from where secrets are kept",
            )
