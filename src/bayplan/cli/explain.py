"""`bayplan explain`"""

from __future__ import annotations

from typing import Annotated

import typer

from bayplan.cli.complete import service_names
from bayplan.cli.options import Files, FleetFile, Json, Project


def explain(
    service: Annotated[
        str | None,
        typer.Argument(metavar="SERVICE", help="Only this service.", autocompletion=service_names, show_default="all"),
    ] = None,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    json: Json = False,
) -> None:
    """Say why each replica is where it is, and for each host whether it could take one more, and if not, why."""
    from bayplan.cli.console import out, show_json
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.operate.explain import explain as explained

    name, where = read_name(files, project, fleet)
    found = on_fleet(where, lambda ports: explained(ports, name, service))
    if json:
        show_json(found)
        return
    from rich.markup import escape

    console = out()
    for number, s in enumerate(found):
        if number:
            console.print()
        console.print(f"[bold]{s.service}[/]  {s.summary}")
        longest = max((len(host.host) for host in s.hosts), default=0)
        for host in s.hosts:
            mark = "[green]✓[/]" if host.could else "[red]✗[/]"
            console.print(f"  {mark} [bold]{host.host:{longest}}[/]  {host.has} there  [dim]{escape(host.verdict)}[/]")
        for note in s.notes:
            console.print(f"  [dim]{escape(note)}[/]")
