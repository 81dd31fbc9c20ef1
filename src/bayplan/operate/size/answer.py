"""The answer of `bayplan size`: figures, and files for others to check."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bayplan.errors import Mistake, SpecError, UsageError
from bayplan.operate.size.reading import Asked
from bayplan.plan.packing.figures import Figures, figures, names, one_service_a_host
from bayplan.plan.packing.pack import pack
from bayplan.plan.packing.problem import Packing, Problem, Stowed

_MORE = {True: "raise a count, or leave it empty: as many as needed", False: "add a host, or lower what is reserved"}


@dataclass(frozen=True, slots=True)
class Answer:
    """packing and alone: hosts with, and without sharing; after and before: their figures. seconds: of the search."""

    problem: Problem
    packing: Packing
    alone: tuple[Stowed, ...]
    after: Figures
    before: Figures
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """The shape of `size --json`. lower_bound: hosts; gap: of the cost, over its own bound."""
        packing, after, before = self.packing, self.after, self.before
        return {
            "hosts": after.hosts,
            "by_type": dict(after.by_type),
            "lower_bound": int(packing.fewest.value),
            "lower_bound_why": packing.fewest.why,
            "cost": after.cost,
            "cost_lower_bound": packing.cheapest.value,
            "cost_lower_bound_why": packing.cheapest.why,
            "gap": self.gap,
            "utilization": dict(after.use),
            "before": {
                "hosts": before.hosts,
                "by_type": dict(before.by_type),
                "cost": before.cost,
                "utilization": dict(before.use),
            },
            "tolerate": self.problem.tolerate,
            "headroom": self.problem.headroom,
            "method": packing.method,
            "effort": packing.effort,
            "seconds": round(self.seconds, 3),
        }

    @property
    def gap(self) -> float:
        """How far the cost may be above the best possible, as a share of that."""
        bound = self.packing.cheapest.value
        return max(self.packing.cost / bound - 1, 0.0) if bound else 0.0


def answer(asked: Asked, *, effort: int, seconds: float, clock: Callable[[], float]) -> Answer:
    """Search for so long. clock: seconds since it was asked, reading included.

    Raises SpecError if hosts run out: what is left over, and where their count is written; UsageError if `tolerate`
    cannot be met.
    """
    packing = pack(asked.problem, effort, lambda: clock() > seconds)
    took = clock()
    if packing.left:
        raise SpecError([_left_over(asked, packing)])
    if packing.unsafe:
        raise UsageError(
            f"--tolerate {asked.problem.tolerate} cannot be met: {packing.unsafe}",
            where=asked.hosts_file,
            todo=_MORE[bool(asked.type_line)],
        )
    return _of(asked.problem, packing, took)


def _of(problem: Problem, packing: Packing, seconds: float) -> Answer:
    """The answer that a packing is."""
    alone = one_service_a_host(problem)
    return Answer(problem, packing, alone, figures(problem, packing.hosts), figures(problem, alone), seconds)


def _left_over(asked: Asked, packing: Packing) -> Mistake:
    counted = [t for t in asked.problem.types if t.count is not None]
    left = [f"{count} of {name}" for name, count in sorted(packing.left.items(), key=lambda x: -x[1])]
    told = ", ".join(left[:5]) + (f" and {len(left) - 5} services more" if len(left) > 5 else "")  # noqa: PLR2004
    have = ", ".join(f"{t.count} of {t.name}" for t in counted)
    line = asked.type_line.get(counted[0].name, 0) if counted else 0
    column = "column count: " if line else ""
    what = f"{column}hosts run out ({have}): no place was found for {told}"
    return Mistake(what, asked.hosts_file, line, todo=_MORE[bool(line)])


def placement_csv(packing: Packing, known: Mapping[str, Sequence[str]] | None = None) -> str:
    """`host,type,service,replicas`: a line for each service on each host; a host that stands by has one of 0.

    known: names of hosts that are there, by type.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("host", "type", "service", "replicas"))
    for name, host in zip(names(packing.hosts, known), packing.hosts, strict=True):
        writer.writerows((name, host.type, service, count) for service, count in host.replicas.items())
        if not host.replicas:
            writer.writerow((name, host.type, "", 0))
    return text.getvalue()
