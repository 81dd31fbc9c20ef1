"""`bayplan lab`: a fleet of real hosts on this machine."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.options import Json

if TYPE_CHECKING:
    from bayplan.lab import Lab, LabStatus

app = typer.Typer(no_args_is_help=True, help="A fleet of real hosts on this machine (Linux, root).")

Name = Annotated[str, typer.Option("--name", help="Which lab; several can stand side by side.")]


class Engine(StrEnum):
    """Which engine the hosts run."""

    debian12 = "debian12"
    debian13 = "debian13"


class FaultKind(StrEnum):
    """What `lab fault` can do."""

    cut = "cut"
    heal = "heal"
    kill_engine = "kill-engine"
    start_engine = "start-engine"
    slow = "slow"


DONE = {
    FaultKind.cut: "its link is cut",
    FaultKind.heal: "its link is whole again",
    FaultKind.kill_engine: "its engine is killed",
    FaultKind.start_engine: "its engine is started",
    FaultKind.slow: "its link is slow",
}


@app.command()
def up(
    hosts: Annotated[int, typer.Option("--hosts", metavar="N", help="How many.")] = 3,
    name: Name = "lab",
    engine: Annotated[Engine, typer.Option(help="Docker 20.10 (debian12) or 26.1 (debian13).")] = Engine.debian12,
    directory: Annotated[
        Path | None, typer.Option("--dir", help="Where fleet.yaml goes.", show_default=".bayplan/labs/NAME")
    ] = None,
) -> None:
    """Make a lab of real hosts, or mend one that is there."""
    from bayplan import lab
    from bayplan.cli.lab_progress import Progress

    with Progress() as progress:
        made = lab.up(name, hosts, engine.value, directory, progress.say)
    _what_next(made)


def _what_next(lab: Lab) -> None:
    from rich.console import Console

    named = "" if lab.name == "lab" else f" --name {lab.name}"
    out = Console(highlight=False, soft_wrap=True)
    out.print(f"\n[bold green]Lab '{lab.name}' is up:[/] {lab.count} hosts in {_nice(lab.fleet_file)}\n")
    for command, why in (
        (f"export BAYPLAN_FLEET={lab.fleet_file}", "work with this fleet"),
        ("bayplan up", "in a directory with a compose.yaml: run it there"),
        (f"ssh -F {_nice(lab.ssh_config)} h1", "look around on a host"),
        (f"bayplan lab fault cut h2{named}", "pull a host's cable (heal mends it)"),
        (f"bayplan lab down{named}", "remove every trace"),
    ):
        out.print(f"  [cyan]{command}[/]\n      [dim]{why}[/]")


def _nice(path: Path) -> Path:
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@app.command()
def down(
    name: Name = "lab",
    everything: Annotated[bool, typer.Option("--all", help="Every lab on this machine.")] = False,
) -> None:
    """Remove a lab: namespaces, processes, mounts, rules, files."""
    from bayplan import lab

    gone = lab.down_all() if everything else [name] if lab.down(name) else []
    typer.echo(f"Removed lab {', '.join(gone)}." if gone else "No lab was up.")


@app.command()
def status(name: Name = "lab", json: Json = False) -> None:
    """Show a lab's hosts, engines and mirror."""
    from bayplan import lab
    from bayplan.cli.console import show_json

    found = lab.status(name)
    show_json(found) if json else _status_table(found)


def _status_table(found: LabStatus) -> None:
    from bayplan.cli.console import out, table

    rows = table("host", "state", "engine", "private", "public", "zone")
    for host in found.hosts:
        colour = "green" if host.state == "up" else "red"
        rows.add_row(
            host.host, f"[{colour}]{host.state}[/]", host.engine or "-", host.private_ip, host.public_ip, host.zone
        )
    mirror = "up" if found.mirror else "[red]down[/]"
    out().print(f"[bold]{found.lab}[/]: {found.fleet_file}, Docker Hub mirror {mirror}")
    out().print(rows)


@app.command()
def fault(
    kind: Annotated[FaultKind, typer.Argument(metavar="KIND", help=f"What happens to it: {', '.join(FaultKind)}.")],
    host: Annotated[str, typer.Argument(help="Which: h1, h2, …")],
    name: Name = "lab",
    rate: Annotated[str, typer.Option(help="Of slow: how much its links carry, as tc(8) spells it.")] = "1mbit",
) -> None:
    """Break a host on purpose, or mend it: cut or slow its link (heal mends both), kill or start its engine."""
    from bayplan import lab

    lab.find(name).fault(kind.value, host, rate)
    typer.echo(f"{host}: {DONE[kind]}")


def main() -> None:
    """`python -m bayplan.cli.lab`."""
    from bayplan.errors import BayplanError

    try:
        app()
    except BayplanError as failed:
        typer.secho(str(failed), fg="red", err=True)
        sys.exit(failed.exit_status)


if __name__ == "__main__":
    main()
