"""`bayplan ps`"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.console import table
from bayplan.cli.options import Files, FleetFile, Json, Project

if TYPE_CHECKING:
    from rich.console import Console

    from bayplan.cli.listing import Listing
    from bayplan.operate.status import Instance, InstanceState, ServiceView, Standing, Status

STYLES: dict[InstanceState, str] = {
    "ready": "green",
    "starting": "yellow",
    "draining": "dim",
    "standby": "cyan",
    "stopped": "dim",
    "failed": "red",
    "unknown": "magenta",
}


def ps(
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    every: Annotated[bool, typer.Option("-a", "--all", help="What was stopped, and what `run` runs, too.")] = False,
    json: Json = False,
) -> None:
    """Show each service's replicas: where, in what state, of which release; and the hosts."""
    from bayplan.cli.console import show_json
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.operate.status import standing

    name, where = read_name(files, project, fleet)
    found = on_fleet(where, lambda ports: standing(ports, name, every=every))
    if found.unread:
        _tell_unread(found.unread)
    if json:
        show_json(found.status)
    else:
        _show(name, where.name, found)


def _tell_unread(why: str) -> None:
    from rich.markup import escape

    from bayplan.cli.console import err

    err().print(f"[yellow]![/] releases cannot be read: {escape(why)}; this is what runs, not what should")


def _show(name: str, fleet: str, found: Standing) -> None:
    from rich.markup import escape

    from bayplan.cli.console import err, out

    console = out()
    console.print(f"[bold]{name}[/] release {found.status.release or '-'} on fleet [bold]{fleet}[/]\n")
    every_row = [_row(i) for i in _shown(found.status)]
    for service in found.status.services:
        _print_head(service, console)
        _print_instances(service.instances, every_row, console)
    if found.status.left_over:
        console.print("[bold]left over[/]  [yellow]of services that the release does not have[/]")
        _print_instances(found.status.left_over, every_row, console)
    if found.status.runs:
        console.print(_runs(found.status), "", sep="\n")
    console.print(_hosts(found.status))
    for hint in _hints(found.status):
        err().print(f"[yellow]![/] {hint}")
    for host in found.facts.hosts.values():
        if not host.reachable:
            console.print(f"[yellow]![/] {host.name}: {escape(host.why)}")
            if host.todo:
                console.print(f"  {host.todo}", markup=False)


def _hints(status: Status) -> Iterator[str]:
    """What to do about what is no state to stay in."""
    if status.left_over:
        verb = "up" if status.services else "down"
        yield f"what is left over of a release before goes with the next bayplan {verb}"
    paused = [i.name for service in status.services for i in service.instances if i.state == "standby"]
    if paused:
        what = f"{', '.join(paused)} {'is' if len(paused) == 1 else 'are'} paused"
        yield f"{what}, as a backup that was killed leaves it: bayplan up lets it go on"


def _print_head(service: ServiceView, console: Console) -> None:
    r = service.replicas
    style = "green" if r.ready == r.desired else "yellow"
    fronts = "".join(f"  {x.address}:{x.port} -> {x.target_port}" for x in service.listeners)
    what = "done" if any(i.job for i in service.instances) else "ready"
    stand = "[dim]stopped[/]" if service.stopped else f"[{style}]{r.ready}/{r.desired} {what}[/]"
    console.print(f"[bold]{service.service}[/]  {stand}[cyan]{fronts}[/]")


def _shown(status: Status) -> Iterator[Instance]:
    for service in status.services:
        yield from service.instances
    yield from status.left_over


def _row(i: Instance) -> tuple[str, ...]:
    state = f"[{STYLES[i.state]}]{f'job {i.job}' if i.job else i.state}[/]"
    return (i.name, i.host, state, i.endpoint, str(i.release or ""))


def _print_instances(instances: Sequence[Instance], every_row: Sequence[Sequence[str]], console: Console) -> None:
    rows = table("replica", "host", "state", "endpoint", "release", indent=2, among=every_row)
    for instance in instances:
        rows.add_row(*_row(instance))
    console.print(*([rows] if instances else []), "", sep="\n")


def _runs(status: Status) -> Listing:
    rows = table("run", "host", "state", "service", "image")
    for one in status.runs:
        rows.add_row(one.name, one.host, one.state, one.service or "-", one.image)
    return rows


def _hosts(status: Status) -> Listing:
    from bayplan.units import show_bytes

    rows = table("host", "state", "cores reserved", "memory reserved")
    for h in status.hosts:
        state = f"[{'green' if h.state == 'ready' else 'red'}]{h.state}[/]"
        cores, memory = (
            f"{h.reserved.cpus:g} of {h.cpus:g}",
            f"{show_bytes(h.reserved.memory)} of {show_bytes(h.memory)}",
        )
        rows.add_row(h.host, state, *((cores, memory) if h.memory else ("unknown", "unknown")))
    return rows
