"""`bayplan stats`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.console import table
from bayplan.cli.options import Files, FleetFile, Json, Project, Services

if TYPE_CHECKING:
    from rich.console import Group

    from bayplan.cli.listing import Listing
    from bayplan.operate.stats import HostUse, ReplicaUse, Share, Stats
    from bayplan.ports import FleetPorts

EVERY = 1.0  # seconds between two readings; a reading itself takes one to two
HIGH, FULL = 0.75, 0.9  # share of a limit from which it is yellow, red


def stats(
    services: Services = None,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    watch: Annotated[bool, typer.Option("--watch", help="Live, until Ctrl-C.")] = False,
    json: Json = False,
) -> None:
    """Show what each replica uses now: cores, memory, network, processes; and what that is of its host."""
    from bayplan.cli.console import out, show_json
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.operate.stats import stats as measured

    name, where = read_name(files, project, fleet)
    wanted = frozenset(services or ())
    if watch:
        on_fleet(where, lambda ports: _watch(ports, name, wanted, json=json))
        return
    found = on_fleet(where, lambda ports: measured(ports, name, wanted))
    if json:
        show_json(found)
    else:
        out().print(_picture(found))


async def _watch(ports: FleetPorts, app: str, services: frozenset[str], *, json: bool) -> None:
    """Until interrupted. With json: an object a line. Not on a terminal: one reading after the other."""
    import json as encoder
    from dataclasses import asdict

    from rich.live import Live

    from bayplan.cli.console import out
    from bayplan.operate.stats import stats as measured

    console = out()
    found = await measured(ports, app, services)
    if console.is_terminal and not json:
        with Live(_picture(found), console=console, auto_refresh=False, vertical_overflow="visible") as live:
            while True:
                await ports.clock.sleep(EVERY)
                live.update(_picture(await measured(ports, app, services)), refresh=True)
    while True:
        if json:
            print(encoder.dumps(asdict(found)), flush=True)
        else:
            console.print(_picture(found))
        await ports.clock.sleep(EVERY)
        found = await measured(ports, app, services)


def _picture(found: Stats) -> Group:
    """Both tables, and the hosts that did not answer."""
    from rich.console import Group
    from rich.markup import escape

    silent = [f"[yellow]![/] {h.host}: {escape(h.why)}" for h in found.hosts if h.why]
    replicas = _replicas(found.replicas) if found.replicas else f"nothing of the app {found.app} runs"
    return Group(replicas, "", _hosts([h for h in found.hosts if not h.why]), *silent)


def _replicas(used: tuple[ReplicaUse, ...]) -> Listing:
    from rich.markup import escape

    from bayplan.units import show_bytes

    numbers = ("cores", "memory", "of its limit", "net in", "net out", "pids")
    rows = table("replica", "host", *numbers, right=numbers)
    for u in used:
        if u.why:
            rows.add_row(u.name, u.host, f"[yellow]{escape(u.why)}[/]")
            continue
        limit = show_bytes(u.memory_limit) if u.memory_limit else "none"
        share = _share(u.memory, u.memory_limit)
        net = (show_bytes(u.net_rx), show_bytes(u.net_tx))
        rows.add_row(
            u.name, u.host, f"{u.cpus:.2f}", show_bytes(u.memory), f"{share} of {limit}", *net, str(u.processes)
        )
    return rows


def _hosts(hosts: list[HostUse]) -> Listing:
    from bayplan.units import show_bytes

    numbers = ("replicas", "cores", "", "memory", "")
    rows = table("host", *numbers, right=numbers)
    for h in hosts:
        cores = f"{h.cpus.used:.2f} of {h.cpus.total:g}"
        memory = f"{show_bytes(h.memory.used)} of {show_bytes(h.memory.total)}"
        rows.add_row(h.host, str(h.replicas), cores, _of(h.cpus), memory, _of(h.memory))
    return rows


def _of(share: Share) -> str:
    return _share(share.used, share.total)


def _share(used: float, total: float) -> str:
    """A percentage, coloured when there is little left."""
    if not total:
        return "-"
    share = used / total
    style = "red" if share >= FULL else "yellow" if share >= HIGH else "green"
    return f"[{style}]{share:.0%}[/]"
