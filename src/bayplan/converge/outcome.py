"""What a run of passes tells on its way, and where it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from bayplan.errors import BayplanError
from bayplan.facts import Facts
from bayplan.plan.steps import Failure, Plan, Step, Waiting
from bayplan.ports import Transfer


@dataclass(frozen=True, slots=True)
class StepEvent:
    """A step began, moved on, ended or failed."""

    step: Step
    state: Literal["started", "progress", "done", "failed"]
    transfer: Transfer | None = None
    error: BayplanError | None = None


@dataclass(frozen=True, slots=True)
class PassEvent:
    """What a pass saw and planned."""

    number: int
    facts: Facts
    plan: Plan


OnEvent = Callable[[StepEvent | PassEvent], None]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Where a run ended. errors: steps that could not be done. stalled: what it waited for when patience ended."""

    facts: Facts
    plan: Plan
    passes: int
    failures: tuple[Failure, ...] = ()
    errors: tuple[tuple[Step, BayplanError], ...] = ()
    stalled: tuple[Waiting, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether everything is where it should be, on every host."""
        silent = any(not h.reachable for h in self.facts.hosts.values())
        plan = self.plan
        left = self.failures or self.errors or self.stalled or plan.unplaced or plan.presumed or plan.held
        return not (left or silent)
