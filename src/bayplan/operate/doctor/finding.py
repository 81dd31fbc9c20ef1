"""One thing that was looked at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bayplan.errors import BayplanError

Level = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """check: what was looked at (ssh, clock, disk, …). where: a host, file:line or service. todo: "" if all is well."""

    level: Level
    check: str
    where: str
    what: str
    todo: str = ""


def failed(check: str, where: str, error: BayplanError) -> Finding:
    """An error of ours as a finding."""
    return Finding("fail", check, where, error.what, error.todo)
