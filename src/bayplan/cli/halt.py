"""`bayplan stop`, `bayplan start` and `bayplan restart`: asked in the same words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from bayplan.cli.options import AssumeDown, Files, FleetFile, Json, Project, Services, Wait, WaitTimeout, patience


def _verb(verb: Literal["stop", "start", "restart"], sentence: str) -> Callable[..., None]:
    """The command of that name. sentence: what it does, for `--help`."""

    def command(
        services: Services = None,
        files: Files = None,
        project: Project = None,
        fleet: FleetFile = None,
        assume_down: AssumeDown = None,
        wait: Wait = False,
        wait_timeout: WaitTimeout = None,
        json: Json = False,
    ) -> None:
        from bayplan.cli.report import carry_out
        from bayplan.cli.session import read_name
        from bayplan.operate import halt
        from bayplan.operate.bring import Wishes

        work = {"stop": halt.stop, "start": halt.start, "restart": halt.restart}[verb]
        name, where = read_name(files, project, fleet)
        chosen = frozenset(services) if services else None
        wishes = Wishes(chosen, frozenset(assume_down or ()), patience=patience(wait, wait_timeout))
        carry_out(where, name, lambda ports, on: work(ports, name, wishes, on), json=json)

    command.__name__, command.__doc__ = verb, sentence
    return command


stop = _verb("stop", "Drain the services and stop them; their containers stay. They come back with `start`, or `up`.")
start = _verb("start", "Start services that were stopped.")
restart = _verb(
    "restart", "Restart the services' replicas, a few at a time: drained first, back in traffic before the next."
)
