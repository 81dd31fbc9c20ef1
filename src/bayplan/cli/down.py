"""`bayplan down`"""

from __future__ import annotations

from typing import Annotated

import typer

from bayplan.cli.options import Files, FleetFile, Json, Project


def down(
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Gateways, guards and the registry too, if no other app needs them.")
    ] = False,
    json: Json = False,
) -> None:
    """Drain and remove the app's replicas, listeners and networks. Images and releases stay."""
    from bayplan.cli.progress import Progress
    from bayplan.cli.report import finish
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.operate.remove import down as take_down
    from bayplan.spec.model import App

    name, where = read_name(files, project, fleet)
    with Progress(App(name=name), quiet=json) as progress:
        result = on_fleet(where, lambda ports: take_down(ports, name, progress, everything=everything))
    finish(result, progress, json=json)
