"""One service's way from the replicas that stand to the replicas that should, one pass at a time.

Replicas are told apart by slot (1..n across the fleet) and by definition: *current* or *old*.

```
slot has          start-first                        stop-first
nothing           run                                run
old               run beside it (window)             drain, leave, remove (window); then it has nothing
old and current   old goes once the current serves   old goes
current           start it if it was stopped; wait until it serves; told if it failed
beyond n          goes
```

*Goes* is: drained in every pool, then out of the pools, then stopped and removed: a step a pass, so that what a pool
holds is always there. At most `parallelism` slots are being replaced at a time, lowest first (the window); a failure
closes it, and what serves stays.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil

from bayplan.facts import Facts, Replica
from bayplan.plan.board import Board
from bayplan.plan.filters import unmet
from bayplan.plan.goal import Goal, Run
from bayplan.plan.placement import Placer
from bayplan.plan.pools import join, retire
from bayplan.plan.replica import definition, slot_and_host
from bayplan.plan.standing import all_endpoints, is_serving, why_failed
from bayplan.plan.steps import (
    Failure,
    Plan,
    Presumed,
    Start,
    Step,
    Stop,
    Unplaced,
    Waiting,
)
from bayplan.spec.model import Service


@dataclass(slots=True)
class _Slot:
    """What stands in one slot. keeper: the current replica that is to stay; extra: others of the same definition."""

    keeper: Replica | None = None
    serves: bool = False
    failed: str | None = None
    extra: list[Replica] = field(default_factory=list)
    old: list[Replica] = field(default_factory=list)


class Rollout:
    """The plan for one service; `plan` is its only door. What it finds on the way it collects in its fields."""

    def __init__(self, goal: Goal, service: Service, facts: Facts, run: Run, now: float, board: Board) -> None:
        self.goal, self.service, self.facts, self.run, self.now, self.board = goal, service, facts, run, now, board
        self.spec = definition(service)
        self.steps: list[Step] = []
        self.waiting: list[Waiting] = []
        self.failures: list[Failure] = []
        self.presumed: list[Presumed] = []
        self.unplaced: list[Unplaced] = []
        self.leaving: set[str] = set()
        self.slots = self._read_slots()

    def plan(self) -> Plan:
        """Steps and the rest for this service."""
        self._count()
        for number in sorted(self.slots):
            self._tend(self.slots[number])
        self._fill()
        self._retire()
        self._join()
        self._spread()
        return Plan(
            tuple(self.steps),
            tuple(self.waiting),
            tuple(self.failures),
            tuple(self.unplaced),
            tuple(self.presumed),
        )

    # -- reading ------------------------------------------------------------------------------------------------------

    def _read_slots(self) -> dict[int, _Slot]:
        slots: dict[int, _Slot] = defaultdict(_Slot)
        for replica in self.facts.replicas(self.goal.app.name, self.service.name):
            slot = slots[replica.slot]
            (slot.extra if self._is_current(replica) else slot.old).append(replica)
        for slot in slots.values():
            slot.extra.sort(key=self._worth)
            slot.keeper = slot.extra.pop(0) if slot.extra else None
            if slot.keeper:
                slot.serves = self._serves(slot.keeper)
                slot.failed = None if slot.serves else why_failed(slot.keeper, self.service, self.run, self.now)
        return slots

    def _is_current(self, replica: Replica) -> bool:
        host = self.goal.fleet.hosts.get(replica.host)
        fits = host is not None and unmet(self.service, host) is None
        return replica.spec == self.spec and fits and replica.state not in ("removing", "dead")

    def _worth(self, replica: Replica) -> tuple[bool, int, bool, str]:
        """Which of two in one slot is to stay: the one on the host that has fewest, or, alike, the one that serves."""
        crowd = sum(1 for _ in self._on(replica.host))
        return (replica.state in ("exited", "created"), crowd, not self._serves(replica), replica.host)

    def _on(self, host: str) -> Iterable[Replica]:
        return (r for r in self.facts.replicas(self.goal.app.name, self.service.name) if r.host == host)

    def _serves(self, replica: Replica) -> bool:
        balancers = self.goal.fleet.balancer.hosts
        return is_serving(replica, self.service, balancers, self.facts, self.run, self.now)

    def _count(self) -> None:
        """Where each slot stands, for spreading: a slot that is being replaced counts where its old one is."""
        for number, slot in self.slots.items():
            at = slot.keeper or next(iter(slot.old), None)
            if at and number <= self.service.replicas:
                self.board.counts[self.service.name][at.host] += 1

    def _wanted(self) -> range:
        return range(1, self.service.replicas + 1)

    # -- what stands --------------------------------------------------------------------------------------------------

    def _tend(self, slot: _Slot) -> None:
        replica = slot.keeper
        if replica is None or replica.slot not in self._wanted() or slot.serves:
            return
        if slot.failed:
            self._give_up(replica, slot.failed)
        elif replica.state in ("exited", "created", "paused"):
            why = "was stopped" if replica.state != "created" else "was created and never started"
            self.steps.append(Start(replica.host, self.service.name, replica.name, why))
        else:
            self._wait(replica, "is starting" if not replica.alive else "is not up in every pool yet")

    def _give_up(self, replica: Replica, why: str) -> None:
        self.failures.append(Failure(replica.host, self.service.name, replica.name, why))
        if replica.state in ("running", "restarting") and replica.id in self.run.tried:
            grace = self.service.stop_grace_period
            self.steps.append(Stop(replica.host, self.service.name, replica.name, grace, "did not become ready"))

    def _wait(self, replica: Replica, why: str) -> None:
        self.waiting.append(Waiting(replica.host, self.service.name, replica.name, why))

    # -- what is missing ----------------------------------------------------------------------------------------------

    def _fill(self) -> None:
        maybe_elsewhere = self._presume()
        if self.service.name in self.run.given_up:
            return
        window = self._window()
        placer = Placer(self.goal, self.facts, self.board, self.service, self.spec)
        for number in self._wanted():
            slot = self.slots.get(number, _Slot())
            if slot.keeper or number in maybe_elsewhere:
                continue
            if not slot.old:
                placer.place(number, f"{self.service.replicas} wanted, {self._standing()} stand")
            elif number in window and self.service.update.order == "start-first":
                placer.place(number, f"release {self.goal.release} replaces {slot.old[0].name}", slot.old[0].host)
        self.steps += placer.steps
        self.waiting += placer.waiting
        self.unplaced += placer.unplaced()

    def _standing(self) -> int:
        return sum(1 for n in self._wanted() if n in self.slots)

    def _presume(self) -> set[int]:
        """Slots that may stand on hosts that do not answer: unknown is not empty.

        A gateway that knows the service's endpoints tells which; without one, all that the release before had.
        """
        unknown = tuple(
            h.name for h in self.facts.hosts.values() if not h.reachable and h.name not in self.goal.assume_down
        )
        if not unknown:
            return set()
        prefix = f"{self.goal.app.name}.{self.service.name}."
        pooled = [e for e in all_endpoints(self.facts) if e.pool.startswith(prefix)]
        if pooled:
            told = (slot_and_host(e.facts.server.name) for e in pooled)
            there = {t[0] for t in told if t and t[1] in unknown}
        else:
            there = set(range(1, self.goal.before.get(self.service.name, 0) + 1))
        missing = {n for n in self._wanted() if n not in self.slots} & there
        self.presumed += [Presumed(self.service.name, n, unknown) for n in sorted(missing)]
        return missing

    def _window(self) -> set[int]:
        """Slots that may be in the middle of being replaced now."""
        if self.failures or self.service.name in self.run.given_up:
            return set()
        limit = self.service.update.parallelism or max(1, ceil(self.service.replicas / 4))
        return set(sorted(self._unfinished())[:limit])

    def _unfinished(self) -> set[int]:
        """Slots with an old replica, and, stop-first, those whose new one does not serve yet."""
        return {
            n
            for n in self._wanted()
            if (slot := self.slots.get(n))
            and (slot.old or (self.service.update.order == "stop-first" and not slot.serves))
        }

    # -- what goes ----------------------------------------------------------------------------------------------------

    def _retire(self) -> None:
        window = self._window()
        somebody_serves = any(s.serves for n, s in self.slots.items() if n in self._wanted())
        for number in sorted(self.slots):
            slot = self.slots[number]
            if number not in self._wanted():
                if somebody_serves or not self.service.replicas:
                    leavers = [slot.keeper] if slot.keeper else []
                    self._let_go([*leavers, *slot.extra, *slot.old], f"{self.service.replicas} wanted")
                continue
            if slot.serves:
                self._let_go(slot.extra, f"{slot.keeper.name if slot.keeper else ''} serves in its place")
                self._let_go(slot.old, f"release {self.goal.release} serves in its place")
            elif self.service.update.order == "stop-first" and number in window:
                self._let_go(slot.old, f"makes room for release {self.goal.release}")
            else:
                self._let_go([r for r in slot.old if r.state in ("exited", "dead", "created")], "is of no use any more")

    def _let_go(self, replicas: Iterable[Replica], why: str) -> None:
        for replica in replicas:
            self.leaving.add(replica.id)
            if replica.state not in ("removing", "creating"):
                self.steps += retire(self.goal, replica, self.service, self.facts, why, self.waiting)
            else:
                self._wait(replica, f"is {replica.state}")

    # -- who takes traffic --------------------------------------------------------------------------------------------

    def _join(self) -> None:
        failed = {f.replica for f in self.failures}
        for replica in self.facts.replicas(self.goal.app.name, self.service.name):
            if replica.alive and replica.id not in self.leaving and replica.name not in failed:
                self.steps += join(self.goal, self.service, replica, self.facts)

    # -- rule 2 -------------------------------------------------------------------------------------------------------

    def _spread(self) -> None:
        """Two or more replicas never stand on one host while another could take one: the last of them moves."""
        keepers = [s.keeper for n, s in sorted(self.slots.items()) if n in self._wanted() and s.keeper]
        if self.service.name in self.run.given_up:
            return
        quiet = not (self.steps or self.waiting or self.failures or self.presumed or self.unplaced)
        if not quiet or len(keepers) < 2 or len({r.host for r in keepers}) > 1:  # noqa: PLR2004  rule 2's number
            return
        last = keepers[-1]
        placer = Placer(self.goal, self.facts, self.board, self.service, self.spec, never=frozenset({last.host}))
        placer.place(last.slot, f"all {len(keepers)} stand on {last.host}, which may be lost")
        self.steps += placer.steps
        self.waiting += placer.waiting
