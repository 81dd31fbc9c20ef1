"""A figure: several runs of one thing, against a target or against runs of a reference in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Literal


@dataclass(frozen=True, slots=True)
class Runs:
    """What was measured, one number a run, in the order of the runs. unit: s, requests/s, …"""

    what: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    Without a reference, the median is held against the limit; with one, the ratio of the two medians is.
    at_most: the limit is the most that it may be, else the least. limit None: told, and held against nothing.
    """

    scenario: str
    runs: Runs
    limit: float | None = None
    reference: Runs | None = None
    at_most: bool = True
    notes: tuple[str, ...] = field(default=())

    @property
    def ratio(self) -> float | None:
        return self.runs.median / self.reference.median if self.reference else None

    @property
    def verdict(self) -> Literal["met", "missed", "-"]:
        if self.limit is None:
            return "-"
        value = self.runs.median if self.ratio is None else self.ratio
        return "met" if (value <= self.limit if self.at_most else value >= self.limit) else "missed"

    @property
    def target(self) -> str:
        if self.limit is None:
            return "-"
        if self.reference:
            return f"{'≤' if self.at_most else '≥'} {self.limit:g} x {self.reference.what}"
        return f"{'≤' if self.at_most else '≥'} {self.limit:g} {self.runs.unit}".strip()


def seconds(what: str, values: Sequence[float]) -> Runs:
    return Runs(what, "s", tuple(values))


def count(what: str, values: Sequence[float]) -> Runs:
    return Runs(what, "", tuple(values))
