"""What every packing must be, whatever is asked: within every rule, no worse than simple, no better than its bound."""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import pytest
from bench.packing.references import first, one_by_one
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.check_placement import check

from bayplan.operate.size.answer import placement_csv
from bayplan.plan.packing.pack import pack
from bayplan.plan.packing.problem import Apart, HostType, Load, Packing, Problem

EFFORT = 600
CAPACITY = {"cpu": 8.0, "memory": 16.0, "disk": 100.0}


@st.composite
def loads(draw: st.DrawFn) -> list[Load]:
    slots = draw(st.sampled_from([1, 1, 4]))

    def demand(most: float) -> float | tuple[float, ...]:
        values = draw(st.lists(st.integers(0, 20), min_size=slots, max_size=slots))
        profile = tuple(v * most / 20 for v in values)
        return profile[0] if slots == 1 else profile

    return [
        Load(
            f"s{i}",
            draw(st.integers(0, 6)),
            {"cpu": demand(8.0), "memory": demand(16.0), "disk": draw(st.integers(0, 60)) * 1.0},
            draw(st.sampled_from([None, None, 1, 2])),
        )
        for i in range(draw(st.integers(1, 9)))
    ]


@st.composite
def problems(draw: st.DrawFn, *, tolerate: int = 0, counted: bool = False) -> Problem:
    services = draw(loads())
    names = [load.name for load in services]
    pairs = draw(st.lists(st.tuples(st.sampled_from(names), st.sampled_from(names)), max_size=5, unique=True))
    apart = [Apart(a, b, draw(st.integers(0, 2))) for a, b in pairs if a != b]
    count = draw(st.integers(1, 12)) if counted else None
    types = [HostType("m", CAPACITY, count, 1.0)]
    if draw(st.booleans()):
        small = {"cpu": 4.0, "memory": 16.0, "disk": 40.0}
        types.append(
            HostType("s", small, draw(st.integers(0, 4)) if counted else None, draw(st.sampled_from([0.4, 1.0])))
        )
    return Problem(types, services, apart, tolerate=tolerate)


def accepted(problem: Problem, packing: Packing, folder: Path) -> str:
    """What the independent checker says, from files alone."""
    _write(problem, folder)
    (folder / "placement.csv").write_text(placement_csv(packing), encoding="utf-8")
    files = {name: str(folder / f"{name}.csv") for name in ("placement", "services", "hosts", "apart")}
    usage = folder / "usage.csv"
    asked = argparse.Namespace(
        **files,
        usage=str(usage) if usage.exists() else None,
        headroom=problem.headroom,
        tolerate=problem.tolerate,
    )
    return "\n".join(check(asked)) or "accepted"


def _write(problem: Problem, folder: Path) -> None:
    resources = list(CAPACITY)
    slots = max((len(d) for s in problem.loads for d in s.demand.values() if isinstance(d, tuple)), default=0)
    peaks = [[max(d) if isinstance(d := s.demand[r], tuple) else d for r in resources] for s in problem.loads]
    table(folder / "services.csv", ["service", "replicas", *resources],
          [[s.name, s.replicas, *p] for s, p in zip(problem.loads, peaks, strict=True)])  # fmt: skip
    table(folder / "hosts.csv", ["type", "count", "price", *resources],
          [[t.name, "" if t.count is None else t.count, t.price, *t.capacity.values()] for t in problem.types])  # fmt: skip
    limits = [[s.name, s.name, s.limit] for s in problem.loads if s.limit is not None]
    rules = [[r.service, r.other, r.limit] for r in problem.apart]
    table(folder / "apart.csv", ["service", "other", "limit"], [*limits, *rules])
    (folder / "usage.csv").unlink(missing_ok=True)
    if slots:
        profiles = [[s.name, r, *d] for s in problem.loads for r, d in s.demand.items() if isinstance(d, tuple)]
        table(folder / "usage.csv", ["service", "resource", *(f"v{t}" for t in range(slots))], profiles)


def table(path: Path, header: list[str], rows: list[list[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([header, *rows])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("packing")


@given(problem=problems())
def test_keeps_every_rule_and_its_bounds(problem: Problem, folder: Path) -> None:
    packing = pack(problem, EFFORT)
    assert not packing.left
    assert accepted(problem, packing, folder) == "accepted"
    assert packing.fewest.value <= len(packing.hosts)
    assert packing.cheapest.value <= packing.cost + 1e-9


@given(problem=problems(tolerate=1))
@settings(max_examples=settings().max_examples // 2)
def test_survives_the_loss_of_any_host(problem: Problem, folder: Path) -> None:
    packing = pack(problem, EFFORT)
    assert not packing.left
    assert not packing.unsafe
    assert accepted(problem, packing, folder) == "accepted"
    assert packing.fewest.value <= len(packing.hosts)
    assert packing.cheapest.value <= packing.cost + 1e-9


@given(problem=problems())
def test_is_never_worse_than_first_fit_decreasing(problem: Problem) -> None:
    static = Problem(problem.types[:1], [_at_peak(load) for load in problem.loads], problem.apart)
    assert len(pack(static, EFFORT).hosts) <= one_by_one(static, first, decreasing=True)


def _at_peak(load: Load) -> Load:
    demand = {r: max(d) if isinstance(d, tuple) else d for r, d in load.demand.items()}
    return Load(load.name, load.replicas, demand, load.limit)


@given(problem=problems())
@settings(max_examples=settings().max_examples // 3)
def test_the_same_input_and_effort_give_the_same_answer(problem: Problem) -> None:
    assert pack(problem, EFFORT) == pack(problem, EFFORT)


@given(problem=problems(counted=True))
def test_one_host_more_never_makes_it_infeasible(problem: Problem) -> None:
    if pack(problem, EFFORT).left:
        return
    first_type, *others = problem.types
    assert first_type.count is not None
    more = HostType(first_type.name, first_type.capacity, first_type.count + 1, first_type.price)
    assert not pack(Problem([more, *others], problem.loads, problem.apart), EFFORT).left
