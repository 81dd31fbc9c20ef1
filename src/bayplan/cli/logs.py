"""`bayplan logs`"""

from __future__ import annotations

import json as encoder
import os
import stat
import sys
import zlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bayplan.cli.options import FleetFile, Project, Services

if TYPE_CHECKING:
    from bayplan.facts import Replica
    from bayplan.operate.logs import Item, Line, Notice

# Of the terminal's 256 colours, those that can be read on black and on white, neighbours apart.
_PALETTE = (33, 166, 35, 163, 136, 38, 127, 71, 203, 63, 101, 167, 31, 172, 98, 65)


def logs(
    services: Services = None,
    files: Annotated[
        list[Path] | None,
        typer.Option("--file", metavar="FILE", help="Compose file (-f is --follow here).", show_default="compose.yaml"),
    ] = None,
    project: Project = None,
    fleet: FleetFile = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on with what comes, until Ctrl-C.")] = False,
    tail: Annotated[str, typer.Option("-n", "--tail", metavar="N|all", help="Last lines of each replica.")] = "all",
    since: Annotated[
        str,
        typer.Option(
            "--since", metavar="TIME", help="10m, 1h30m ago, or 2026-11-05T10:00:00Z.", show_default="the start"
        ),
    ] = "",
    timestamps: Annotated[bool, typer.Option("-t", "--timestamps", help="Begin each line with its time.")] = False,
    no_color: Annotated[bool, typer.Option("--no-color", help="No colour.")] = False,
    no_prefix: Annotated[bool, typer.Option("--no-log-prefix", help="Only what the replicas wrote.")] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON, an object a line; its shape is documented and stable.")
    ] = False,
) -> None:
    """Show what the replicas write: all hosts merged by time, each line with its replica and host.

    Lines of standard error have a heavy, red bar.
    """
    from bayplan.cli.console import out
    from bayplan.cli.session import on_fleet, read_name
    from bayplan.operate.logs import Wish, read
    from bayplan.operate.logs import follow as go_on

    wish = Wish(frozenset(services or ()), _tail(tail), _since(since))
    name, where = read_name(files, project, fleet)
    terminal = out()
    colour = not no_color and terminal.is_terminal and not terminal.no_color
    tell = _tell_json if json else Printer(colour, timestamps=timestamps, prefix=not no_prefix)
    if follow:
        on_fleet(where, lambda ports: _while_read(go_on(ports, name, wish, tell)), lambda _: None)  # it tells itself
    else:
        on_fleet(where, lambda ports: read(ports, name, wish, tell))


async def _while_read(work: Coroutine[Any, Any, None]) -> None:
    """`work`, until nobody reads the pipe below standard output: `logs -f | head -1` ends, though nothing more comes.

    Raises BrokenPipeError.
    """
    import asyncio

    loop, unread = asyncio.get_running_loop(), asyncio.Event()
    pipe = sys.stdout.fileno() if stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode) else None
    if pipe is not None:
        loop.add_reader(pipe, unread.set)  # a pipe's end for writing can be "read" once the other end is closed
    doing, waiting = asyncio.create_task(work), asyncio.create_task(unread.wait())
    try:
        await asyncio.wait((doing, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not doing.done():
            raise BrokenPipeError
        await doing
    finally:
        if pipe is not None:
            loop.remove_reader(pipe)
        doing.cancel()
        waiting.cancel()
        await asyncio.gather(doing, waiting, return_exceptions=True)


def _tail(text: str) -> int | None:
    from bayplan.errors import UsageError

    if text in {"all", "-1"}:
        return None
    if not text.isdecimal():
        raise UsageError(f"--tail {text}: not a number of lines", todo="for example: --tail 100, or --tail all")
    return int(text)


def _since(text: str) -> str:
    """The RFC 3339 time of "10m" (ago), or of a time, local if it has no zone; "" for none."""
    from datetime import UTC, datetime, timedelta

    from bayplan.errors import UsageError
    from bayplan.units import parse_duration

    if not text:
        return ""
    try:
        return (datetime.now(UTC) - timedelta(seconds=parse_duration(text))).isoformat()
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat()
    except ValueError as error:
        todo = "for example: --since 10m, or --since 2026-11-05T10:00:00Z"
        raise UsageError(f"--since {text}: neither a duration nor a time", todo=todo) from error


@dataclass(slots=True)
class Printer:
    """Lines for people. width: of the widest prefix so far, so that bars stand in one column."""

    colour: bool
    timestamps: bool = False
    prefix: bool = True
    width: int = 0

    def __call__(self, items: Sequence[Item]) -> None:
        """Raises BrokenPipeError when nobody reads any more."""
        from bayplan.operate.logs import Line

        lines = [i for i in items if isinstance(i, Line)]
        self.width = max((self.width, *(len(label(i.replica)) for i in lines)))
        sys.stdout.write("".join(self.line(i) for i in lines))
        sys.stdout.flush()
        for notice in items:
            if not isinstance(notice, Line):
                self._notice(notice)

    def line(self, line: Line) -> str:
        """One line as it is shown, its end included."""
        text = f"{line.time} {line.text}\n" if self.timestamps else f"{line.text}\n"
        if not self.prefix:
            return text
        name, bar = f"{label(line.replica):{self.width}}", "┃" if line.stream == "stderr" else "│"
        if not self.colour:
            return f"{name} {bar} {text}"
        alarm = "\x1b[31m" if line.stream == "stderr" else ""
        calm = "\x1b[0m" if "\x1b" in line.text else ""  # a colour that the program did not end is its own line's
        return f"\x1b[38;5;{colour_of(line.replica)}m{name} {alarm}{bar}\x1b[0m {text[:-1]}{calm}\n"

    def _notice(self, notice: Notice) -> None:
        text = f"! {notice.host}: {notice.text}"
        sys.stderr.write(f"\x1b[33m{text}\x1b[0m\n" if self.colour and sys.stderr.isatty() else f"{text}\n")
        sys.stderr.flush()


def label(replica: Replica) -> str:
    """`web-3 h2`: the slot stays when a rollout replaces the container."""
    return f"{replica.service}-{replica.slot} {replica.host}"


def colour_of(replica: Replica) -> int:
    """The same for a slot, whoever looks and whenever; neighbours differ."""
    return _PALETTE[(zlib.crc32(replica.service.encode()) + replica.slot) % len(_PALETTE)]


def _tell_json(items: Sequence[Item]) -> None:
    sys.stdout.write("".join(f"{encoder.dumps(as_json(i))}\n" for i in items))
    sys.stdout.flush()


def as_json(item: Item) -> dict[str, object]:
    """The shape of a line of `logs --json`."""
    from bayplan.operate.logs import Line

    if not isinstance(item, Line):
        return {"host": item.host, "notice": item.text}
    r = item.replica
    return {
        "time": item.time,
        "service": r.service,
        "replica": r.name,
        "slot": r.slot,
        "release": r.release,
        "host": r.host,
        "stream": item.stream,
        "text": item.text,
    }
