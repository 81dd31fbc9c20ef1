"""`bayplan run`"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.complete import host_names, service_names
from bayplan.cli.options import Env, Files, FleetFile, Interactive, NoTty, Project, Tty, bare, terminal, variables

if TYPE_CHECKING:
    from bayplan.ports import FleetPorts, Transfer


def run(
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="SERVICE [COMMAND]",
            help="The service, and the command and its arguments.",
            show_default="the service's own command",
            autocompletion=service_names,
        ),
    ] = None,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    image: Annotated[str, typer.Option("--image", help="No service: this image.")] = "",
    host: Annotated[
        str, typer.Option("--host", help="On this host.", autocompletion=host_names, show_default="the best one")
    ] = "",
    rm: Annotated[bool, typer.Option("--rm", help="Remove it when it ends (always).")] = True,
    interactive: Interactive = True,
    tty: Tty = False,
    no_tty: NoTty = False,
    env: Env = None,
    user: Annotated[str, typer.Option("-u", "--user", help="As this user.", show_default="the service's")] = "",
    workdir: Annotated[
        str, typer.Option("-w", "--workdir", help="In this directory.", show_default="the service's")
    ] = "",
    entrypoint: Annotated[str, typer.Option("--entrypoint", help="In place of the image's entrypoint.")] = "",
) -> None:
    """Run one command in a container of its own, with a service's image, environment and network; its exit status.

    It is no replica, takes no traffic, and is gone when it ends, or with Ctrl-C.
    """
    del rm
    import os

    from bayplan.cli.session import on_fleet, read_name
    from bayplan.errors import UsageError
    from bayplan.operate.oneoff import Wish, prepare_run

    service, command = ("", words or []) if image else ((words or [""])[0], (words or [])[1:])
    if not (service or image):
        raise UsageError("what is to run? name a service, or an image", todo="bayplan run web sh; or --image debian:12")
    with_tty = terminal(tty, no_tty)
    name, where = read_name(files, project, fleet)
    wish = Wish(service, image, tuple(bare(command)), entrypoint, variables(env, os.environ), user, workdir, host)

    async def work(ports: FleetPorts) -> int:
        at, container = await prepare_run(ports, name, wish, _Pulling())
        return await ports.engines[at].attach_run(container, tty=with_tty, stdin=interactive)

    raise typer.Exit(on_fleet(where, work))


class _Pulling:
    """One line when the image has to be fetched first, as Docker says it."""

    def __init__(self) -> None:
        self._told = False

    def __call__(self, _: Transfer) -> None:
        if not self._told:
            sys.stderr.write("the image is not on that host yet: pulling it\n")
        self._told = True
