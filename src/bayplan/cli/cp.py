"""`bayplan cp`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.options import Files, FleetFile, Project

if TYPE_CHECKING:
    from bayplan.ports import FleetPorts


def cp(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A path here, or SERVICE:PATH.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The other of the two.")],
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    slot: Annotated[
        int | None, typer.Option("--replica", "--index", metavar="N", help="With this one: 3 is web-3.")
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="With the ones on this host.")] = None,
) -> None:
    """Copy files out of a replica of a service, or into all of them. What is copied in is gone with the replica."""
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.errors import UsageError
    from bayplan.operate.copy import fetch, send
    from bayplan.operate.exec import choose, choose_all

    out, into = _service(source), _service(target)
    if bool(out) == bool(into):
        raise UsageError("one of the two is SERVICE:PATH", todo="for example: bayplan cp web:/var/log/app.log .")
    if into and not Path(source).exists():
        raise UsageError(f"there is no {source}")
    name, where = read_name(files, project, fleet)

    async def work(ports: FleetPorts) -> None:
        if out:
            one = await choose(ports, name, out[0], slot=slot, host=host)
            await fetch(ports.engines[one.host], one, out[1], Path(target))
        elif into:
            for one in await choose_all(ports, name, into[0], slot=slot, host=host):
                await send(ports.engines[one.host], one, Path(source), source, into[1])

    on_fleet(where, work)


def _service(text: str) -> tuple[str, str] | None:
    """`web:/path`. A path of this machine may have a colon after a slash."""
    service, sign, path = text.partition(":")
    return (service, path) if sign and path and "/" not in service and service not in ("", ".") else None
