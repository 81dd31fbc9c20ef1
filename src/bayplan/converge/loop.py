"""The loop: observe, plan, start what is new, look again when something is done; until the plan is empty.

Passes overlap with the work: while a slow pull runs on one host, replicas that are up elsewhere join their pools. The
planner sees the work in flight as facts (`overlay`), so each pass is still one-way and its steps independent.
"""

from __future__ import annotations

import asyncio
import math
from collections import defaultdict
from collections.abc import Callable, Coroutine
from functools import partial

from bayplan.converge.apply import apply, change_pools
from bayplan.converge.lanes import Lanes
from bayplan.converge.learnt import Learnt
from bayplan.converge.outcome import OnEvent, Outcome, PassEvent, StepEvent
from bayplan.converge.overlay import overlay
from bayplan.converge.sight import Sight
from bayplan.converge.vault import Vault
from bayplan.errors import BayplanError, HostUnreachableError, PortTakenError
from bayplan.facts import Binding, Facts, Replica
from bayplan.plan.goal import Memory
from bayplan.plan.steps import (
    Configure,
    Failure,
    Plan,
    PoolChange,
    Pull,
    Remove,
    Rewrite,
    Run,
    Start,
    Step,
    key,
    subject,
)
from bayplan.ports import Credentials, FleetPorts, Transfer
from bayplan.routing import Table

Planner = Callable[[Facts, float, Memory], Plan]
GatewayStep = PoolChange | Configure | Rewrite

ROUNDS = 20  # that one step may be done in a run: a fact that it does not change would make it come back for ever
TRIES = 2  # of one step: what fails twice will not be mended by a third pass
POLL = 0.25  # seconds between looks while steps are in flight and something else is waited for
POLL_LONGEST = 1.0  # while nothing else is
WAIT = 0.03  # seconds between looks while only time can help
WAIT_LONGEST = 1.0
GATHER = 0.2  # seconds that a pass waits for other steps that end at about the same time
GATHER_LONGEST = 1.0
LOOK_SHARE = 3  # times as long as a look took: looking is to take a part of a busy engine's time, not most of it


class Convergence:
    """One run of passes; holds what is in flight and what this run has learnt. sight: of a run just before."""

    def __init__(
        self,
        ports: FleetPorts,
        planner: Planner,
        on: OnEvent,
        *,
        patience: float = 120.0,
        login: Credentials | None = None,
        sight: Sight | None = None,
        vault: Vault | None = None,
    ) -> None:
        self._ports, self._planner, self._on, self._patience, self._login = ports, planner, on, patience, login
        self._vault = vault or Vault({}, {})
        self._learnt, self._facts = Learnt(ports.clock), Facts()
        self._in_flight: dict[asyncio.Task[None], tuple[Step, ...]] = {}
        self._broken: list[BaseException] = []
        self._underway: tuple[Step, ...] = ()  # what was in flight when this pass began to look
        self._rounds: dict[tuple[tuple[str, ...], Table | None], int] = defaultdict(int)
        self._tries: dict[tuple[str, ...], int] = defaultdict(int)
        self._errors: dict[tuple[str, ...], tuple[Step, BayplanError]] = {}
        self._failures: dict[str, Failure] = {}
        self._sight = sight or Sight(ports)
        self._gather = GATHER
        self._lanes: dict[str, Lanes] = {}

    async def run(self) -> Outcome:
        """Until nothing is left to do that can be done. Cancelled: what is in flight is cancelled and waited for."""
        number, wait, moved, whole = 0, WAIT, self._ports.clock.now(), False
        try:
            while True:
                number += 1
                facts = await self._look(whole=whole)
                self._check()
                plan = self._plan(number, facts)
                able = [s for s in plan.steps if self._may_try(s)]
                fresh = self._fresh(able)
                self._launch(fresh)
                now, whole = self._ports.clock.now(), False
                if self._in_flight:
                    moved, wait = now, WAIT
                    await self._until_something_is_done(POLL if self._waits_beside(plan) else POLL_LONGEST)
                elif len(fresh) < len(able):
                    continue  # what was done while this pass looked is seen by the next
                elif not self._may_hope(plan) or now - moved > self._patience_with(plan):
                    if self._sight.is_good:
                        return self._outcome(number, facts, plan)
                    whole = True  # a host that was silent for a moment is asked once more
                else:
                    await self._ports.clock.sleep(wait)
                    wait = min(wait * 1.5, WAIT_LONGEST)
        finally:
            await self._abandon()

    # -- a pass -------------------------------------------------------------------------------------------------------

    async def _look(self, *, whole: bool) -> Facts:
        self._underway = self._steps_in_flight()
        began = self._ports.clock.now()
        seen = await self._sight.look(whole=whole)
        self._gather = min(max(GATHER, LOOK_SHARE * (self._ports.clock.now() - began)), GATHER_LONGEST)
        facts = overlay(seen, (*self._underway, *self._steps_in_flight()))
        self._facts = facts
        self._learnt.saw(facts)
        return facts

    def _plan(self, number: int, facts: Facts) -> Plan:
        plan = self._planner(facts, self._ports.clock.now(), self._learnt.memory)
        for failure in plan.failures:
            self._failures.setdefault(failure.replica or failure.why, failure)
        self._learnt.planned(plan)
        self._on(PassEvent(number, facts, plan))
        return plan

    def _may_try(self, step: Step) -> bool:
        """Whether it is not given up: it failed too often, or was done too often and is still wanted."""
        fails, rounds = self._tries[key(step)], self._rounds[_round(step)]
        return fails < TRIES and rounds < ROUNDS and step.host in self._ports.engines

    def _may_hope(self, plan: Plan) -> bool:
        """Whether it waits for anything on a host that answers and where no step has been given up. A replica that its
        engine cannot remove is in nobody's way but its own.
        """
        given_up = [s for s in plan.steps if not self._may_try(s)]
        left = {s.replica for s in given_up if isinstance(s, Remove)}
        stuck = {s.host for s in given_up if not isinstance(s, Remove)}
        stuck |= {h.name for h in self._facts.hosts.values() if not h.reachable}
        return any(w.host not in stuck and w.replica not in left for w in plan.waiting)

    def _patience_with(self, plan: Plan) -> float:
        """Seconds without a step; a job takes the time that it takes."""
        return math.inf if any(w.open_end for w in plan.waiting) else self._patience

    def _fresh(self, steps: list[Step]) -> list[Step]:
        """Steps that are not being done and were not while this pass looked, and whose gateway is not busy."""
        underway = (*self._underway, *self._steps_in_flight())
        doing = {key(s) for s in underway}
        busy = {s.host for s in underway if isinstance(s, GatewayStep)}
        return [s for s in steps if key(s) not in doing and not (isinstance(s, GatewayStep) and s.host in busy)]

    def _launch(self, steps: list[Step]) -> None:
        batches: dict[str, list[PoolChange]] = defaultdict(list)
        reloads = {s.host for s in steps if isinstance(s, Configure | Rewrite)}
        for step in steps:
            if isinstance(step, PoolChange):
                batches[step.host].append(step)
            else:
                if isinstance(step, Run):
                    self._learnt.expects(step)
                self._start((step,), self._do(step))
        for host, changes in batches.items():
            if host not in reloads:  # a gateway does one thing at a time; the next pass brings the rest
                self._start(tuple(changes), self._change(changes))

    def _start(self, steps: tuple[Step, ...], work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._in_flight[task] = steps
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        del self._in_flight[task]
        if not task.cancelled() and (error := task.exception()):
            self._broken.append(error)

    def _check(self) -> None:
        """What is no error of ours ends the run, also when the step ended while nobody waited for it."""
        if self._broken:
            raise self._broken[0]

    # -- doing --------------------------------------------------------------------------------------------------------

    async def _do(self, step: Step) -> None:
        async with self._lanes_of(step.host).lane(step):
            self._on(StepEvent(step, "started"))
            try:
                await apply(
                    step,
                    self._ports,
                    partial(self._moved, step),
                    partial(self._started, step),
                    self._login,
                    self._vault,
                )
            except BayplanError as error:
                self._note_failure(step, error)
            else:
                self._note_done(step)

    async def _change(self, changes: list[PoolChange]) -> None:
        for change in changes:
            self._on(StepEvent(change, "started"))
        for change, error in (await change_pools(changes, self._ports)).items():
            if error is None:
                self._note_done(change)
            else:
                self._note_failure(change, error)

    def _moved(self, step: Step, transfer: Transfer) -> None:
        self._on(StepEvent(step, "progress", transfer))

    def _note_done(self, step: Step) -> None:
        self._errors.pop(key(step), None)
        self._tries.pop(key(step), None)
        self._rounds[_round(step)] += 1
        if self._rounds[_round(step)] == ROUNDS:
            error = BayplanError(f"{key(step)[0]} was done {ROUNDS} times and is still wanted", where=step.host)
            self._errors[key(step)] = (step, error)
        self._sight.ended(step, well=True)
        if isinstance(step, Start):
            for replica in self._named(step):
                self._learnt.tried(replica.id)
        self._on(StepEvent(step, "done"))

    def _note_failure(self, step: Step, error: BayplanError) -> None:
        self._sight.ended(step, well=False)
        if isinstance(error, PortTakenError) and self._learnt.found_taken(step.host, self._ports_of(step)):
            return  # another one is tried
        if isinstance(error, HostUnreachableError):
            self._sight.silent(step.host, error)
        self._tries[key(step)] += 1
        self._errors[key(step)] = (step, error)
        if self._tries[key(step)] >= TRIES:
            if isinstance(step, Pull):
                self._learnt.cannot_fetch(step, error.what)
            self._on(StepEvent(step, "failed", error=error))

    def _started(self, step: Step, container: str) -> None:
        self._learnt.tried(container)
        if isinstance(step, Run):
            self._sight.started(step, container)

    def _is_avoided(self, step: Step) -> bool:
        return isinstance(step, Pull) and (step.host, step.image) in self._learnt.memory.unfetched

    def _named(self, step: Start) -> list[Replica]:
        """The replica that is started again, as it was seen last."""
        there = self._facts.hosts[step.host].engine.replicas
        return [r for r in there if r.name == step.replica]

    def _ports_of(self, step: Step) -> list[Binding]:
        """What it was to bind; none, of a step that starts nothing."""
        if isinstance(step, Run):
            return list(step.container.ports)
        return [b for r in self._named(step) for b in r.ports] if isinstance(step, Start) else []

    def _lanes_of(self, host: str) -> Lanes:
        """Made when the host's cores are known."""
        if host not in self._lanes:
            self._lanes[host] = Lanes(self._facts.hosts[host].engine.cpus)
        return self._lanes[host]

    # -- waiting ------------------------------------------------------------------------------------------------------

    def _steps_in_flight(self) -> tuple[Step, ...]:
        return tuple(s for steps in self._in_flight.values() for s in steps)

    def _waits_beside(self, plan: Plan) -> bool:
        """Whether it waits for more than the ends of steps in flight: for a probe, a drain, another bayplan."""
        doing = {subject(s) for s in self._steps_in_flight()}
        return any(w.replica not in doing for w in plan.waiting)

    async def _until_something_is_done(self, poll: float) -> None:
        done, _ = await asyncio.wait(
            self._in_flight, timeout=max(poll, self._gather), return_when=asyncio.FIRST_COMPLETED
        )
        if done and self._in_flight:
            await asyncio.wait(self._in_flight, timeout=self._gather)
        self._check()

    async def _abandon(self) -> None:
        tasks = list(self._in_flight)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, self._sight.rest(), return_exceptions=True)

    def _outcome(self, number: int, facts: Facts, plan: Plan) -> Outcome:
        """What failed, and is not wanted any more, was done another way and is nobody's worry; unless it is why a
        replica failed.
        """
        wanted = self._errors if self._failures else {key(s) for s in plan.steps}
        wanted = {*wanted, *(k for k, (s, _) in self._errors.items() if self._is_avoided(s))}
        return Outcome(
            facts=facts,
            plan=plan,
            passes=number,
            failures=tuple(self._failures.values()),
            errors=tuple(error for failed, error in self._errors.items() if failed in wanted),
            stalled=plan.waiting,
        )


def _round(step: Step) -> tuple[tuple[str, ...], Table | None]:
    """What makes it the same work again: a gateway is configured each time that one more listener has somebody."""
    return key(step), step.table if isinstance(step, Configure) else None
