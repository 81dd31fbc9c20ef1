"""`bayplan up`"""

from __future__ import annotations

from typing import Annotated

import typer

from bayplan.cli.complete import service_names
from bayplan.cli.options import (
    AssumeDown,
    Build,
    Files,
    FleetFile,
    Json,
    Profiles,
    Project,
    Pull,
    WaitTimeout,
    patience,
)


def up(
    services: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SERVICE",
            help="Only these services, and what they depend on.",
            show_default="all",
            autocompletion=service_names,
        ),
    ] = None,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    profile: Profiles = None,
    build: Build = False,
    pull: Pull = False,
    assume_down: AssumeDown = None,
    detach: Annotated[bool, typer.Option("-d", "--detach", hidden=True)] = False,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait",
            help="If somebody else is changing the fleet, wait until they are done. (Until all is ready: always.)",
        ),
    ] = False,
    wait_timeout: WaitTimeout = None,
    json: Json = False,
) -> None:
    """Bring the app to what its Compose file says: build, push, start, join, replace; nothing if nothing changed."""
    del detach  # bayplan never stays in the foreground; people type it from habit
    from bayplan.cli.report import carry_out
    from bayplan.cli.session import directory, read_both, read_secrets
    from bayplan.operate.bring import Wishes
    from bayplan.operate.bring import up as bring_up

    app, where = read_both(files, project, fleet, profile, services)
    wishes = Wishes(
        frozenset(services) if services else None,
        frozenset(assume_down or ()),
        build,
        pull,
        patience(wait, wait_timeout),
        read_secrets(app, files),
        directory(files),
    )
    carry_out(where, app.name, lambda ports, on: bring_up(ports, app, wishes, on), json=json)
