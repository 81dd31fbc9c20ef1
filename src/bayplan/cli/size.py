"""`bayplan size`"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from bayplan.cli.options import Files, FleetFile, Json, Profiles, Project

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from rich.console import Console

    from bayplan.operate.size.answer import Answer
    from bayplan.operate.size.measured import Measured
    from bayplan.operate.size.reading import Asked

_FILES = "CSV files, in place of the app and its fleet"
_AS_FLEET = "the fleet file's, or none"


def size(
    services: Annotated[
        Path | None,
        typer.Option(metavar="CSV", help="service,replicas,RESOURCE,… per replica.", rich_help_panel=_FILES),
    ] = None,
    hosts: Annotated[
        Path | None, typer.Option(metavar="CSV", help="type,count,price,RESOURCE,…", rich_help_panel=_FILES)
    ] = None,
    usage: Annotated[
        Path | None, typer.Option(metavar="CSV", help="service,resource,v0,v1,… over the day.", rich_help_panel=_FILES)
    ] = None,
    apart: Annotated[
        Path | None, typer.Option(metavar="CSV", help="service,other,limit: at most so many.", rich_help_panel=_FILES)
    ] = None,
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    profile: Profiles = None,
    measured: Annotated[
        bool, typer.Option("--measured", help="Count what replicas use, not what the file reserves.")
    ] = False,
    window: Annotated[
        str, typer.Option(metavar="TIME", help="Measure so long first; 0s: only what is kept of the last week.")
    ] = "60s",
    tolerate: Annotated[
        int | None, typer.Option(metavar="N", min=0, help="Hosts that may be lost at once.", show_default=_AS_FLEET)
    ] = None,
    headroom: Annotated[
        str | None,
        typer.Option(metavar="SHARE", help="How much of every host to keep free: 20%.", show_default=_AS_FLEET),
    ] = None,
    seconds: Annotated[float, typer.Option(metavar="SECONDS", min=0, help="How long it may search.")] = 20.0,
    effort: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Search so much, for the same answer on any machine.", show_default="200,000"
        ),
    ] = None,
    placement: Annotated[
        Path | None, typer.Option(metavar="CSV", help="Write host,type,service,replicas.", rich_help_panel=_FILES)
    ] = None,
    svg: Annotated[
        Path | None, typer.Option(metavar="SVG", help="Draw it, before beside after.", rich_help_panel=_FILES)
    ] = None,
    write_usage: Annotated[
        Path | None,
        typer.Option(
            "--write-usage",
            metavar="CSV",
            help="With --measured: write each hour's, for the fleet file's usage.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """How few hosts would this need? Packs services onto hosts and proves how close to the fewest that is."""
    import time

    from bayplan.cli.console import out, show_json
    from bayplan.operate.size.answer import answer, placement_csv
    from bayplan.plan.packing.pack import EFFORT

    used: Mapping[str, Measured] = {}
    if write_usage is not None and not measured:
        from bayplan.errors import UsageError

        raise UsageError("--write-usage writes what was measured", todo="add --measured")
    if services is hosts is usage is apart is None:
        asked, used = _of_fleet(
            files, project, fleet, profile, _percent(headroom), tolerate, _seconds(window) if measured else None,
            write_usage,
        )  # fmt: skip
    elif measured:
        from bayplan.errors import UsageError

        raise UsageError("--measured is of a fleet that runs, not of CSV files", todo="leave one of them out")
    else:
        asked = _of_files(services, hosts, usage, apart, _percent(headroom) or 0.0, tolerate or 0)
    begun = time.monotonic()
    found = answer(asked, effort=effort or EFFORT, seconds=seconds, clock=lambda: time.monotonic() - begun)
    if placement is not None:
        _write(placement, placement_csv(found.packing, asked.hosts))
    if svg is not None:
        from bayplan.cli.size_picture import picture

        _write(svg, picture(found))
    if json:
        show_json(found.as_json() | ({"measured": [*used.values()]} if measured else {}))
    else:
        _tell(found, out())
        _tell_measured(used.values(), out())


def _of_files(
    services: Path | None, hosts: Path | None, usage: Path | None, apart: Path | None, headroom: float, tolerate: int
) -> Asked:
    from bayplan.errors import UsageError
    from bayplan.operate.size.reading import Files as Written
    from bayplan.operate.size.reading import read_problem

    if services is None or hosts is None:
        raise UsageError("--services and --hosts belong together", todo="name both CSV files")
    return read_problem(Written(services, hosts, usage, apart), headroom=headroom, tolerate=tolerate)


def _of_fleet(
    files: list[Path] | None,
    project: str | None,
    fleet: Path | None,
    profiles: list[str] | None,
    headroom: float | None,
    tolerate: int | None,
    window: float | None,
    write_usage: Path | None,
) -> tuple[Asked, Mapping[str, Measured]]:
    """Of the app and its fleet; what is not asked for is as the fleet file says. window: seconds, or None."""
    import time

    from bayplan.cli.session import on_fleet, read_both
    from bayplan.operate.size.fleet import ask_fleet
    from bayplan.ports import FleetPorts

    app, where = read_both(files, project, fleet, profiles)
    keep = where.headroom if headroom is None else headroom
    lose = where.tolerate if tolerate is None else tolerate

    async def ask(ports: FleetPorts) -> tuple[Asked, Mapping[str, Measured]]:
        if window is None:
            return await ask_fleet(ports, app, headroom=keep, tolerate=lose), {}
        from bayplan.operate.size.measured import kept, measured, over_day, sample, usage_csv
        from bayplan.wiring import usage_store

        store = usage_store(where)
        await sample(ports, app.name, store, window, time.time)
        samples = await kept(store, app, time.time())
        used, usage = measured(samples, app), over_day(samples, app)
        if write_usage is not None:
            _write(write_usage, usage_csv(usage))
        return await ask_fleet(ports, app, headroom=keep, tolerate=lose, usage=usage), used

    return on_fleet(where, ask)


def _seconds(written: str) -> float:
    from bayplan.errors import UsageError
    from bayplan.units import parse_duration

    try:
        return parse_duration(written)
    except ValueError as error:
        raise UsageError(f"--window: {error}") from error


def _percent(written: str | None) -> float | None:
    from bayplan.errors import UsageError
    from bayplan.units import parse_percent

    try:
        return None if written is None else parse_percent(written)
    except ValueError as error:
        raise UsageError(f"--headroom: {error}") from error


def _write(path: Path, text: str) -> None:
    from bayplan.errors import UsageError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"cannot be written: {error.strerror}", where=str(path)) from error


def _tell(found: Answer, console: Console) -> None:
    from rich.table import Table

    after, before = found.after, found.before
    table = Table(box=None, pad_edge=False)
    for column in ("", "one service a host", "packed"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("hosts", f"{before.hosts:,}", f"[bold]{after.hosts:,}[/]")
    for name in dict.fromkeys((*before.by_type, *after.by_type)):
        table.add_row(f"  {name}", f"{before.by_type.get(name, 0):,}", f"{after.by_type.get(name, 0):,}")
    table.add_row("cost", f"{before.cost:,.10g}", f"[bold]{after.cost:,.10g}[/]")
    for resource in after.use:
        table.add_row(f"{resource} in use", f"{before.use.get(resource, 0):.0%}", f"{after.use[resource]:.0%}")
    console.print(table)
    console.print()
    for line in _proof(found):
        console.print(line)
    console.print(f"[dim]{found.seconds:.1f} s, {found.packing.method}[/]")


def _proof(found: Answer) -> list[str]:
    from rich.markup import escape

    packing = found.packing
    lines = [f"no fleet has fewer than [bold]{packing.fewest.value:,.0f}[/] hosts: {escape(packing.fewest.why)}"]
    if packing.cheapest.value != packing.fewest.value:
        lines.append(f"none costs less than [bold]{packing.cheapest.value:,.10g}[/]: {escape(packing.cheapest.why)}")
    if found.gap:
        lines.append(f"this one is at most [bold]{found.gap:.1%}[/] above the best possible")
    else:
        lines.append("[green]✓[/] this is the best possible")
    tolerate = found.problem.tolerate
    if tolerate:
        what = "any one host" if tolerate == 1 else f"any {tolerate} hosts"
        lines.append(f"[green]✓[/] with {what} lost, all of it still fits on the rest")
    return lines


def _tell_measured(used: Iterable[Measured], console: Console) -> None:
    from rich.markup import escape

    from bayplan.units import show_bytes

    for m in used:
        mark = "[green]✓[/]" if m.verdict == "fits" else "[yellow]![/]"
        reserves = f"reserves {m.reserved_cpus:g} cores and {show_bytes(m.reserved_memory)}"
        reserves = "reserves nothing" if m.verdict == "nothing reserved" else reserves
        told = f"{reserves}, uses {m.cpus:.3g} and {show_bytes(m.memory)} ({m.samples} samples)"
        advice = "" if m.verdict == "fits" else f": {m.suggested_cpus:g} and {show_bytes(m.suggested_memory)} would do"
        advice = advice.replace("would do", "are needed") if m.verdict == "too little" else advice
        console.print(f"{mark} [bold]{escape(m.service)}[/] {told}{advice}")
