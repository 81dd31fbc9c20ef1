"""`bayplan exec`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.complete import host_names, service_names
from bayplan.cli.options import Env, Files, FleetFile, Interactive, NoTty, Project, Tty, bare, terminal, variables

if TYPE_CHECKING:
    from bayplan.ports import FleetPorts


def exec_(
    service: Annotated[
        str, typer.Argument(metavar="SERVICE", help="In a replica of this service.", autocompletion=service_names)
    ],
    command: Annotated[list[str], typer.Argument(metavar="COMMAND", help="The command and its arguments.")],
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    interactive: Interactive = True,
    tty: Tty = False,
    no_tty: NoTty = False,
    slot: Annotated[
        int | None,
        typer.Option(
            "--replica", "--index", metavar="N", help="In this one: 3 is web-3.", show_default="one that is ready"
        ),
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="In one on this host.", autocompletion=host_names)] = None,
    env: Env = None,
    user: Annotated[str, typer.Option("-u", "--user", help="As this user.", show_default="the image's")] = "",
    workdir: Annotated[
        str, typer.Option("-w", "--workdir", help="In this directory.", show_default="the image's")
    ] = "",
) -> None:
    """Run a command in a ready replica; its exit status is bayplan's."""
    import os

    from bayplan.cli.session import on_fleet, read_name
    from bayplan.operate.exec import choose
    from bayplan.ports import How

    with_tty = terminal(tty, no_tty)
    name, where = read_name(files, project, fleet)
    how = How(user, workdir, variables(env, os.environ))

    async def work(ports: FleetPorts) -> int:
        replica = await choose(ports, name, service, slot=slot, host=host)
        engine = ports.engines[replica.host]
        return await engine.attach_exec(replica.name, bare(command), tty=with_tty, stdin=interactive, how=how)

    raise typer.Exit(on_fleet(where, work))
