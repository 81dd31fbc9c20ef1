"""A job's way to its end: once for each definition, one pass at a time.

```
slot has                       then
nothing                        run
current, runs                  wait for its end, as long as it takes; what is paused goes on
current, ended with 0          done: it stays, and says so
current, ended otherwise       this run started it: a failure; an earlier one did: it goes, then the slot has nothing
another definition's, runs     wait for its end: of one job two never run side by side
another definition's, ended    goes once the slot has a current one (its log is read until then)
beyond n                       goes once it has ended
```

What waits for a job's end is held meanwhile (plan/order.py). A container that is stopped by hand counts as ended. What
stands of a service that is a job by now goes as if there were no such service: it may serve yet (`slots.left_over`). It
goes first where both write to one volume, as does whatever else had that.
"""

from __future__ import annotations

from collections.abc import Iterable

from bayplan.facts import Facts, Replica
from bayplan.plan.board import Board
from bayplan.plan.everywhere import wanted_slots
from bayplan.plan.filters import reject
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.placement import Placer
from bayplan.plan.pools import displace, retire
from bayplan.plan.presume import presumed_slots
from bayplan.plan.replica import definition, replica_name
from bayplan.plan.slots import displaced, jobs_of
from bayplan.plan.standing import BEING, exit_status, why_failed
from bayplan.plan.steps import Failure, Held, Plan, Presumed, Rejection, Remove, Start, Step, Stop, Unplaced, Waiting
from bayplan.spec.model import Service

_RUNS = ("creating", "running", "restarting", "paused")


class Job:
    """The plan for one job; `plan` is its only door. held: nothing is started, for that reason."""

    def __init__(
        self,
        goal: Goal,
        service: Service,
        facts: Facts,
        run: Memory,
        now: float,
        board: Board,
        held: Held | None = None,
    ) -> None:
        self.goal, self.service, self.facts, self.run, self.now = goal, service, facts, run, now
        self.spec = definition(service, goal.app)
        self.held_by, self.is_held = held, False
        self.steps: list[Step] = []
        self.waiting: list[Waiting] = []
        self.failures: list[Failure] = []
        self.placer, self.board = Placer(goal, facts, board, service, self.spec), board
        every = sorted(facts.replicas(goal.app.name, service.name), key=lambda r: (r.slot, r.host, r.name))
        self.names, there = {r.name for r in every}, [r for r in every if r.job]
        self.slots: dict[int, list[Replica]] = {}
        for replica in there:
            self.slots.setdefault(replica.slot, []).append(replica)
        self.mine, self.displaced = jobs_of(goal, service, facts), displaced(goal, service, facts)
        self.unplaced: list[Unplaced] = []
        self.presumed = presumed_slots(goal, service, facts, self.slots, run)
        for replica in there:
            if not replica.ended:
                board.counts[service.name][replica.host] += 1

    def plan(self) -> Plan:
        """Steps and the rest for this job."""
        wanted = wanted_slots(self.goal, self.service, self.facts)
        for number in wanted:
            self._slot(number, self.slots.get(number, []))
        for number in (n for n in self.slots if n not in wanted):
            self._clear(self.slots[number], f"{len(wanted)} wanted")
        presumed = tuple(Presumed(self.service.name, n, hosts) for n, hosts in sorted(self.presumed.items()))
        return Plan(
            (*self.steps, *self.placer.steps),
            (*self.waiting, *self.placer.waiting),
            tuple(self.failures),
            (*self.unplaced, *self.placer.unplaced()),
            presumed,
            (self.held_by,) if self.held_by and self.is_held else (),
        )

    def ahead(self) -> Plan:
        """Its image, while it waits for something: see `Rollout.ahead`."""
        placer = Placer(self.goal, self.facts, self.board, self.service, self.spec)
        is_coming = self.is_held and self.held_by and not self.held_by.failed
        for number in wanted_slots(self.goal, self.service, self.facts) if is_coming else ():
            if not self.mine.get(number) and number not in self.presumed:
                placer.place(number, "later")
        return Plan(steps=placer.fetches())

    def _slot(self, number: int, there: list[Replica]) -> None:
        mine = self.mine.get(number, [])
        old = [r for r in there if r not in mine]
        keeper = next((r for r in mine if r.done), None) or next((r for r in mine if r.state in _RUNS), None)
        keeper = keeper or next(iter(mine), None)
        if keeper is None:
            self._begin(number, old)
            return
        self._clear([r for r in there if r is not keeper and r.state != "creating"], "is of no use any more")
        if keeper.done:
            self.steps += displace(self.goal, self.service, self.displaced, self.facts, self.waiting)
        else:
            self._tend(keeper)

    def _tend(self, job: Replica) -> None:
        why = why_failed(job, self.service, self.run, self.now) if job.state not in ("running", "paused") else None
        if why is not None:
            self.failures.append(Failure(job.host, self.service.name, job.name, self._as_a_job(job, why)))
            if job.state == "restarting":
                self.steps.append(self._stop(job))
        elif job.state in _RUNS:
            self._wait(job, "is starting" if job.state == "creating" else "runs, and has not ended yet")
        elif self._may_start():
            self._again(job)

    def _again(self, job: Replica) -> None:
        if job.state == "created":
            self.steps.append(Start(job.host, self.service.name, job.name, "was created and never started"))
        else:
            why = f"ended with status {job.exit_code} in an earlier run: it is run again"
            self.steps.append(Remove(job.host, self.service.name, job.name, 0, why))

    def _begin(self, number: int, old: Iterable[Replica]) -> None:
        """Run it, when nothing is in its way."""
        running = [r for r in old if r.state in _RUNS or r.state == "removing"]
        for replica in running:
            todo = f"bayplan stop {self.service.name} ends it"
            self._wait(replica, f"is of release {replica.release} and has not ended yet; {todo}")
        self._clear([r for r in old if r.name == self._name(number)], "is in the way of its successor")
        if number in self.presumed or running or self._name(number) in self.names:
            return
        if self.service.name in self.run.given_up or not self._may_start():
            return
        if self.displaced:
            self._make_room(number)
        else:
            self.placer.place(number, f"release {self.goal.release} has not run it yet")

    def _make_room(self, number: int) -> None:
        """What has its volume goes, if some host can take the job then, and once that has its image."""
        board, seat = self.board.without(self.displaced), self.placer.seats.get(number)
        berths = ((name, berth) for name, berth in board.berths.items() if seat in (None, name))
        why = {name: reject(self.service, berth, board, self.goal.fleet.ports) for name, berth in berths}
        host = next((name for name, reason in why.items() if reason is None), None)
        if host is None:
            told = tuple(Rejection(name, reason) for name, reason in why.items() if reason)
            self.unplaced.append(Unplaced(self.service.name, 1, told))
        elif self.service.image not in self.facts.hosts[host].images:
            self.placer.fetch(number, host)
            self.waiting.append(Waiting(host, self.service.name, self._name(number), "waits for its image"))
        else:
            self.steps += displace(self.goal, self.service, self.displaced, self.facts, self.waiting)

    def _may_start(self) -> bool:
        self.is_held |= self.held_by is not None
        return self.held_by is None

    def _clear(self, replicas: Iterable[Replica], why: str) -> None:
        """Away with what has ended."""
        for replica in replicas:
            if replica.state == "removing":
                self._wait(replica, f"is being {BEING[replica.state]}")
            elif replica.state in _RUNS:
                self._wait(replica, "has not ended yet")
            else:
                self.steps += retire(self.goal, replica, self.service, self.facts, why, self.waiting)

    def _wait(self, job: Replica, why: str) -> None:
        """For its end, which one that is paused never comes to: a backup that was killed may have left it so."""
        if job.state == "paused":
            self.steps.append(Start(job.host, self.service.name, job.name, "was paused"))
            return
        is_open = job.state in ("running", "restarting")
        self.waiting.append(Waiting(job.host, self.service.name, job.name, why, open_end=is_open))

    def _stop(self, job: Replica) -> Stop:
        return Stop(job.host, self.service.name, job.name, self.service.stop_grace_period, "does not end well")

    def _name(self, slot: int) -> str:
        return replica_name(self.goal.app.name, self.service.name, slot, self.goal.release)

    def _as_a_job(self, job: Replica, why: str) -> str:
        return f"ended with {exit_status(job, self.service)}" if job.state in ("exited", "dead") else why
