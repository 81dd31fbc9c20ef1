"""`bayplan cp`"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.complete import host_names
from bayplan.cli.options import Files, FleetFile, Project

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bayplan.facts import Replica
    from bayplan.ports import Engine, FleetPorts

STREAM = "-"  # in place of a path here: a tar


def cp(
    source: Annotated[str, typer.Argument(metavar="SOURCE", help="A path here, or SERVICE:PATH.")],
    target: Annotated[str, typer.Argument(metavar="TARGET", help="The other of the two.")],
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    slot: Annotated[
        int | None,
        typer.Option(
            "--replica",
            "--index",
            metavar="N",
            help="This one: 3 is web-3.",
            show_default="to copy from, one; to copy into, all",
        ),
    ] = None,
    host: Annotated[str | None, typer.Option("--host", help="Those on this host.", autocompletion=host_names)] = None,
) -> None:
    """Copy files out of a replica of a service, or into all of them. What is copied in is gone with the replica.

    With - in place of the path here: a tar, to standard output or from standard input.
    """
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.operate.exec import choose, choose_all

    out, into = _sides(source, target)
    name, where = read_name(files, project, fleet)

    async def work(ports: FleetPorts) -> None:
        if out:
            one = await choose(ports, name, out[0], slot=slot, host=host)
            await _fetch(ports.engines[one.host], one, out[1], target)
        elif into:
            those = await choose_all(ports, name, into[0], slot=slot, host=host)
            await _send(ports, those, source, into[1])

    on_fleet(where, work)


Side = tuple[str, str] | None  # a service, and a path in its replicas; None is here


def _sides(source: str, target: str) -> tuple[Side, Side]:
    from bayplan.errors import UsageError

    out, into = _service(source), _service(target)
    if out and into:
        here = next((side for side in (source, target) if Path(side).exists()), source)
        raise UsageError(
            "both are SERVICE:PATH, and one of the two is a path here", todo=f"here it is written ./{here}"
        )
    if not (out or into):
        raise UsageError("one of the two is SERVICE:PATH", todo="for example: bayplan cp web:/var/log/app.log .")
    if STREAM in (source, target):
        if (sys.stdout if out else sys.stdin).isatty():
            raise UsageError("a tar is not for a terminal", todo="for example: bayplan cp web:/etc - | tar -t")
    elif into and not Path(source).exists():
        raise UsageError(f"there is no {source}")
    return out, into


async def _fetch(engine: Engine, one: Replica, path: str, target: str) -> None:
    from bayplan.operate.copy import fetch, stream_out

    if target == STREAM:
        await stream_out(engine, one, path, sys.stdout.buffer)
    else:
        await fetch(engine, one, path, Path(target))


async def _send(ports: FleetPorts, those: Iterable[Replica], source: str, path: str) -> None:
    import asyncio
    import shutil
    import tempfile

    from bayplan.operate.copy import send, stream_in

    with tempfile.TemporaryFile() as packed:
        if source == STREAM:
            await asyncio.to_thread(shutil.copyfileobj, sys.stdin.buffer, packed)
        for one in those:
            if source == STREAM:
                await stream_in(ports.engines[one.host], one, packed, path)
            else:
                await send(ports.engines[one.host], one, Path(source), source, path)


def _service(text: str) -> Side:
    """`web:/path`. A path of this machine may have a colon after a slash."""
    service, sign, path = text.partition(":")
    return (service, path) if sign and path and "/" not in service and service not in ("", ".") else None
