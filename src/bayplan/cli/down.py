"""`bayplan down`"""

from __future__ import annotations

from typing import Annotated

import typer

from bayplan.cli.options import AssumeDown, Files, FleetFile, Json, Project, Wait, WaitTimeout, patience


def down(
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Gateways, guards and the registry too, if no other app needs them.")
    ] = False,
    volumes: Annotated[
        bool, typer.Option("-v", "--volumes", help="The app's volumes too, with all that is in them.")
    ] = False,
    assume_down: AssumeDown = None,
    wait: Wait = False,
    wait_timeout: WaitTimeout = None,
    json: Json = False,
) -> None:
    """Drain and remove the app's replicas, listeners and networks. Images, releases and, without -v, volumes stay."""
    from bayplan.cli.report import carry_out
    from bayplan.cli.session import read_name
    from bayplan.operate.bring import Wishes
    from bayplan.operate.remove import down as take_down

    wishes = Wishes(assume_down=frozenset(assume_down or ()), patience=patience(wait, wait_timeout))
    name, where = read_name(files, project, fleet)
    carry_out(
        where,
        name,
        lambda ports, on: take_down(ports, name, on, everything=everything, with_volumes=volumes, wishes=wishes),
        json=json,
    )
