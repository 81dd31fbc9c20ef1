"""`bayplan exec`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.complete import service_names
from bayplan.cli.options import Files, FleetFile, Project

if TYPE_CHECKING:
    from bayplan.ports import FleetPorts


def exec_(
    service: Annotated[str, typer.Argument(help="In a replica of this service.", autocompletion=service_names)],
    command: Annotated[list[str], typer.Argument(metavar="COMMAND…", help="The command and its arguments.")],
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    interactive: Annotated[bool, typer.Option("-i", "--interactive", help="Pass standard input on (default).")] = True,
    tty: Annotated[bool, typer.Option("-t", "--tty", help="With a terminal (default when this is one).")] = False,
    no_tty: Annotated[bool, typer.Option("-T", "--no-tty", help="Without a terminal.")] = False,
    slot: Annotated[
        int | None, typer.Option("--replica", "--index", metavar="N", help="In this one: 3 is web-3.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="In one on this host.")] = None,
    user: Annotated[str, typer.Option("-u", "--user", help="As this user.", show_default="the image's")] = "",
    workdir: Annotated[
        str, typer.Option("-w", "--workdir", help="In this directory.", show_default="the image's")
    ] = "",
) -> None:
    """Run a command in a ready replica; its exit status is bayplan's."""
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.errors import UsageError
    from bayplan.operate.exec import choose

    on_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if tty and not sys.stdin.isatty():
        raise UsageError("-t needs a terminal, and standard input is none", todo="leave -t out, or use -T")
    name, where = read_name(files, project, fleet)

    async def work(ports: FleetPorts) -> int:
        replica = await choose(ports, name, service, slot=slot, host=host)
        engine = ports.engines[replica.host]
        with_tty = (tty or on_terminal) and not no_tty
        return await engine.attach_exec(
            replica.name, command, tty=with_tty, stdin=interactive, user=user, workdir=workdir
        )

    raise typer.Exit(on_fleet(where, work))
