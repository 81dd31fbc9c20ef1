"""`bayplan balancer`"""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from bayplan.cli.options import FleetFile, Json

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.tree import Tree

    from bayplan.operate.balancer import EndpointView, GatewayView, ListenerView, PoolView, RouteView

app = typer.Typer(no_args_is_help=True, help="What clients reach.")

STYLES = {"ready": "green", "drain": "yellow", "maint": "dim"}


@app.callback()
def balancer() -> None:
    """What clients reach."""


@app.command()
def show(fleet: FleetFile = None, json: Json = False) -> None:
    """Show each gateway's listeners, where their requests go, and how every endpoint stands."""
    from bayplan.cli.console import out, show_json
    from bayplan.cli.session import on_fleet, read_fleet
    from bayplan.operate.balancer import show as shown

    found = on_fleet(read_fleet(fleet), shown)
    if json:
        show_json(found)
        return
    console = out()
    console.print(f"fleet [bold]{found.fleet}[/], clients dial [cyan]{found.address}[/]\n")
    for view in found.hosts:
        console.print(_gateway(view))


def _gateway(view: GatewayView) -> Tree:
    from rich.markup import escape
    from rich.tree import Tree

    role = ", balancer" if view.balancer else ""
    mark = "[green]in step[/]" if view.state == "running" and view.in_step else f"[yellow]{escape(view.why)}[/]"
    tree = Tree(f"[bold]{view.host}[/] {view.address}{role}: {mark}", guide_style="dim")
    shown: set[str] = set()
    pools = {p.name: p for p in view.pools}
    for listener in view.listeners:
        branch = tree.add(f"[cyan]{listener.address or '*'}:{listener.port}[/] {listener.mode}")
        for route in listener.routes:
            _add_route(branch, listener, route, pools.get(route.pool), shown)
    for name, pool in pools.items():
        if name not in shown:
            tree.add(f"{_title(pool)}  [dim]no listener leads to it[/]").add(_endpoints(pool))
    return tree


def _add_route(branch: Tree, listener: ListenerView, route: RouteView, pool: PoolView | None, shown: set[str]) -> None:
    hosts = ", ".join(route.hosts) or "any host"
    which = f"{hosts} {route.path} → " if listener.mode == "http" else "→ "
    if pool is None:
        branch.add(f"{which}[red]{route.pool}, which is not there[/]")
    elif route.pool in shown:
        branch.add(f"{which}{_title(pool)}  [dim]as above[/]")
    else:
        shown.add(route.pool)
        branch.add(f"{which}{_title(pool)}").add(_endpoints(pool))


def _title(pool: PoolView) -> str:
    sticky = ", sticky" if pool.sticky else ""
    takes = sum(e.takes_traffic for e in pool.endpoints)
    style = "green" if takes else "red"
    stand = f"[{style}]{takes} of {len(pool.endpoints)} take traffic[/]"
    return f"[bold]{pool.name}[/] {stand} [dim]({pool.check} check{sticky})[/]"


def _endpoints(pool: PoolView) -> RenderableType:
    from bayplan.cli.console import table

    if not pool.endpoints:
        return "[red]no endpoint[/]"
    rows = table("replica", "endpoint", "state", "check", "sessions", "since", right={"sessions", "since"})
    for e in pool.endpoints:
        rows.add_row(*_row(e))
    return rows


def _row(e: EndpointView) -> tuple[str, ...]:
    from bayplan.units import show_seconds

    state = f"[{STYLES[e.state]}]{e.state}[/]"
    return (e.name, e.endpoint, state, _check(e), str(e.sessions), show_seconds(e.since))


def _check(e: EndpointView) -> str:
    if e.up is None:
        return "[dim]not yet[/]"
    said = e.check or ("up" if e.up else "down")
    return f"[{'green' if e.up else 'red'}]{said}[/]"
