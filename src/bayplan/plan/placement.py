"""Finding a host for each missing replica: filters, then `pack.Ranking`, then the steps that it takes there."""

from __future__ import annotations

from collections import Counter
from functools import cached_property

from bayplan import labels
from bayplan.facts import Facts
from bayplan.plan.board import Berth, Board
from bayplan.plan.everywhere import seats
from bayplan.plan.filters import barred, filters_of, reject
from bayplan.plan.goal import Goal
from bayplan.plan.grants import delivery
from bayplan.plan.names import bridge_name, network_name
from bayplan.plan.pack import Choice, Ranking
from bayplan.plan.replica import bindings, is_cut_off, replica_container, replica_name
from bayplan.plan.steps import Deliver, Network, Pull, Rejection, Run, Step, Unplaced, Waiting, kind
from bayplan.spec.model import Service
from bayplan.spec.pinned import pinned


class Placer:
    """Places replicas of one service one by one, and keeps what it found: steps, waiting, unplaced."""

    def __init__(
        self,
        goal: Goal,
        facts: Facts,
        board: Board,
        service: Service,
        spec: str,
        never: frozenset[str] = frozenset(),
    ) -> None:
        self.goal, self.facts, self.board, self.service, self.spec = goal, facts, board, service, spec
        self.never, self.seats = never, seats(goal, service, facts)
        self._filters = filters_of(service, board)
        self.steps: list[Step] = []
        self.waiting: list[Waiting] = []
        self._prepared: set[tuple[str, str, str]] = set()
        self._left_over: Counter[tuple[Rejection, ...]] = Counter()

    def place(self, slot: int, why: str, instead_of: str | None = None) -> None:
        """Stow one slot. instead_of: the host of the replica that it replaces, which is the first choice."""
        self._count(instead_of, -1)
        seat = self.seats.get(slot)
        choice = self._at(seat) if seat else self._choose(instead_of)
        if choice is None:
            self._count(instead_of, 1)
            self._left_over[self._why_not(seat)] += 1
            return
        self._stow(slot, self.board.berths[choice.host], f"{why}; {choice.why}")
        changed = tuple(self._rejected) if any(pinned(self.goal.app, self.service)) else (choice.host,)
        for host in changed:  # all of them: its volume has a home now
            self._look_at(host)

    def fetch(self, slot: int, host: str) -> None:
        """The image to a host where the slot is likely to stand later, if that may have it at all."""
        berth = self.board.berths.get(host)
        if berth is not None and barred(self.service, berth, self.board) is None:
            self._fetch(berth, replica_name(self.goal.app.name, self.service.name, slot, self.goal.release))

    def fetches(self) -> tuple[Step, ...]:
        """Of the steps those that only bring an image."""
        return tuple(s for s in self.steps if isinstance(s, Pull))

    def unplaced(self) -> list[Unplaced]:
        """What no host could take."""
        return [Unplaced(self.service.name, count, why) for why, count in self._left_over.items()]

    @cached_property
    def _rejected(self) -> dict[str, str | None]:
        """The reason of each host, kept up as hosts fill: placing one changes the answer of one host."""
        return {name: self._reject(name) for name in self.board.berths if name not in self.never}

    @cached_property
    def _ranking(self) -> Ranking:
        """Those that can take one, in order."""
        fleet, counts = self.goal.fleet, self.board.counts[self.service.name]
        demand = self.board.demand(self.service)
        ranking = Ranking(self.service, self.board.berths, counts, fleet.hosts, fleet.tolerate, demand)
        for name, reason in self._rejected.items():
            ranking.update(name, able=reason is None)
        return ranking

    def _count(self, host: str | None, change: int) -> None:
        """A replica that is being replaced counts where its successor is, and no longer where it is itself."""
        if host is not None:
            self.board.counts[self.service.name][host] += change
            if host in self._rejected:
                self._look_at(host)

    def _look_at(self, host: str) -> None:
        self._rejected[host] = self._reject(host)
        self._ranking.update(host, able=self._rejected[host] is None)

    def _reject(self, host: str) -> str | None:
        return reject(self.service, self.board.berths[host], self.board, self.goal.fleet.ports, self._filters)

    def _why_not(self, seat: str | None) -> tuple[Rejection, ...]:
        told = [Rejection(host, reason) for host, reason in self._rejected.items() if reason and seat in (None, host)]
        if seat is not None:
            return tuple(told)
        silent = [Rejection(h.name, f"does not answer ({h.why})") for h in self.facts.hosts.values() if not h.reachable]
        return (*told, *silent)

    def _at(self, seat: str) -> Choice | None:
        return Choice(seat, "one a host") if self._rejected.get(seat, "") is None else None

    def _choose(self, instead_of: str | None) -> Choice | None:
        if instead_of is not None and self._rejected.get(instead_of, "") is None:
            return Choice(instead_of, "in its place")
        return self._ranking.best()

    def _stow(self, slot: int, berth: Berth, why: str) -> None:
        free = self.board.ports_for(berth, self.service, self.goal.fleet.ports) or ()
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
        is_alone = is_cut_off(self.goal.app, self.service)
        network, needed = network_name(fleet, app, cut_off=is_alone), []
        if not berth.facts.is_guarded:
            needed.append("its guard")
        if network not in berth.facts.engine.networks:
            needed.append("its network")
            told = {labels.FLEET: fleet, labels.APP: app}
            bridge = bridge_name(fleet, app, cut_off=is_alone)
            self._once(Network(host, network, bridge, "nobody who is on it stood here before", told))
        if not self._is_named(berth):
            needed.append("its names")
        if not self._fetch(berth, replica):
            needed.append("its image")
        if step := delivery(fleet, self.goal.app, self.service, berth.facts):
            needed.append("its secrets and configs")
            self._once(step)
        return ", ".join(needed)

    def _fetch(self, berth: Berth, replica: str) -> bool:
        """Whether the image is there; if not, a step for it."""
        is_there = self.service.image in berth.facts.images
        if not is_there:
            self._once(Pull(berth.host.name, self.service.image, f"{replica} is to run here"))
        return is_there

    def _is_named(self, berth: Berth) -> bool:
        """Whether the gateway there has laid down what the replica is to know by name: it mounts that file."""
        if berth.facts.gateway is None or self.service.options.network_mode:
            return berth.facts.gateway is not None
        app, service = self.goal.app.name, self.service.name
        return any(n.service == service and n.app == app for n in berth.facts.gateway.table.names)

    def _once(self, step: Network | Pull | Deliver) -> None:
        key = (kind(step), step.host, step.name if isinstance(step, Network) else "")
        if key not in self._prepared:
            self._prepared.add(key)
            self.steps.append(step)
