"""Which service may start something now: `depends_on`, read from the facts at every pass.

```
condition                        what it waits for must be
service_started                  running, of this release, in every slot in which it stands
service_healthy                  serving: healthy by its own check, and in every pool
service_completed_successfully   done: every slot of the job ended with 0
```

Only what would be started waits. What stands goes on, also when what it waited for is ill or replaced later. What is
replaced waits, as for `service_healthy`, for what is first to answer where it did not before (plan/calls.py).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Final

from bayplan.facts import Facts
from bayplan.plan.calls import awaited
from bayplan.plan.everywhere import seated, wanted_slots
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.replica import definition
from bayplan.plan.slots import Reader, Slot, jobs_of
from bayplan.plan.steps import Held, Plan
from bayplan.spec.model import App, Condition, Service

_WORDS: Final[Mapping[Condition, str]] = {
    "service_started": "start",
    "service_healthy": "be healthy and serve",
    "service_completed_successfully": "end",
}


def in_order(app: App) -> Iterator[Service]:
    """Each service after all that it depends on; else in the file's order."""
    done: set[str] = set()

    def visit(service: Service) -> Iterator[Service]:
        if service.name not in done:
            done.add(service.name)
            for name in service.depends_on:
                if name in app.services:
                    yield from visit(app.services[name])
            yield service

    for each in app.services.values():
        yield from visit(each)


class Order:
    """One pass's answers. It is told of each service's plan, in order, since what failed is waited for by nobody."""

    def __init__(self, goal: Goal, facts: Facts, run: Memory, now: float) -> None:
        self._goal, self._facts, self._run, self._now = goal, facts, run, now
        self._failed = set(run.given_up)
        self._slots: dict[str, tuple[Slot, ...]] = {}
        self._awaited = awaited(goal, facts)

    def planned(self, service: Service, plan: Plan) -> None:
        """What came of a service in this pass."""
        if plan.failures or any(held.failed for held in plan.held):
            self._failed.add(service.name)

    def held(self, service: Service) -> Held | None:
        """What keeps it from starting anything, the first of what it depends on; None: nothing."""
        for name, dependency in service.depends_on.items():
            other = self._goal.app.services.get(name)
            if other is None or other.external is not None or self._is_met(other, dependency.condition):
                continue
            if name not in self._failed:
                return Held(service.name, name, f"waits for {name} to {_WORDS[dependency.condition]}")
            if dependency.required:
                return Held(service.name, name, f"is not started: {name}, which it waits for, failed", failed=True)
        return self._held_by_new_ports(service)

    def _held_by_new_ports(self, service: Service) -> Held | None:
        for name in self._awaited.get(service.name, ()):
            if self._is_met(self._goal.app.services[name], "service_healthy"):
                continue
            if name not in self._failed:
                return Held(service.name, name, f"waits for {name} to serve on a port that it did not have before")
            if name not in service.depends_on or service.depends_on[name].required:
                why = f"is not started: {name}, on a new port of which it may call, failed"
                return Held(service.name, name, why, failed=True)
        return None

    def _is_met(self, other: Service, condition: Condition) -> bool:
        if other.is_job:
            return self._is_far(other, condition)
        numbers = wanted_slots(self._goal, other, self._facts)
        if other.name not in self._slots:  # many may wait for the same one
            self._slots[other.name] = self._read(other, numbers)
        wanted = self._slots[other.name]
        enough = _is_started if condition == "service_started" else _is_serving
        return not numbers or (bool(wanted) and all(enough(slot) for slot in wanted))

    def _read(self, other: Service, numbers: Collection[int]) -> tuple[Slot, ...]:
        """Those of its slots in which anything stands."""
        reader = Reader(self._goal, other, definition(other, self._goal.app), self._facts, self._run, self._now)
        return tuple(slot for number, slot in reader.slots().items() if number in numbers)

    def _is_far(self, job: Service, condition: Condition) -> bool:
        """Of a job every slot is asked: one that nobody has seen has not ended."""
        there = jobs_of(self._goal, job, self._facts)
        begun = condition != "service_completed_successfully"
        return all(
            any(r.done or (begun and r.state not in ("creating", "created")) for r in there.get(number, ()))
            for number in wanted_slots(self._goal, job, self._facts)
        )


def held_now(goal: Goal, service: Service, facts: Facts, now: float) -> Held | None:
    """What would keep the service from starting anything, were it stopped now. now: seconds, the clock's."""
    return Order(goal, seated(goal, facts), Memory(), now).held(service)


def _is_started(slot: Slot) -> bool:
    return slot.keeper is not None and slot.keeper.state == "running"


def _is_serving(slot: Slot) -> bool:
    return slot.keeper is not None and slot.serves
