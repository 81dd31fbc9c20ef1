"""`python -m bench [--only scale,ps] [--runs 3]`: measure, print a table, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import get_args

from bayplan.lab import EngineKind
from bench import machine, report
from bench.metrics import Figure
from bench.operations.quiet import busy
from bench.scenarios import apps, calls, change, scale, throughput, verbs
from bench.stage import Stage, stage

SCENARIOS: dict[str, Callable[[Stage, int], Iterator[Figure]]] = {
    "scale": scale.measure,
    "throughput": throughput.measure,
    "removal": change.removal,
    "up": verbs.up,
    "ps": verbs.ps,
    "help": verbs.help_,
    "release": change.release,
    "calls": calls.measure,
    "changes": calls.changes,
    "moved": calls.moved,
    "many": apps.many,
    "sixty": apps.sixty,
}
COMMAND = "make bench"


def main() -> None:
    """Exit status 0 also when a target is missed: the table and the last line say so."""
    asked = _arguments().parse_args()
    signal.signal(signal.SIGTERM, _end)
    try:
        figures, where = _measure(asked.only, asked.runs, asked.lab, asked.engine, keep=asked.keep)
    except KeyboardInterrupt:
        sys.exit(130)
    print(f"\n{report.table(figures)}\n\n{report.verdict(figures)}")
    if set(asked.only) == set(SCENARIOS):
        report.write(figures, where, COMMAND, f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC")
    else:
        print("(a part of the benchmarks: docs/benchmarks.md stays as it is)")


def _measure(
    only: Sequence[str], runs: int, lab: str, engine: EngineKind, *, keep: bool
) -> tuple[list[Figure], dict[str, str]]:
    others = f"{busy():.0%} of its cores"
    with stage(lab, engine, _say, keep=keep) as here:
        where = {**machine.facts(here.lab), "busy with other work as it began": others}
        where["HAProxy"] = machine.haproxy(here.lab, f"bayplan-gateway-{lab}")
        return [figure for name in SCENARIOS if name in only for figure in SCENARIOS[name](here, runs)], where


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    names = ", ".join(SCENARIOS)
    parser.add_argument("--only", type=_names, default=list(SCENARIOS), metavar="A,B", help=f"of these: {names}")
    parser.add_argument("--runs", type=int, default=5, help="rounds of what is compared (5)")
    parser.add_argument("--lab", default="bench", help="the lab's name, if another run is under way (bench)")
    parser.add_argument("--engine", choices=get_args(EngineKind), default="debian12", help="the hosts' (debian12)")
    parser.add_argument("--keep", action="store_true", help="leave the lab up for the next run")
    return parser


def _names(text: str) -> list[str]:
    names = text.split(",")
    unknown = sorted(set(names) - set(SCENARIOS))
    if unknown:
        raise argparse.ArgumentTypeError(f"no such benchmark: {', '.join(unknown)}")
    return names


_BEGUN = time.monotonic()


def _say(text: str) -> None:
    print(f"{time.monotonic() - _BEGUN:6.1f} s  {text}", flush=True)


def _end(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
