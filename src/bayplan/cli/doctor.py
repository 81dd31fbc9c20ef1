"""`bayplan doctor`"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from bayplan.cli.options import Files, FleetFile, Json, Profiles, Project

if TYPE_CHECKING:
    from bayplan.operate.doctor import Finding

MARKS = {"ok": "[green]✓[/]", "warn": "[yellow]![/]", "fail": "[bold red]✗[/]"}


def doctor(
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    profile: Profiles = None,
    json: Json = False,
) -> None:
    """Find what is wrong with this machine, the files and the hosts, and say what to do."""
    import os

    from bayplan.cli.console import err, show_json
    from bayplan.cli.session import on_fleet
    from bayplan.operate.doctor import file_findings, fleet_findings, machine_findings

    where, app, found = file_findings(files, project, fleet, os.environ, profile or ())
    findings = [*machine_findings(where), *found]
    if where is not None:
        with err().status(f"looking at {', '.join(where.hosts)}"):
            findings += on_fleet(where, lambda ports: fleet_findings(ports, app))
    if json:
        show_json(as_json(findings))
    else:
        _tell(findings)
    if any(f.level == "fail" for f in findings):
        raise typer.Exit(1)


def as_json(findings: Sequence[Finding]) -> dict[str, object]:
    """The shape of `doctor --json`."""
    from dataclasses import asdict

    return {"ok": all(f.level != "fail" for f in findings), "findings": [asdict(f) for f in findings]}


def _tell(findings: Sequence[Finding]) -> None:
    """By place, in the order found; then how many are wrong."""
    from rich.markup import escape

    from bayplan.cli.console import out

    console, place = out(), ""
    for f in findings:
        if f.where != place:
            place = f.where
            console.print(f"[bold]{escape(place)}[/]")
        console.print(f"  {MARKS[f.level]} [dim]{f.check:12}[/] {escape(f.what)}", soft_wrap=True)
        if f.todo:
            console.print(f"    {'':12} [dim]→[/] {escape(f.todo)}", soft_wrap=True)
    counts = {level: sum(f.level == level for f in findings) for level in MARKS}
    console.print(f"\n{_sentence(counts)}")


def _sentence(counts: dict[str, int]) -> str:
    if not counts["fail"] and not counts["warn"]:
        return f"[green]All {counts['ok']} checks are well.[/]"
    parts = [f"[bold red]{counts['fail']} failed[/]"] if counts["fail"] else []
    parts += [f"[yellow]{counts['warn']} to look at[/]"] if counts["warn"] else []
    return f"{', '.join(parts)}, {counts['ok']} well."
