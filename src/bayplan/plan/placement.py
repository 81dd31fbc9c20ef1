"""Finding a host for each missing replica: filters, then `pack.choose`, then the steps that it takes there."""

from __future__ import annotations

from collections import Counter

from bayplan.facts import Facts
from bayplan.plan.board import Berth, Board
from bayplan.plan.filters import reject
from bayplan.plan.goal import Goal
from bayplan.plan.names import bridge_name
from bayplan.plan.pack import Choice, choose
from bayplan.plan.replica import bindings, network_name, replica_container, replica_name
from bayplan.plan.steps import Network, Pull, Rejection, Run, Step, Unplaced, Waiting
from bayplan.spec.model import Service


class Placer:
    """Places replicas of one service one by one, and keeps what it found: steps, waiting, unplaced."""

    def __init__(
        self,
        goal: Goal,
        facts: Facts,
        board: Board,
        service: Service,
        spec: str,
        *,
        never: frozenset[str] = frozenset(),
    ) -> None:
        self.goal, self.facts, self.board, self.service, self.spec, self.never = (
            goal,
            facts,
            board,
            service,
            spec,
            never,
        )
        self.steps: list[Step] = []
        self.waiting: list[Waiting] = []
        self._left_over: Counter[tuple[Rejection, ...]] = Counter()

    def place(self, slot: int, why: str, instead_of: str | None = None) -> None:
        """Stow one slot. instead_of: the host of the replica that it replaces, which is the first choice."""
        rejected = {b.host.name: reason for b in self.board.berths.values() if (reason := self._reject(b))}
        able = [b for name, b in self.board.berths.items() if name not in rejected]
        if not able:
            self._left_over[self._why_not(rejected)] += 1
            return
        choice = self._choose(able, instead_of)
        self._stow(slot, self.board.berths[choice.host], f"{why}; {choice.why}", instead_of)

    def unplaced(self) -> list[Unplaced]:
        """What no host could take."""
        return [Unplaced(self.service.name, count, why) for why, count in self._left_over.items()]

    def _reject(self, berth: Berth) -> str | None:
        if berth.host.name in self.never:
            return "the replicas that it is to stand apart from are there"
        return reject(self.service, berth, self.board, self.goal.fleet.ports)

    def _why_not(self, rejected: dict[str, str]) -> tuple[Rejection, ...]:
        unreachable = {h.name: f"does not answer ({h.why})" for h in self.facts.hosts.values() if not h.reachable}
        return tuple(Rejection(host, reason) for host, reason in (rejected | unreachable).items())

    def _choose(self, able: list[Berth], instead_of: str | None) -> Choice:
        if any(b.host.name == instead_of for b in able):
            return Choice(instead_of or "", "in its place")
        counts = dict(self.board.counts[self.service.name])
        if instead_of in counts:
            counts[instead_of] -= 1
        return choose(self.service, [b.host for b in able], counts, tuple(self.goal.fleet.hosts.values()))

    def _stow(self, slot: int, berth: Berth, why: str, instead_of: str | None) -> None:
        free = self.board.ports_for(berth, self.service, self.goal.fleet.ports) or ()
        if instead_of:
            self.board.counts[self.service.name][instead_of] -= 1
        self.board.take(berth, self.service, free)
        name = replica_name(self.goal.app.name, self.service.name, slot, self.goal.release)
        missing = self._prepare(berth, name)
        if missing:
            self.waiting.append(Waiting(berth.host.name, self.service.name, name, f"waits for {missing}"))
            return
        ports = bindings(self.service, berth.host, free)
        container = replica_container(self.goal, self.service, slot, berth.host, ports, self.spec)
        self.steps.append(Run(berth.host.name, self.service.name, slot, container, why))

    def _prepare(self, berth: Berth, replica: str) -> str:
        """What the host must have before: told, and a step for it."""
        fleet, app, host = self.goal.fleet.name, self.goal.app.name, berth.host.name
        network, needed = network_name(fleet, app), []
        if network not in berth.facts.engine.networks:
            needed.append("its network")
            self._once(Network(host, network, bridge_name(fleet, app), "no replica of the app stood here before"))
        if self.service.image not in berth.facts.images:
            needed.append("its image")
            self._once(Pull(host, self.service.image, f"{replica} is to run here"))
        return " and ".join(needed)

    def _once(self, step: Network | Pull) -> None:
        same = (s for s in self.steps if isinstance(s, type(step)) and s.host == step.host)
        if not any(same):
            self.steps.append(step)
