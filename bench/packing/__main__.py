"""`python -m bench.packing DIRECTORY [--only NAME,…]`: hosts by each rule of placement, beside ours.

DIRECTORY has services.csv, hosts.csv, usage.csv and apart.csv. Writes docs/benchmarks-packing.md after a whole run.
Placements of ours are checked by tests/check_placement.py, which shares no code with the packer.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from bayplan.operate.size.answer import placement_csv
from bayplan.operate.size.reading import Files, read_problem
from bayplan.plan.packing.pack import pack
from bayplan.plan.packing.problem import Packing, Problem
from bench.packing import files, instances, planning, references

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs/benchmarks-packing.md"
Line = tuple[str, ...]
T = TypeVar("T")


def main() -> None:
    """Print each table as it is measured."""
    asked = _arguments().parse_args()
    folder: Path = asked.directory
    tables = {
        "the day": lambda: _day(folder),
        "variants": lambda: _variants(folder),
        "a larger day": lambda: _larger(folder),
        "vectors": _vectors,
        "brimful": _brimful,
        "growth": _growth,
        "planning": planning.lines,
    }
    wanted = asked.only.split(",") if asked.only else list(tables)
    told = [_told(name, tables[name]) for name in wanted]
    if wanted == list(tables):
        PAGE.write_text(_page(told), encoding="utf-8")
        print(f"written: {PAGE.relative_to(ROOT)}")


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.packing")
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", default="")
    return parser


def _told(name: str, measure: Callable[[], Iterator[Line]]) -> str:
    lines = []
    for line in measure():
        lines.append(f"| {' | '.join(line)} |")
        print(lines[-1], flush=True)
        if len(lines) == 1:
            lines.append("| " + " | ".join(["---", *["---:"] * (len(line) - 1)]) + " |")
    return "\n\n".join([f"## {name[0].upper()}{name[1:]}", *_NOTES.get(name, ()), "\n".join(lines)]) + "\n"


def _files(folder: Path) -> Files:
    return Files(*(folder / f"{name}.csv" for name in ("services", "hosts", "usage", "apart")))


def _timed(work: Callable[[], T]) -> tuple[T, str]:
    """What it gave, and how long it took: by the clock, and of the processor."""
    begun, busy = time.monotonic(), time.process_time()
    found = work()
    return found, f"{time.monotonic() - begun:.1f} ({time.process_time() - busy:.1f})"


def _packed(problem: Problem, seconds: float) -> tuple[Packing, str]:
    end = time.monotonic() + seconds
    return _timed(lambda: pack(problem, 1 << 40, lambda: time.monotonic() > end))


def _checked(problem: Problem, packing: Packing) -> str:
    """What the checker says of an instance that was made here."""
    with tempfile.TemporaryDirectory() as scratch:
        files.write(problem, Path(scratch))
        return _check(Path(scratch), packing)


def _check(folder: Path, packing: Packing, *options: str) -> str:
    with tempfile.TemporaryDirectory() as scratch:
        placement = Path(scratch) / "placement.csv"
        placement.write_text(placement_csv(packing), encoding="utf-8")
        command = [sys.executable, str(ROOT / "tests/check_placement.py"), str(placement)]
        for name in ("services", "hosts", "usage", "apart"):
            if (folder / f"{name}.csv").exists():
                command += [f"--{name}", str(folder / f"{name}.csv")]
        done = subprocess.run([*command, *options], capture_output=True, text=True, check=False)
    return "accepted" if done.returncode == 0 else done.stdout.strip().splitlines()[-1]


def _day(folder: Path) -> Iterator[Line]:
    problem = read_problem(_files(folder), headroom=0.0, tolerate=0).problem
    yield "placed by", "hosts", "seconds (CPU)", "bound"
    yield from _references(problem)
    packing, took = _packed(problem, 20)
    proven = f"{packing.fewest.value:,.0f}, proven"
    yield f"**bayplan** ({_check(folder, packing)})", f"**{len(packing.hosts):,}**", took, proven


def _references(problem: Problem, *, spread: bool = True) -> Iterator[Line]:
    ways: list[tuple[str, Callable[[], int]]] = [
        ("Nomad's BinPack score, order of the file", lambda: references.one_by_one(problem, references.nomad)),
        ("Kubernetes' MostAllocated", lambda: references.one_by_one(problem, references.most_allocated)),
        ("first-fit decreasing", lambda: references.one_by_one(problem, references.first, decreasing=True)),
    ]
    if spread:  # fleets of many sizes are tried: minutes on a large problem
        most = 4 * _alone(problem)
        ways.append(("Swarm's spread, smallest fleet that it fills", lambda: references.spread(problem, 1, most)))
    for name, place in ways:
        hosts, took = _timed(place)
        yield name, f"{hosts:,}", took, ""


def _alone(problem: Problem) -> int:
    return max(sum(load.replicas for load in problem.loads) // 10, 1)


def _variants(folder: Path) -> Iterator[Line]:
    yield "asked", "hosts", "cost", "bound of the cost", "above it at most", "seconds (CPU)", "checked"
    for tolerate, headroom, priced in ((1, 0.1, False), (0, 0.0, True), (1, 0.1, True)):
        with tempfile.TemporaryDirectory() as scratch:
            at = _priced(folder, Path(scratch)) if priced else folder
            problem = read_problem(_files(at), headroom=headroom, tolerate=tolerate).problem
            packing, took = _packed(problem, 20)
            told = _check(at, packing, "--tolerate", str(tolerate), "--headroom", str(headroom))
        asked = [f"tolerate {tolerate}"] * bool(tolerate) + [f"headroom {headroom:.0%}"] * bool(headroom)
        name = ", ".join([*asked, *(["c32 at 0.4"] if priced else [])])
        bound = packing.cheapest.value
        above = f"{packing.cost / bound - 1:.1%}"
        yield name, f"{len(packing.hosts):,}", f"{packing.cost:,.6g}", f"{bound:,.6g}", above, took, told


def _priced(folder: Path, scratch: Path) -> Path:
    """The same files, and the smallest type of host at 0.4."""
    for name in ("services", "usage", "apart"):
        (scratch / f"{name}.csv").symlink_to((folder / f"{name}.csv").absolute())
    with (folder / "hosts.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    smallest = min(rows, key=lambda r: float(r["cpu"]))
    for row in rows:
        row["price"] = "0.4" if row is smallest else "1"
    with (scratch / "hosts.csv").open("w", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return scratch


def _larger(folder: Path) -> Iterator[Line]:
    day = read_problem(_files(folder), headroom=0.0, tolerate=0).problem
    yield "placed by", "hosts", "seconds (CPU)", "bound"
    problem = instances.larger_day(day, 4, seed=4)
    yield from _references(problem, spread=False)
    packing, took = _packed(problem, 60)
    below = f"{packing.fewest.value:,.0f} ({len(packing.hosts) / packing.fewest.value - 1:.1%} below)"
    name = f"**bayplan** ({_checked(problem, packing)}; {planning.peak_memory() / 1024**3:.1f} GB at most)"
    yield name, f"**{len(packing.hosts):,}**", took, below


def _vectors() -> Iterator[Line]:
    yield "kind, items, resources", *_AGAINST
    ratios: list[float] = []
    for kind in ("small", "any", "large", "smaller", "tiny", "two or three"):
        for items, resources in ((25, 3), (100, 5), (200, 3)):
            problem = instances.vectors(kind, items, resources, seed=items + resources)
            yield _against(f"{kind}, {items}, {resources}", problem, None, ratios)
    problem = instances.vectors("any", 500, 10, seed=510)
    yield _against("any, 500, 10", problem, None, ratios)
    yield _mean(ratios)


def _brimful() -> Iterator[Line]:
    yield "hosts of the optimum, items a host, resources", *_AGAINST
    ratios: list[float] = []
    for hosts, a_host, resources in _BRIMFUL:
        problem = instances.brimful(hosts, a_host, resources, seed=hosts + a_host + resources)
        yield _against(f"{hosts}, {a_host}, {resources}", problem, hosts, ratios)
    yield _mean(ratios)


_AGAINST = ("first-fit decreasing", "bayplan", "optimum, or bound", "over it", "seconds (CPU)", "checked")
_BRIMFUL = ((8, 3, 3), (30, 3, 5), (60, 3, 10), (20, 5, 3), (50, 4, 5), (40, 10, 5), (25, 20, 8))


def _against(name: str, problem: Problem, optimum: int | None, ratios: list[float]) -> Line:
    decreasing = references.one_by_one(problem, references.first, decreasing=True)
    packing, took = _packed(problem, 10)
    best = optimum or int(packing.fewest.value)
    ratios.append(len(packing.hosts) / best)
    told = _checked(problem, packing)
    return name, str(decreasing), str(len(packing.hosts)), str(best), f"{ratios[-1]:.3f}", took, told


def _mean(ratios: list[float]) -> Line:
    return "**mean**", "", "", "", f"**{sum(ratios) / len(ratios):.3f}**", "", ""


def _growth() -> Iterator[Line]:
    yield (
        "replicas",
        "about so many hosts",
        "hosts",
        "bound",
        "seconds (CPU)",
        "µs a replica and 1,000 hosts",
        "checked",
    )
    for replicas, hosts in ((2_000, 100), (10_000, 1_000), (30_000, 3_000), (100_000, 10_000)):
        problem = instances.many(replicas, hosts, seed=1)
        busy = time.process_time()
        packing, took = _timed(lambda problem=problem: pack(problem, 1))
        each = f"{(time.process_time() - busy) / replicas / hosts * 1e9:.1f}"
        found = (f"{len(packing.hosts):,}", f"{packing.fewest.value:,.0f}", took, each, _checked(problem, packing))
        yield f"{replicas:,}", f"{hosts:,}", *found


_NOTES = {
    "growth": ("`size` to its first answer, in one process: what it costs a replica, and a host.",),
    "planning": (
        "One pass of `plan` over a whole fleet, no replica of which stands yet: the middle one of three runs.",
        (
            "The work grows with services times hosts (each host is asked once for each service), and per replica not "
            "at all."
        ),
    ),
}

_HEAD = """\
# Benchmarks: packing

Measured by `make bench-pack DATA=directory`, where the directory has the four CSV files of `bayplan size`, which
gives the same answers. {cores} cores, {machine}, Python {python}, commit {commit}.

The references are scorers of ours after others' published rules (`bench/packing/references.py`): they see peaks, one
container at a time. A bound is proven by bayplan; an optimum is known where the instance was made from it. "accepted"
is the word of `tests/check_placement.py`, a program that shares no code with the packer.
"""


def _page(tables: list[str]) -> str:
    git = ["git", "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(git, capture_output=True, text=True, cwd=ROOT, check=False).stdout.strip()
    where = {"cores": os.cpu_count(), "machine": platform.machine(), "python": platform.python_version()}
    return "\n".join([_HEAD.format(commit=commit, **where), *tables])


if __name__ == "__main__":
    main()
