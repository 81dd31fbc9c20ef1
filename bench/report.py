"""A run told: a table on the terminal, JSON beside it, docs/benchmarks.md for readers."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from bench.metrics import Figure, Runs

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "bench/results/last.json"
PAGE = ROOT / "docs/benchmarks.md"

_HOW = """\
## What is compared, and how

Everything runs on one machine: three hosts of a `bayplan lab`, each with a Docker Engine of its own, wrk, and bayplan
itself share its cores. So the figures in seconds say little about your servers, and the ratios, measured in turn in the
same minutes, say more. Figures are medians of the runs listed. On few cores, other work weighs most on the one
process that bayplan is: the table of the machine tells how busy it was.

- **The replicas** are a small web server that answers from memory (`bench/web/`), 64 MiB and one core at most each.
- **scale** is timed from the start of the `bayplan` process to its end *and* until each of the 30 replicas has answered
  through the balancer.
- **The bare Engine API** creates and starts the same 27 containers: the bodies are read back from those that bayplan
  made, and sent over the engines' own UNIX sockets with nothing else to do. Several numbers of containers at once on a
  host are tried, and the best is the reference.
- **`docker service scale`** is Swarm mode on the same three engines, the same image and limits, host-mode ports; timed
  until its manager sees 30 tasks running (nothing stands before them, so nothing has to answer through anything). Its
  tasks are on Docker's default bridge. bayplan's replicas, and the bodies sent to the bare API, are on a network of the
  app's own, where names resolve: that alone makes starting a container cost its engine about a quarter more.
- **What is missed, and why.** Of what comes before the first container, most is Python: starting, and loading what the
  command runs (its own line in the table); the lock, a look at the hosts and the release are the rest. It is paid once
  a command, and weighs most where little is to be made (`03-many`). A process that stays between commands would save
  it, and is not made: [decision 34](decisions/0034-one-process-a-command.md). While containers are made, what bayplan
  adds to the bare API is the line "from then until the last has been started".
- **The hand-written HAProxy** is the same image on the same host, over the same endpoints, its configuration in
  `bench/operations/reference.py`; wrk asks one and then the other, from outside the hosts.
- **Under load** is wrk on open connections, and a client that makes a new connection for every request; any answer but
  2xx or 3xx and any socket error counts as failed.
- **Calls** are made in the network of a replica on one host, to a service on another: straight to its endpoint, to the
  service's own address (the caller's host's gateway leads on), and through an HAProxy written by hand on the caller's
  host. At a constant rate a client of our own takes turns on open connections (`bench/operations/paced.py`); saturated
  is wrk. During a `docker restart` of the gateway, and while the balancer moves, every call is a new connection; while
  the balancer moves, the client knows both hosts' addresses and takes the first that answers.
- **The six services** are `examples/03-many`: `up` after `down`, with the images on the hosts, until all are ready and
  led to; beside it the same eleven containers by the bare API, which waits for nothing.
"""


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table."""
    head = ("", "measured", "reference", "ratio", "target", "")
    rows = [head, tuple("---" for _ in head), *(_row(f) for f in figures)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def missed(figures: Sequence[Figure]) -> list[Figure]:
    """The figures whose target was not met."""
    return [f for f in figures if f.verdict == "missed"]


def write(figures: Sequence[Figure], machine: Mapping[str, str], command: str, when: str) -> None:
    """bench/results/last.json and docs/benchmarks.md."""
    whole = {"when": when, "command": command, "machine": dict(machine), "figures": [_plain(f) for f in figures]}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(whole, indent=1, ensure_ascii=False) + "\n")
    PAGE.write_text(page(figures, machine, command, when))


def page(figures: Sequence[Figure], machine: Mapping[str, str], command: str, when: str) -> str:
    """docs/benchmarks.md."""
    return "\n".join([
        "# Benchmarks",
        "",
        f"Written by `{command}` on {when}; run it again for your machine. As data: `bench/results/last.json`.",
        "How few hosts, how fast, and what others' rules need: [benchmarks-packing.md](benchmarks-packing.md).",
        "",
        table(figures),
        "",
        verdict(figures),
        "",
        "## Each run",
        "",
        *(f"- {_each(f)}" for f in figures if len(f.runs.values) > 1),
        "",
        "## The machine",
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {name} | {value} |" for name, value in machine.items()),
        "",
        _HOW,
    ])  # fmt: skip


def verdict(figures: Sequence[Figure]) -> str:
    """A sentence."""
    short = missed(figures)
    if not short:
        return "Every target was met."
    return "**Missed:** " + "; ".join(f"{f.runs.what}: {_result(f)}, target {f.target}" for f in short) + "."


def _row(figure: Figure) -> tuple[str, ...]:
    reference, ratio = figure.reference, figure.ratio
    return (
        figure.runs.what,
        _value(figure.runs),
        f"{reference.what}: {_value(reference)}" if reference else "-",
        f"{ratio:.2f}" if ratio is not None else "-",
        figure.target,
        {"met": "met", "missed": "**missed**", "-": ""}[figure.verdict],
    )


def _result(figure: Figure) -> str:
    return _value(figure.runs) if figure.ratio is None else f"{figure.ratio:.2f} x"


def _each(figure: Figure) -> str:
    told = f"{figure.runs.what}: {_list(figure.runs)}"
    if figure.reference:
        told += f"; {figure.reference.what}: {_list(figure.reference)}"
    return "; ".join((told, *figure.notes))


def _list(runs: Runs) -> str:
    return f"{', '.join(_number(v, runs.unit) for v in runs.values)} {runs.unit}".strip()


def _value(runs: Runs) -> str:
    return f"{_number(runs.median, runs.unit)} {runs.unit}".strip()


def _number(value: float, unit: str) -> str:
    return f"{value:.2f}" if unit == "s" else f"{value:,.0f}"


def _plain(figure: Figure) -> dict[str, object]:
    told = {"median": figure.runs.median, "ratio": figure.ratio, "target": figure.target, "verdict": figure.verdict}
    return {**asdict(figure), **told}
