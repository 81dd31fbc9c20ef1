"""The file that fleet.yaml's `usage` names: what replicas take over the day.

`service,resource,v0,v1,…`, as `bayplan size --usage` has it. service: `web`, or of one app, `shop/web`. resource:
`cpu`, in cores, or `memory`, in GiB. Of every row as many values: slots of equal length, from the start of the day on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from bayplan.spec.mistakes import Mistakes
from bayplan.spec.model import Usage
from bayplan.spec.node import Place
from bayplan.spec.table import Row, Table, read_table

COLUMNS: Final = ("service", "resource")
_UNITS = {"cpu": ("cpus", 1.0), "memory": ("memory", 1024.0**3)}


def read_usage(path: Path, mistakes: Mistakes) -> dict[str, Usage]:
    """By service. Adds every mistake, with its line and column."""
    table = read_table(path, COLUMNS, mistakes)
    if table is None:
        return {}
    if not slots(table):
        mistakes.add("has no values", Place(table.file, 1), "add columns after resource: v0,v1,…")
    found: dict[str, dict[str, tuple[float, ...]]] = defaultdict(dict)
    for row, service, resource, values in profiles(table):
        if resource not in _UNITS:
            row.wrong("resource", f"hosts have no {resource}", "write cpu (cores) or memory (GiB)")
            continue
        field, unit = _UNITS[resource]
        if field in found[service]:
            row.wrong("resource", f"{resource} of {service} is there already", "give each one line")
        found[service][field] = tuple(value * unit for value in values)
    return {service: Usage(**known) for service, known in found.items()}


def slots(table: Table) -> tuple[str, ...]:
    """The columns that hold values."""
    return tuple(column for column in table.columns if column not in COLUMNS)


def profiles(table: Table) -> Iterator[tuple[Row, str, str, tuple[float, ...]]]:
    """(row, service, resource, values) of each row that is whole; the others are mistakes by then."""
    columns = slots(table)
    for row in table.rows:
        service, resource, values = row.text("service"), row.text("resource"), row.numbers(columns)
        if service is not None and resource is not None and values is not None:
            yield row, service, resource, values
