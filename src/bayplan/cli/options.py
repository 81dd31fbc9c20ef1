"""Options that several verbs share, once."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import typer

from bayplan.cli.complete import host_names, service_names

Files = Annotated[
    list[Path] | None,
    typer.Option(
        "-f", "--file", metavar="FILE", help="Compose file; several merge in order.", show_default="compose.yaml"
    ),
]
Project = Annotated[
    str | None, typer.Option("-p", "--project-name", help="The app's name.", show_default="the file's, or the folder's")
]
FleetFile = Annotated[
    Path | None,
    typer.Option(
        "--fleet",
        metavar="FILE",
        envvar="BAYPLAN_FLEET",
        help="Fleet file.",
        show_default="fleet.yaml, or this machine",
    ),
]
Profiles = Annotated[
    list[str] | None,
    typer.Option("--profile", metavar="NAME", help="Also the services of this profile; '*': of all."),
]
Services = Annotated[
    list[str] | None,
    typer.Argument(metavar="SERVICE", help="Only these services.", show_default="all", autocompletion=service_names),
]
Build = Annotated[bool, typer.Option("--build", help="Build images even if nothing in them changed.")]
Pull = Annotated[bool, typer.Option("--pull", help="Look tags up again, even if they were before.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON; its shape is documented and stable.")]
AssumeDown = Annotated[
    list[str] | None,
    typer.Option(
        "--assume-down",
        metavar="HOST",
        help="This host is gone for good, with what stood on it.",
        autocompletion=host_names,
    ),
]
Wait = Annotated[bool, typer.Option("--wait", help="If somebody else is changing the fleet, wait until they are done.")]
WaitTimeout = Annotated[
    float | None, typer.Option("--wait-timeout", metavar="SECONDS", help="As --wait, for so long at most.")
]

Interactive = Annotated[bool, typer.Option("-i", "--interactive", help="Pass standard input on (default).")]
Tty = Annotated[bool, typer.Option("-t", "--tty", help="With a terminal (default when this is one).")]
NoTty = Annotated[bool, typer.Option("-T", "--no-tty", help="Without a terminal.")]
Env = Annotated[
    list[str] | None, typer.Option("-e", "--env", metavar="NAME[=VALUE]", help="Set, or pass on, a variable.")
]


def variables(env: Sequence[str] | None, here: Mapping[str, str]) -> dict[str, str]:
    """NAME alone passes on what it is here; one that is not set here is left as it is there."""
    split = (text.partition("=") for text in env or ())
    return {name: value if sign else here[name] for name, sign, value in split if sign or name in here}


def patience(wait: bool, timeout: float | None) -> float:
    """Seconds to wait for another operator."""
    if timeout is not None:
        return max(timeout, 0.0)
    return float("inf") if wait else 0.0


def bare(command: Sequence[str]) -> list[str]:
    """Without the `--` that other tools want before it; no program has that name."""
    return list(command[1:] if command[:1] == ["--"] else command)


def terminal(tty: bool, no_tty: bool) -> bool:
    """Whether a command is to have one. Raises UsageError if it is asked for and there is none."""
    if tty and not sys.stdin.isatty():
        from bayplan.errors import UsageError

        raise UsageError("-t needs a terminal, and standard input is none", todo="leave -t out, or use -T")
    return (tty or (sys.stdin.isatty() and sys.stdout.isatty())) and not no_tty
