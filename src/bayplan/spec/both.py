"""Both files at once, and the mistakes of both."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from bayplan.errors import Mistake, SpecError
from bayplan.spec.app import OnWarning, load_app
from bayplan.spec.fleet import load_fleet
from bayplan.spec.model import App, Fleet


def load_both(
    files: Sequence[Path] | None,
    *,
    project: str | None,
    fleet: Path | None,
    environment: Mapping[str, str],
    profiles: Sequence[str] = (),
    named: Collection[str] = (),
    only_read: bool = False,
    warn: OnWarning = lambda _: None,
) -> tuple[App, Fleet]:
    """The app and its fleet, found as `load_app` and `load_fleet` find them.

    Raises SpecError with every mistake of fleet.yaml, then of the Compose files.
    """
    found: list[Mistake] = []
    where = app = None
    try:
        where = load_fleet(fleet, environment, files or ())
    except SpecError as error:
        found += error.mistakes
    try:
        app = load_app(
            files,
            project=project,
            environment=environment,
            fleet=where,
            profiles=profiles,
            named=named,
            only_read=only_read,
            warn=warn,
        )
    except SpecError as error:
        found += error.mistakes
    if app is None or where is None:
        raise SpecError(found)
    return app, where
