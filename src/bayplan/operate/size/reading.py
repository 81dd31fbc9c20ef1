"""The CSV files of `bayplan size` as a packing problem."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from bayplan.plan.packing.amount import Amount, peak
from bayplan.plan.packing.problem import Apart, HostType, Load, Problem
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Place
from bayplan.spec.table import Row, Table, read_table
from bayplan.spec.usage import COLUMNS, slots
from bayplan.spec.usage import profiles as whole

_SERVICE = ("service", "replicas")
_HOST = ("type", "count", "price")
_APART = ("service", "other", "limit")


@dataclass(frozen=True, slots=True)
class Files:
    """Where they are."""

    services: Path
    hosts: Path
    usage: Path | None = None
    apart: Path | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """A problem, and where its parts are written. hosts: names of those that are there, by type."""

    problem: Problem
    services_file: str
    hosts_file: str
    line: Mapping[str, int]
    type_line: Mapping[str, int]
    hosts: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_problem(files: Files, *, headroom: float, tolerate: int) -> Asked:
    """The problem that the files pose. Raises SpecError with every mistake, file, line and column of each."""
    mistakes = Mistakes()
    services = read_table(files.services, _SERVICE, mistakes)
    hosts = read_table(files.hosts, _HOST[:1], mistakes)
    usage = read_table(files.usage, COLUMNS, mistakes) if files.usage else None
    apart = read_table(files.apart, _APART, mistakes) if files.apart else None
    for table in (services, hosts):
        if table is not None and not table.rows:
            mistakes.add("has no line after its first", Place(table.file, 1), "write one line for each")
    if services is None or hosts is None or not services.rows:
        mistakes.raise_any()
    assert services is not None and hosts is not None  # noqa: S101, PT018  without one there was a mistake
    types, type_line = _types(hosts)
    loads, line = _loads(services, hosts)
    if usage is not None:
        loads = _with_profiles(loads, usage)
    limits, rules = _rules(apart, loads) if apart is not None else ({}, ())
    loads = {name: replace(load, limit=limits.get(name)) for name, load in loads.items()}
    mistakes.raise_any()
    problem = Problem(tuple(types.values()), tuple(loads.values()), rules, headroom, tolerate)
    asked = Asked(problem, services.file, hosts.file, line, type_line)
    _refuse_unfit(asked, mistakes)
    mistakes.raise_any()
    return asked


def _resources(table: Table, fixed: Sequence[str]) -> tuple[str, ...]:
    return tuple(column for column in table.columns if column not in fixed)


def _types(hosts: Table) -> tuple[dict[str, HostType], dict[str, int]]:
    resources = _resources(hosts, _HOST)
    if not resources:
        for row in hosts.rows[:1]:
            row.mistakes.add("names no resource", Place(hosts.file, 1), "add a column such as cpu")
    types: dict[str, HostType] = {}
    line: dict[str, int] = {}
    for row in hosts.rows:
        name = row.text("type")
        capacity = {r: row.number(r) for r in resources}
        count = row.whole("count") if row.fields.get("count") else None
        price = row.number("price") if row.fields.get("price") else 1.0
        if name in types:
            row.wrong("type", f"{name} is in line {line[name]} already", "give each type one line")
        elif name is not None and price is not None:
            types[name] = HostType(name, {r: v for r, v in capacity.items() if v is not None}, count, price)
            line[name] = row.line
    return types, line


def _loads(services: Table, hosts: Table) -> tuple[dict[str, Load], dict[str, int]]:
    resources = _resources(services, _SERVICE)
    offered = set(_resources(hosts, _HOST))
    for resource in resources:
        if resource not in offered and services.rows:
            mistakes, at = services.rows[0].mistakes, services.columns.index(resource) + 1
            what = f"column {resource}: no host has it"
            mistakes.add(what, Place(services.file, 1, at), f"add the column {resource} to {hosts.file}")
    loads: dict[str, Load] = {}
    line: dict[str, int] = {}
    for row in services.rows:
        name, replicas = row.text("service"), row.whole("replicas")
        demand = {r: row.number(r) for r in resources}
        if name in loads:
            row.wrong("service", f"{name} is in line {line[name]} already", "give each service one line")
        elif name is not None:
            known: dict[str, Amount] = {r: v for r, v in demand.items() if v is not None}
            loads[name] = Load(name, replicas or 0, known)
            line[name] = row.line
    return loads, line


def _with_profiles(loads: dict[str, Load], usage: Table) -> dict[str, Load]:
    if usage.rows and not slots(usage):
        usage.rows[0].mistakes.add("has no values", Place(usage.file, 1), "add columns after resource: v0,v1,…")
    profiles: dict[str, dict[str, Amount]] = {}
    for row, name, resource, values in whole(usage):
        if name not in loads:
            row.wrong("service", f"there is no service {name}", "correct the name, or add it to the services")
        elif resource not in loads[name].demand:
            row.wrong("resource", f"services have no {resource}", f"they have: {', '.join(loads[name].demand)}")
        elif resource in profiles.setdefault(name, {}):
            row.wrong("resource", f"{resource} of {name} is there already", "give each one line")
        else:
            profiles[name][resource] = values
    return {n: replace(s, demand={**s.demand, **profiles[n]}) if n in profiles else s for n, s in loads.items()}


def _rules(apart: Table, loads: Mapping[str, Load]) -> tuple[dict[str, int], tuple[Apart, ...]]:
    limits: dict[str, int] = {}
    rules: dict[tuple[str, str], Apart] = {}
    line: dict[tuple[str, str], int] = {}
    for row in apart.rows:
        pair = _pair(row, loads)
        limit = row.whole("limit")
        if pair is None or limit is None:
            continue
        if pair in line:
            was = limits[pair[0]] if pair[0] == pair[1] else rules[pair].limit
            if was != limit:
                row.wrong("limit", f"line {line[pair]} says {was}, this one {limit}", "keep one of them")
            continue
        line[pair] = row.line
        if pair[0] != pair[1]:
            rules[pair] = Apart(*pair, limit)
        elif limit == 0 and loads[pair[0]].replicas:
            what = f"{pair[0]} has {loads[pair[0]].replicas} replicas and may stand nowhere"
            row.wrong("limit", what, "write at least 1, or no replicas")
            limits[pair[0]] = 1
        else:
            limits[pair[0]] = limit
    return limits, tuple(rules.values())


def _pair(row: Row, loads: Mapping[str, Load]) -> tuple[str, str] | None:
    service, other = row.text("service"), row.text("other")
    for column, name in (("service", service), ("other", other)):
        if name is not None and name not in loads:
            row.wrong(column, f"there is no service {name}", "correct the name, or add it to the services")
    known = service in loads and other in loads
    return (service, other) if known and service is not None and other is not None else None


def _refuse_unfit(asked: Asked, mistakes: Mistakes) -> None:
    """A service of which no host, empty, could take one."""
    for load in asked.problem.loads:
        if not load.replicas:
            continue
        if nearest := shortage(load, asked.problem.types, asked.problem.headroom):
            what = f"column {nearest.resource}: {load.name} fits on no host: {nearest.told(asked.problem.headroom)}"
            todo = "use larger hosts, or lower what it takes"
            mistakes.add(what, Place(asked.services_file, asked.line[load.name]), todo)


@dataclass(frozen=True, slots=True)
class Shortage:
    """Of which resource an empty host has too little for one replica, and by how much."""

    resource: str
    host: str
    needs: float
    has: float

    @property
    def share(self) -> float:
        """How many times what is there is needed."""
        return self.needs / self.has if self.has else float("inf")

    def told(self, headroom: float) -> str:
        """In words."""
        less = f" (less {headroom:.3g} headroom)".replace(f"{headroom:.3g}", f"{headroom:.0%}") if headroom else ""
        return f"needs {self.needs:g}, {self.host} has {self.has:g}{less}: short by {self.needs - self.has:g}"


def shortage(load: Load, hosts: Sequence[HostType], headroom: float) -> Shortage | None:
    """Of the host that comes nearest to having room for one replica; None if one has, or there is no host."""
    short = [_shortage(load, host, headroom) for host in hosts]
    return min((s for s in short if s), key=lambda s: s.share, default=None) if all(short) else None


def _shortage(load: Load, host: HostType, headroom: float) -> Shortage | None:
    """The resource of which an empty host is shortest for one replica; None if it fits."""
    found = []
    for resource, demand in load.demand.items():
        needs = peak(demand)
        has = host.capacity.get(resource, 0.0) * (1 - headroom)
        if needs > has * (1 + 1e-9):
            found.append(Shortage(resource, host.name, needs, has))
    return max(found, key=lambda s: s.share) if found else None
