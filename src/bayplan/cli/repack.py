"""`bayplan repack`"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.options import Files, FleetFile, Json, Wait, WaitTimeout, patience

if TYPE_CHECKING:
    from rich.console import Console

    from bayplan.operate.repack import Done
    from bayplan.plan.repack import Repack
    from bayplan.spec.model import Fleet


def repack(
    most: Annotated[
        int | None, typer.Option("--max-moves", metavar="N", min=1, help="Move so many replicas at most.")
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do it; without, it is only shown.")] = False,
    files: Files = None,
    fleet: FleetFile = None,
    wait: Wait = False,
    wait_timeout: WaitTimeout = None,
    json: Json = False,
) -> None:
    """Make room: move replicas so that hosts become empty. Shows what it would do; with --yes, does it.

    One host at a time; each replica starts in its new place first, and the old one goes once that serves.
    """
    from bayplan.cli.console import out, show_json
    from bayplan.cli.session import on_fleet, read_fleet
    from bayplan.operate.repack import as_json, propose

    where = read_fleet(fleet, files)
    found = on_fleet(where, lambda ports: propose(ports, most))
    if not json:
        _tell(found, out())
    done = None
    if yes and found.moves:
        done = _do(found, where, most, patience(wait, wait_timeout), quiet=json)
    if json:
        show_json(as_json(found, done))
    elif done is None and found.moves:
        out().print("nothing was moved; to do it: [bold]bayplan repack --yes[/]")
    if done is not None:
        _end(done, json=json)


def _do(found: Repack, where: Fleet, most: int | None, seconds: float, *, quiet: bool) -> Done:
    from bayplan.cli.progress import Progress
    from bayplan.cli.session import on_fleet
    from bayplan.operate.bring import Wishes
    from bayplan.operate.repack import carry_out

    with Progress(None, quiet=quiet) as progress:
        return on_fleet(
            where, lambda ports: carry_out(ports, found, most, Wishes(patience=seconds), progress), progress.slow
        )


def _end(done: Done, *, json: bool) -> None:
    """Tell it, and leave with its exit status."""
    from bayplan.cli.console import err, out
    from bayplan.cli.report import exit_status, tell_problems

    if not json:
        for result in done.results:
            tell_problems(result, err())
    status = max((exit_status(result) for result in done.results), default=0)
    if status:
        raise typer.Exit(status)
    if not json:
        hosts = " and ".join(done.repack.emptied)
        out().print(f"[green]✓[/] [bold]{hosts}[/] stand{'s' if len(done.repack.emptied) == 1 else ''} empty now")


def _tell(found: Repack, console: Console) -> None:
    from rich.markup import escape

    from bayplan.plan.repack import by_origin

    for host, moves in by_origin(found.moves):
        console.print(f"[bold]{host}[/] becomes empty in {len(moves)} move{'' if len(moves) == 1 else 's'}")
        for move in moves:
            name = f"{move.app}/{move.service}-{move.slot}"
            console.print(f"  {escape(name)}  → [bold]{move.target}[/]  [dim]{escape(move.why)}[/]")
    for kept in found.kept:
        console.print(f"[dim]{kept.host} stays in use: {escape(kept.why)}[/]")
    before, after = len(found.used), len(found.used) - len(found.emptied)
    if not found.moves:
        console.print(
            f"[green]✓[/] nothing to move: {before} host{'' if before == 1 else 's'} in use, and none can be emptied"
        )
        return
    (cpus, memory), (cpus_after, memory_after) = found.reserved, found.after
    shares = f"cores reserved {cpus:.0%} → {cpus_after:.0%}, memory {memory:.0%} → {memory_after:.0%}"
    console.print(f"hosts in use [bold]{before} → {after}[/]; on them, {shares}")
    them = "it" if len(found.emptied) == 1 else "them"
    console.print(f"[bold]{', '.join(found.emptied)}[/] can be given back: take {them} out of fleet.yaml")
