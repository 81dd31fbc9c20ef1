"""`bayplan start`"""

from __future__ import annotations

from typing import Annotated

import typer

from bayplan.cli.complete import service_names
from bayplan.cli.options import AssumeDown, Files, FleetFile, Json, Project, Wait, WaitTimeout, patience


def start(
    services: Annotated[
        list[str] | None,
        typer.Argument(help="Only these services.", show_default="all", autocompletion=service_names),
    ] = None,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    assume_down: AssumeDown = None,
    wait: Wait = False,
    wait_timeout: WaitTimeout = None,
    json: Json = False,
) -> None:
    """Start services that were stopped."""
    from bayplan.cli.progress import Progress
    from bayplan.cli.report import finish
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.operate.bring import Wishes
    from bayplan.operate.halt import start as work
    from bayplan.spec.model import App

    name, where = read_name(files, project, fleet)
    chosen = frozenset(services) if services else None
    wishes = Wishes(chosen, frozenset(assume_down or ()), patience=patience(wait, wait_timeout))
    with Progress(App(name=name), quiet=json) as progress:
        result = on_fleet(where, lambda ports: work(ports, name, wishes, progress))
    finish(result, progress, json=json)
