"""`bayplan scale`"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from bayplan.cli.complete import service_counts
from bayplan.cli.options import AssumeDown, Files, FleetFile, Json, Project, Wait, WaitTimeout, patience


def scale(
    counts: Annotated[
        list[str],
        typer.Argument(metavar="SERVICE=N", help="How many replicas of which service.", autocompletion=service_counts),
    ],
    files: Files = None,
    project: Project = None,
    fleet: FleetFile = None,
    assume_down: AssumeDown = None,
    wait: Wait = False,
    wait_timeout: WaitTimeout = None,
    json: Json = False,
) -> None:
    """Change how many replicas a service has. The next `up` goes back to what the file says."""
    from bayplan.cli.report import carry_out
    from bayplan.cli.session import read_name
    from bayplan.operate.bring import Wishes
    from bayplan.operate.bring import scale as bring

    wanted = _counts(counts)
    name, where = read_name(files, project, fleet)
    wishes = Wishes(assume_down=frozenset(assume_down or ()), patience=patience(wait, wait_timeout))
    carry_out(where, name, lambda ports, on: bring(ports, name, wanted, wishes, on), json=json)


def _counts(texts: Sequence[str]) -> dict[str, int]:
    """Raises UsageError for what is none, and for a service that is named twice."""
    from bayplan.errors import UsageError

    wanted = dict[str, int]()
    for service, count in map(_count, texts):
        if wanted.setdefault(service, count) != count:
            raise UsageError(f"{service} is to be {wanted[service]} and {count}", todo="name each service once")
    return wanted


def _count(text: str) -> tuple[str, int]:
    from bayplan.errors import UsageError

    service, sign, number = text.partition("=")
    if not (service and sign and number.isdecimal()):
        raise UsageError(f"{text!r} is not SERVICE=N", todo="for example: bayplan scale web=12")
    return service, int(number)
