"""A problem as the CSV files of `bayplan size`, so that the checker can look at any of them."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from bayplan.plan.packing.amount import peak
from bayplan.plan.packing.problem import Problem


def write(problem: Problem, folder: Path) -> None:
    """services.csv, hosts.csv, apart.csv, and usage.csv if anything has a profile."""
    resources = list(dict.fromkeys(r for t in problem.types for r in t.capacity))
    peaks = ((s.name, s.replicas, *(peak(s.demand.get(r, 0.0)) for r in resources)) for s in problem.loads)
    _table(folder / "services.csv", ("service", "replicas", *resources), peaks)
    types = (
        (t.name, "" if t.count is None else t.count, t.price, *map(t.capacity.get, resources)) for t in problem.types
    )
    _table(folder / "hosts.csv", ("type", "count", "price", *resources), types)
    limits = [(s.name, s.name, s.limit) for s in problem.loads if s.limit is not None]
    _table(
        folder / "apart.csv",
        ("service", "other", "limit"),
        [*limits, *((a.service, a.other, a.limit) for a in problem.apart)],
    )
    profiles = [(s.name, r, *d) for s in problem.loads for r, d in s.demand.items() if isinstance(d, tuple)]
    if profiles:
        slots = len(profiles[0]) - 2
        _table(folder / "usage.csv", ("service", "resource", *(f"v{n}" for n in range(slots))), profiles)


def _table(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
