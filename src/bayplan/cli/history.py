"""`bayplan history`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.options import Files, FleetFile, Json, Project

if TYPE_CHECKING:
    from bayplan.operate.history import Entry
    from bayplan.ports import Release, Source

SHORT = 12  # digits of a commit

app = typer.Typer(help="The app's releases: who, when, why, from which commit, and what changed.")


@app.callback(invoke_without_command=True)
def history(
    ctx: typer.Context,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    last: Annotated[
        int | None,
        typer.Option("-n", "--last", metavar="N", min=1, help="Only so many, the newest.", show_default="20"),
    ] = None,
    every: Annotated[bool, typer.Option("-a", "--all", help="However many there are.")] = False,
    json: Json = False,
) -> None:
    """The app's releases, newest first: who, when, why, from which commit, and what changed."""
    if ctx.invoked_subcommand is not None:
        return
    from bayplan.cli.console import out, show_json, table
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.operate.history import as_json
    from bayplan.operate.history import history as read

    name, where = read_name(files, project, fleet)
    count = None if every else last or 20
    found = on_fleet(where, lambda ports: read(ports.releases, name, count))
    if json:
        show_json({"fleet": where.name, "app": name, "releases": [as_json(e) for e in found]})
        return
    rows = table("release", "when", "by", "commit", "why", "changed")
    for entry in found:
        rows.add_row(*_row(entry))
    out().print(rows if found else "[dim]no releases yet: bayplan up makes the first[/]")


def _row(entry: Entry) -> tuple[str, ...]:
    from rich.markup import escape

    r = entry.release
    if r is None:
        return (f"[bold]{entry.number}[/]", "", "", "", "", f"[red]cannot be read: {escape(entry.unread)}[/]")
    told = (_when(r), escape(r.by), _commit(r.source), f"[cyan]{escape(r.why)}[/]", escape(_changed(entry)))
    return (f"[bold]{entry.number}[/]", *told)


def _changed(entry: Entry) -> str:
    if entry.changes is None:
        return "the first" if entry.number == 1 else "the first that is recorded here"
    return "; ".join(entry.changes) or "the same as before"


def _when(r: Release) -> str:
    from datetime import datetime

    return f"{datetime.fromtimestamp(r.at).astimezone():%Y-%m-%d %H:%M}"


def _commit(source: Source) -> str:
    return f"[yellow]{source.commit[:SHORT]}{'+' if source.dirty else ''}[/]" if source.commit else ""


@app.command()
def show(
    number: Annotated[int, typer.Argument(metavar="N", help="Its number.")],
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    json: Json = False,
) -> None:
    """Print one release: the app as it was resolved, with its images pinned."""
    import json as jsons

    from rich.markup import escape

    from bayplan.cli.console import err, out, show_json
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.operate.history import Entry, as_json, release
    from bayplan.operate.release import spec_of
    from bayplan.spec.render import render

    name, where = read_name(files, project, fleet)
    found = on_fleet(where, lambda ports: release(ports.releases, name, number))
    if json:
        show_json(as_json(Entry(number, found)) | {"spec": jsons.loads(found.spec)})
        return
    told = (f"release [bold]{number}[/]", _when(found), escape(found.by), _commit(found.source), escape(found.why))
    err().print("  ".join(part for part in told if part), soft_wrap=True)
    out().print(escape(render(spec_of(found))), end="", soft_wrap=True)
