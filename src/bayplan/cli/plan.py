"""`bayplan plan`"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayplan.cli.options import AssumeDown, Files, FleetFile, Json, Profiles, Project

if TYPE_CHECKING:
    from rich.console import Console

    from bayplan.operate.preview import Preview

SIGNS = {
    "run": "[green]+[/]",
    "start": "[green]+[/]",
    "remove": "[red]-[/]",
    "drain": "[red]-[/]",
    "leave": "[red]-[/]",
}


def plan(
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    profile: Profiles = None,
    assume_down: AssumeDown = None,
    json: Json = False,
) -> None:
    """Show what `up` would do now, each step with its reason. Nothing is built and nothing is changed."""
    from bayplan.cli.console import out, show_json
    from bayplan.cli.session import on_fleet, read_both, read_secrets
    from bayplan.operate.preview import as_json, preview

    app, where = read_both(files, project, fleet, profile)
    secrets = read_secrets(app, files)
    found = on_fleet(where, lambda ports: preview(ports, app, frozenset(assume_down or ()), secrets))
    if json:
        show_json(as_json(found))
    else:
        _print(found, out())


def _print(found: Preview, console: Console) -> None:
    from rich.markup import escape

    from bayplan.cli.report import tell_risks

    _print_steps(found, console)
    for unplaced in found.unplaced:
        console.print(f"[yellow]![/] no host can take {unplaced.count} of [bold]{unplaced.service}[/]")
        for reason in unplaced.why:
            console.print(f"    {reason.host}  {escape(reason.reason)}")
    for waiting in found.waiting:
        console.print(f"[yellow]…[/] [bold]{waiting.replica}[/] on {waiting.host} {escape(waiting.why)}")
    for held in found.held:
        console.print(f"[yellow]…[/] [bold]{held.service}[/] {escape(held.why)}")
    for failure in found.failures:
        of = f"[bold]{failure.service}[/] on " if failure.service else ""
        console.print(f"[bold red]✗[/] {of}{failure.host}: {escape(failure.why)}")
    for host in found.unreachable:
        console.print(f"[yellow]![/] {host.name} {escape(host.silence)}; nothing is planned there")
        if host.todo:
            console.print(f"  {escape(host.todo)}")
    for note in found.notes:
        console.print(f"[yellow]![/] {escape(note)}")
    tell_risks(found.risks, console)


def _print_steps(found: Preview, console: Console) -> None:
    from rich.markup import escape

    from bayplan.plan.steps import kind, subject

    if found.is_empty:
        console.print("[green]✓[/] nothing to do")
    lines = [("build", "", name, "its files changed, or it was never built") for name in found.builds]
    lines += [("copy", "", name, "its image is not in the fleet's registry yet") for name in found.copies]
    lines += [(kind(step), step.host, subject(step), step.why) for step in found.steps]
    whats, hosts = (max((len(line[at]) for line in lines), default=0) for at in (0, 1))
    for what, host, about, why in lines:
        sign = SIGNS.get(what, "[cyan]~[/]")
        told = f"{escape(about)}  " if about else ""
        console.print(f"{sign} {what:{whats}}  {host:{hosts}}  {told}[dim]{escape(why)}[/]")
    for service, count in found.later.items():
        console.print(f"[cyan]…[/] then {count} more of [bold]{service}[/], as these are done")
    for service, count in found.going.items():
        console.print(f"[red]…[/] then {count} of [bold]{service}[/] {'goes' if count == 1 else 'go'} for good")
