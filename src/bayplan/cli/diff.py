"""`bayplan diff`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayplan.cli.options import Files, FleetFile, Json, Profiles, Project

if TYPE_CHECKING:
    from bayplan.operate.compare import Comparison


def diff(
    before: Annotated[
        int | None, typer.Argument(metavar="N", help="From this release.", show_default="the newest")
    ] = None,
    after: Annotated[
        int | None, typer.Argument(metavar="M", help="To this one.", show_default="what the file says")
    ] = None,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    profile: Profiles = None,
    json: Json = False,
) -> None:
    """Show what changes from one release to another, or to what the file says now. Exit status 0 either way."""
    from bayplan.cli.console import show_json
    from bayplan.cli.session import on_fleet, read_both, read_name, read_secrets
    from bayplan.operate.compare import releases, with_file

    if before is not None and after is not None:
        name, where = read_name(files, project, fleet)
        found = on_fleet(where, lambda ports: releases(ports, name, before, after))
    else:
        app, where = read_both(files, project, fleet, profile)
        secrets = read_secrets(app, files)
        found = on_fleet(where, lambda ports: with_file(ports, app, before, secrets))
    if json:
        show_json(found)
    else:
        _tell(found)


def _tell(found: Comparison) -> None:
    from rich.markup import escape

    from bayplan.cli.console import out

    console = out()
    after = f"release {found.after}" if found.after else "the file"
    before = f"release {found.before}" if found.before else "nothing"
    if not found.changes:
        console.print(f"{after} says the same as {before}")
        return
    console.print(f"[dim]from {before} to {after}[/]")
    for change in found.changes:
        if change.kind != "changed":
            sign, style = ("+", "green") if change.kind == "added" else ("-", "red")
            console.print(f"[{style}]{sign} {escape(change.where)}[/]")
            continue
        console.print(f"  [bold]{escape(change.where)}[/] {escape(change.key)}")
        if change.before is not None:
            console.print(f"    [red]- {escape(_shown(change.before))}[/]", soft_wrap=True)
        if change.after is not None:
            console.print(f"    [green]+ {escape(_shown(change.after))}[/]", soft_wrap=True)


def _shown(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
