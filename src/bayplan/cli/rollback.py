"""`bayplan rollback`"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bayplan.cli.options import AssumeDown, Files, FleetFile, Json, Profiles, Project, Wait, WaitTimeout, patience


def rollback(
    number: Annotated[
        int | None, typer.Argument(metavar="N", help="To this release.", show_default="the one before")
    ] = None,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    profile: Profiles = None,
    assume_down: AssumeDown = None,
    wait: Wait = False,
    wait_timeout: WaitTimeout = None,
    json: Json = False,
) -> None:
    """Go back to a release: its images and counts, whatever the file and the tags say by now. Nothing is built."""
    from bayplan.cli.report import carry_out
    from bayplan.cli.session import read_name
    from bayplan.operate.bring import Wishes
    from bayplan.operate.rollback import rollback as go_back

    name, where = read_name(files, project, fleet)
    wishes = Wishes(
        assume_down=frozenset(assume_down or ()),
        patience=patience(wait, wait_timeout),
        secrets=_secrets(files, project, fleet, profile),
    )
    carry_out(where, name, lambda ports, on: go_back(ports, name, number, wishes, on), json=json)


def _secrets(
    files: Sequence[Path] | None, project: str | None, fleet: Path | None, profiles: Sequence[str] | None
) -> Mapping[str, bytes]:
    """Their values, as far as the file can be read: going back needs no file."""
    from bayplan.cli.session import read_both, read_secrets
    from bayplan.errors import BayplanError

    try:
        app, _ = read_both(files, project, fleet, profiles)
        return read_secrets(app, files)
    except BayplanError:
        return {}
