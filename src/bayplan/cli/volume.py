"""`bayplan volume`"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.complete import host_names, volume_names
from bayplan.cli.options import Files, FleetFile, Json, Project, Wait, WaitTimeout, patience

if TYPE_CHECKING:
    from bayplan.operate.volume_data import Copied, OnBytes

SILENCE = 5.0  # seconds without a line, where there is no terminal

app = typer.Typer(no_args_is_help=True, help="The app's volumes: where they are, backup, restore, move.")

Name = Annotated[
    str, typer.Argument(help="Its key in the Compose file, or its name on the host.", autocompletion=volume_names)
]
OnHost = Annotated[
    str | None,
    typer.Option("--host", help="Where it is, if several hosts have one of that name.", autocompletion=host_names),
]


@app.command("ls")
def ls(files: Files = None, project: Project = None, fleet: FleetFile = None, json: Json = False) -> None:
    """List the app's volumes: on which host each is, and what mounts it."""
    from bayplan.cli.console import err, out, show_json, table
    from bayplan.cli.session import on_fleet, read_name, written_volumes
    from bayplan.operate.volumes import volumes

    name, where = read_name(files, project, fleet)
    written = written_volumes(files, project, fleet)
    known = on_fleet(where, lambda ports: volumes(ports, name, written))
    found = tuple(known.views())
    if json:
        show_json({"volumes": found, "unknown": known.unknown})
        return
    from rich.markup import escape

    rows = table("volume", "name", "host", "mounted by")
    for view in found:
        mounted = " ".join(view.used_by) or ("[red]an unfinished copy[/]" if view.unfinished else "[dim]nothing[/]")
        rows.add_row(view.volume or "-", view.name, view.host, mounted)
    out().print(rows if found else "[dim]no volumes[/]")
    for host, why in known.unknown.items():
        err().print(f"[yellow]![/] what {host} has is not known: {escape(why)}")


@app.command("backup")
def backup(
    volume: Name,
    file: Annotated[Path, typer.Argument(help="The tar (or .tar.gz, .tar.xz) to write; its checksum goes beside it.")],
    host: OnHost = None,
    live: Annotated[bool, typer.Option("--live", help="Do not freeze what writes to it meanwhile.")] = False,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    json: Json = False,
) -> None:
    """Copy a volume into a tar file on this machine. What mounts it stands still meanwhile."""
    from bayplan.cli.session import on_fleet, read_name, written_volumes
    from bayplan.operate.backup import backup as back_up

    name, where = read_name(files, project, fleet)
    written = written_volumes(files, project, fleet)
    with _Bytes(quiet=json) as on:
        done = on_fleet(
            where, lambda ports: back_up(ports, name, volume, file, on, written=written, host=host, live=live)
        )
    _tell(done, f"{done.name} of {done.host} is in {file}", json=json)


@app.command("restore")
def restore(
    volume: Name,
    file: Annotated[Path, typer.Argument(help="A tar that `backup` wrote, or any other, packed or not.")],
    host: Annotated[str, typer.Option("--host", help="The host that is to have it.", autocompletion=host_names)],
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    json: Json = False,
) -> None:
    """Make a volume on a host of a tar file, read it back, and compare. Its service starts there with the next `up`."""
    from bayplan.cli.session import on_fleet, read_name, written_volumes
    from bayplan.operate.backup import restore as put_back

    name, where = read_name(files, project, fleet)
    written = written_volumes(files, project, fleet)
    with _Bytes(quiet=json) as on:
        done = on_fleet(where, lambda ports: put_back(ports, name, volume, file, host, on, written=written))
    _tell(done, f"{done.name} is on {done.host}", json=json)


@app.command("move")
def move(
    volume: Name,
    to: Annotated[
        str, typer.Option("--to", metavar="HOST", help="The host that is to have it.", autocompletion=host_names)
    ],
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    wait: Wait = False,
    wait_timeout: WaitTimeout = None,
    json: Json = False,
) -> None:
    """Move a volume, and the services that live with it: they stop, it is copied and compared, they start there."""
    from bayplan.cli.progress import Progress
    from bayplan.cli.report import finish
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.operate.bring import Wishes
    from bayplan.operate.move import move as move_volume

    name, where = read_name(files, project, fleet)
    wishes = Wishes(patience=patience(wait, wait_timeout))
    with Progress(name, quiet=json) as progress, _Bytes(quiet=json, within=True) as on:
        done, result = on_fleet(
            where, lambda ports: move_volume(ports, name, volume, to, wishes, progress, on), progress.slow
        )
    if not json:
        _tell(done, f"{done.name} is on {done.host}", json=False)
    finish(result, progress, json=json)


@app.command("rm")
def rm(
    volume: Name,
    host: OnHost = None,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    json: Json = False,
) -> None:
    """Remove a volume that nothing mounts, with all that is in it."""
    from bayplan.cli.console import out, show_json
    from bayplan.cli.session import on_fleet, read_name, written_volumes
    from bayplan.operate.volume_data import remove

    name, where = read_name(files, project, fleet)
    written = written_volumes(files, project, fleet)
    gone, at = on_fleet(where, lambda ports: remove(ports, name, volume, host, written))
    if json:
        show_json({"name": gone, "host": at})
    else:
        out().print(f"[green]✓[/] {gone} is gone from {at}")


class _Bytes:
    """How far it is: live on a terminal, else a line now and then. within: something else has the terminal."""

    def __init__(self, *, quiet: bool, within: bool = False) -> None:
        from bayplan.cli.console import err

        console = err()
        self._quiet = quiet or (within and console.is_terminal)
        self._status = console.status("") if console.is_terminal and not self._quiet else None
        self._began = self._told = time.monotonic()
        self._what = ""

    def __enter__(self) -> OnBytes:
        if self._status:
            self._status.start()
        return self._tell

    def _tell(self, what: str, done: int) -> None:
        from bayplan.units import show_bytes

        if self._status:
            self._status.update(f"{what} {show_bytes(done)}")
        elif not self._quiet and self._is_due(what):
            self._told = time.monotonic()
            sys.stderr.write(f"{self._told - self._began:6.1f}s  {what}: {show_bytes(done)} so far\n")

    def _is_due(self, what: str) -> bool:
        """Counted from when that began."""
        if what != self._what:
            self._what, self._told = what, time.monotonic()
        return time.monotonic() - self._told >= SILENCE

    def __exit__(self, *_: object) -> None:
        if self._status:
            self._status.stop()


def _tell(done: Copied, what: str, *, json: bool) -> None:
    from bayplan.cli.console import out, show_json
    from bayplan.units import show_bytes

    if json:
        show_json(done)
    else:
        out().print(f"[green]✓[/] {what}: {done.files} entries, {show_bytes(done.bytes)}, sha256 {done.digest[:16]}…")
