"""One service's way from the replicas that stand to the replicas that should, one pass at a time.

Replicas are told apart by slot (1..n across the fleet) and by definition: *current* or *old*.

```
slot has          start-first                        stop-first
nothing           run                                run
old               run beside it (window)             drain, leave, remove (window); then it has nothing
old and current   old goes once the current serves   old goes
current           start it if it was stopped; wait until it serves; told if it failed
beyond n          goes, once a slot within n serves
```

*Goes* is: drained in every pool, then out of the pools, then stopped and removed: a step a pass, so that what a pool
holds is always there. At most `parallelism` slots are being replaced at a time, lowest first (the window); one that
has just been rests in it for `delay`. A failure closes it, and what serves stays; one that is tolerated
(`max_failure_ratio`, `failure_action: continue`) leaves its own slot out of it.

Two replicas cannot share a host port or, on one host, a name, and must not write to one volume: where the new one would
need its predecessor's, the order is stop-first, and the old one goes only if some host can take the new one, and once
that has its image. While the service is *held* (plan/order.py), nothing of it is started, and nothing is taken away
that would be missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from functools import cached_property
from math import ceil, inf

from bayplan.facts import Facts, Replica
from bayplan.plan import away
from bayplan.plan.board import Board
from bayplan.plan.everywhere import seats, wanted_slots, wants_none
from bayplan.plan.filters import barred, reject
from bayplan.plan.fronts import lends
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.grants import delivery
from bayplan.plan.handover import invite, visits
from bayplan.plan.leads import leads
from bayplan.plan.placement import Placer
from bayplan.plan.pools import displace, join, retire, way_out
from bayplan.plan.presume import presumed_slots
from bayplan.plan.replica import definition, fixed_ports, host_ports, pool_name, replica_name, targets
from bayplan.plan.slots import STOPPED, Reader, Slot, displaced
from bayplan.plan.standing import BEING, endpoints, exit_status, is_led_to, is_lent, serves_alone
from bayplan.plan.steps import Failure, Held, Plan, Presumed, Rejection, Start, Step, Stop, Unplaced, Waiting
from bayplan.spec.model import Service
from bayplan.spec.pinned import writes_volume


class Rollout:
    """The plan for one service; `plan` is its only door. What it finds on the way it collects in its fields."""

    def __init__(
        self,
        goal: Goal,
        service: Service,
        facts: Facts,
        run: Memory,
        now: float,
        board: Board,
        held: Held | None = None,
        *,
        called: bool = False,
        cramped: bool = False,
    ) -> None:
        self.goal, self.service, self.facts, self.run, self.board = goal, service, facts, run, board
        self.now = now
        self.held_by, self.is_held = held, False
        self.spec = definition(service, goal.app)
        self.seats, self.wanted = seats(goal, service, facts), wanted_slots(goal, service, facts)
        self.steps: list[Step] = []
        self.waiting: list[Waiting] = []
        self.failures: list[Failure] = []
        self.unplaced: list[Unplaced] = []
        self.leaving: set[tuple[str, str]] = set()
        self.aside: set[tuple[str, str]] = set()  # those that stay for what the release has no more, and only for that
        self.fetched_first: dict[int, str] = {}  # hosts to which a slot's image comes before what makes room goes
        reader = Reader(goal, service, self.spec, facts, run, now)
        self.slots = reader.slots()
        self.failed = {n for n, slot in self.slots.items() if slot.failed and n in self.wanted}
        self.in_the_way = {r.slot: r for r in self._empty_slots_old() if self._has_my_name(r) and reader.fits(r)}
        self.displaced = displaced(goal, service, facts)
        self.presumed = presumed_slots(goal, service, facts, self.slots, run)
        self.stop_first = self._is_stop_first()
        self.wants_none = wants_none(goal, service, facts)
        fronts = (goal.app.name, service, goal.fleet.balancer.hosts, facts)
        self.led_to = is_led_to(*fronts)
        self.lent = self.led_to and (called or is_lent(*fronts)) and not self._has_anothers_port()
        self.lends = lends(goal, service, facts)
        self.makes_room = self._first_to_go() if cramped and (called or self.lends) else None

    def plan(self) -> Plan:
        """Steps and the rest for this service."""
        self._count()
        for number in sorted(self.slots):
            self._tend(self.slots[number])
        window = self._window()
        self._fill(window)
        self._displace()
        self._retire(self._able(window))
        self._join()
        self._spread()
        self._move()
        presumed = tuple(Presumed(self.service.name, n, hosts) for n, hosts in sorted(self.presumed.items()))
        held = (self.held_by,) if self.held_by and self.is_held else ()
        serving = self._watched()
        return Plan(
            tuple(self.steps), tuple(self.waiting), tuple(self.failures), tuple(self.unplaced), presumed, held, serving
        )

    def ahead(self) -> Plan:
        """Images for what starts in a later pass, behind what it waits for or when its turn comes: they are there then.

        Asked for when every service is planned: what is stowed here for that is no berth taken from anybody.
        """
        if self._has_given_up() or (self.held_by and self.held_by.failed):
            return Plan()
        placer = self._placer()
        for number in self.wanted:
            slot = self.slots.get(number)
            if number in self.fetched_first:
                placer.fetch(number, self.fetched_first[number])
            elif slot and slot.old and not slot.keeper:
                placer.fetch(number, slot.old[0].host)
            elif slot is None and self.held_by and number not in self.presumed:
                placer.place(number, "later")
        return Plan(steps=placer.fetches())

    # -- reading ------------------------------------------------------------------------------------------------------

    def _empty_slots_old(self) -> Iterable[Replica]:
        return (r for n in self.wanted if (slot := self.slots.get(n)) and not slot.keeper for r in slot.old)

    def _first_to_go(self) -> int | None:
        """The slot that is emptied of what is to go first where not all can stay: those beyond n, then from the last.
        Not one that answers behind a listener alone.
        """
        going = {n: s.old if n in self.wanted else _all_in(s) for n, s in self.slots.items()}
        free = (n for n, there in going.items() if there and (n not in self.wanted or self.slots[n].serves))
        return max((n for n in free if not any(serves_alone(r, self.facts) for r in going[n])), default=None)

    def _has_my_name(self, old: Replica) -> bool:
        return old.name == replica_name(self.goal.app.name, self.service.name, old.slot, self.goal.release)

    def _is_stop_first(self) -> bool:
        if self.service.update.order == "stop-first" or host_ports(self.service):
            return True
        if self.service.options.network_mode == "host":  # whatever it listens on
            return True
        if writes_volume(self.goal.app, self.service):
            return True
        return any(o.state not in (*STOPPED, "removing") for o in self.in_the_way.values())

    def _has_anothers_port(self) -> bool:
        """Whether an old replica has a port of its host that another service is to have: that one waits for it."""
        others = (s for s in self.goal.app.services.values() if s.name != self.service.name)
        ports = {port for s in others for port in fixed_ports(s)}
        return any(ports & r.held_ports for slot in self.slots.values() for r in slot.old)

    def _count(self) -> None:
        """Where each slot stands, for spreading: a slot that is being replaced counts where its old one is."""
        for number, slot in self.slots.items():
            at = slot.keeper or next(iter(slot.old), None)
            if at and number in self.wanted:
                self.board.counts[self.service.name][at.host] += 1

    def _has_a_place(self) -> bool:
        """Whether any host may have this definition; told, where none may and something is to go for it."""
        if not self.displaced and not (self.stop_first and any(s.old for s in self.slots.values())):
            return True
        why = tuple(Rejection(name, told) for name, told in self._barred().items() if told)
        if len(why) < len(self.board.berths):
            return True
        if not self._has_given_up() and not self.held_by and not self.unplaced:
            self.unplaced.append(Unplaced(self.service.name, 1, why))
        return False

    def _barred(self) -> dict[str, str | None]:
        """What bars each host whatever stands on it now."""
        return {name: barred(self.service, berth, self.board) for name, berth in self.board.berths.items()}

    def _has_given_up(self) -> bool:
        return any(not f.tolerated for f in self.failures) or self.service.name in self.run.given_up

    def _tolerates(self) -> bool:
        """Whether the rest goes on though some failed (Compose Deploy Specification, `update_config`)."""
        update = self.service.update
        few = len(self.failed) <= update.max_failure_ratio * len(self.wanted)
        return few or update.failure_action == "continue"

    def _watched(self) -> tuple[str, ...]:
        """What serves; until `monitor` is over, it may yet turn out to be a failure."""
        keepers = [s.keeper for n, s in sorted(self.slots.items()) if n in self.wanted and s.keeper and s.serves]
        for replica in keepers:
            if not self._has_given_up() and self._served_for(replica) < self.service.update.monitor:
                self._wait(replica, f"is watched for {self.service.update.monitor:g} s")
        return tuple(r.id for r in keepers)

    def _served_for(self, replica: Replica) -> float:
        """Seconds; what was there before this run has done so for ever."""
        if replica.id not in self.run.tried:
            return inf
        return self.now - self.run.served.get(replica.id, self.now)

    # -- what stands --------------------------------------------------------------------------------------------------

    def _tend(self, slot: Slot) -> None:
        replica = slot.keeper
        if replica is None or replica.slot not in self.wanted or slot.serves:
            return
        if slot.failed:
            self._give_up(replica, slot.failed)
        elif replica.state in ("exited", "created", "paused") and self.held_by:
            self.is_held = True
        elif replica.state in ("exited", "created", "paused"):
            self._start(replica)
        else:
            self._wait(replica, self._what_is_missing(replica))

    def _start(self, replica: Replica) -> None:
        """Again, once what it mounts from its host's memory is there: a host that was booted has forgotten it."""
        if step := delivery(self.goal.fleet.name, self.goal.app, self.service, self.facts.hosts[replica.host]):
            self.steps.append(step)
            self._wait(replica, "waits for its secrets and configs")
            return
        why = "was stopped" if replica.state != "created" else "was created and never started"
        self.steps.append(Start(replica.host, self.service.name, replica.name, why, self.service.restart))

    def _what_is_missing(self, replica: Replica) -> str:
        if replica.state == "restarting":
            return f"ended with {exit_status(replica, self.service)} and is restarted"
        if not replica.alive:
            return "is starting"
        if any(e.facts.up is False and e.facts.state != "maint" for e in endpoints(replica, self.facts)):
            return "does not answer the gateway's probe yet"
        return "is not up in every pool yet" if any(leads(self.goal.fleet, self.service)) else "has just started"

    def _give_up(self, replica: Replica, why: str) -> None:
        self.failures.append(Failure(replica.host, self.service.name, replica.name, why, self._tolerates()))
        if replica.state in ("running", "restarting") and replica.id in self.run.tried:
            grace = self.service.stop_grace_period
            self.steps.append(Stop(replica.host, self.service.name, replica.name, grace, "did not become ready"))

    def _wait(self, replica: Replica, why: str) -> None:
        self.waiting.append(Waiting(replica.host, self.service.name, replica.name, why))

    # -- what is missing ----------------------------------------------------------------------------------------------

    def _fill(self, window: set[int]) -> None:
        if self.service.name in self.run.given_up:
            return
        if self.held_by:
            self.is_held |= any(self._lacks(n) for n in self.wanted)
            return
        placer = self._placer()
        standing = sum(1 for n in self.wanted if n in self.slots)
        for number in self.wanted:
            slot = self.slots.get(number)
            if number in self.in_the_way:
                self._wait(self.in_the_way[number], "is in the way of its successor")
            elif slot is None and self.displaced:
                continue
            elif slot is None and number not in self.presumed:
                placer.place(number, f"{len(self.wanted)} wanted, {standing} {'stands' if standing == 1 else 'stand'}")
            elif slot and not slot.keeper and number in window and not self.stop_first:
                placer.place(number, f"release {self.goal.release} replaces {slot.old[0].name}", slot.old[0].host)
        self._start_placed(placer)
        self.unplaced += placer.unplaced()

    def _placer(self, never: frozenset[str] = frozenset()) -> Placer:
        return Placer(self.goal, self.facts, self.board, self.service, self.spec, never)

    def _start_placed(self, placer: Placer) -> None:
        self.steps += placer.steps
        self.waiting += placer.waiting

    def _lacks(self, number: int) -> bool:
        """Whether nothing of this definition stands in a slot, as far as is known."""
        slot = self.slots.get(number)
        return number not in self.presumed if slot is None else slot.keeper is None

    def _window(self) -> set[int]:
        """Slots that may be in the middle of being replaced now."""
        if self._has_given_up() or self.held_by:
            return set()
        limit = self._at_a_time()
        unfinished = [n for n in self.wanted if n not in self.failed and self._is_unfinished(n)]
        resting = [r for r in self._resting() if unfinished and r.slot not in unfinished]
        for replica in resting:
            self._wait(replica, f"rests for {self.service.update.delay:g} s before the next is replaced")
        return set(unfinished[: max(0, limit - len(resting))])

    def _resting(self) -> list[Replica]:
        """What has just taken its predecessor's place: `delay` goes by before another does."""
        delay = self.service.update.delay
        serving = (self.slots[n].keeper for n in self.wanted if n in self.slots and self.slots[n].serves)
        return [r for r in serving if r and delay and self._served_for(r) < delay]

    def _able(self, window: set[int]) -> set[int]:
        """Those of the window whose old replica may make room: somewhere, or, of a global service, right there."""
        if not self._has_a_place():
            return set()
        no = {name for name, why in self._barred().items() if why}
        able = {n for n in window if self.seats.get(n) not in no}
        after = {n: self._after(self.slots[n].old, n) for n in sorted(able) if self._makes_room(n)}
        full = Counter(why for host, why in after.values() if host is None)
        self.unplaced += [Unplaced(self.service.name, count, why) for why, count in full.items()]
        return able - {n for n, (host, _) in after.items() if host is None or self._is_fetched_first(n, host)}

    def _makes_room(self, number: int) -> bool:
        """Whether what stands in a slot is to go before its successor is there."""
        slot = self.slots.get(number)
        stands = slot and not slot.keeper and any(r.state not in STOPPED for r in slot.old)
        return self.stop_first and bool(stands)

    def _after(self, leaving: Collection[Replica], slot: int | None = None) -> tuple[str | None, tuple[Rejection, ...]]:
        """The host that can take the new one when these are gone, one of theirs if it can; or why none can."""
        board = self.board.without((*leaving, *self._giving_way))
        seat, why = self.seats.get(slot or 0), dict[str, str]()
        theirs = (r.host for r in leaving if r.host in board.berths and r.state not in STOPPED)
        for name in (seat,) if seat else dict.fromkeys((*theirs, *board.berths)):
            reason = reject(self.service, board.berths[name], board, self.goal.fleet.ports)
            if reason is None:
                return name, ()
            why[name] = reason
        return None, tuple(Rejection(name, why[name]) for name in board.berths if name in why)

    def _is_fetched_first(self, slot: int, host: str) -> bool:
        """Whether the image is yet to come there: what makes room serves until then, and for good if it cannot come."""
        if self.service.image in self.facts.hosts[host].images:
            return False
        self.fetched_first[slot] = host
        name = replica_name(self.goal.app.name, self.service.name, slot, self.goal.release)
        self.waiting.append(Waiting(host, self.service.name, name, "waits for its image"))
        return True

    @cached_property
    def _giving_way(self) -> tuple[Replica, ...]:
        """Those of other services that have a port of the host for this one, and are to have another: two may swap."""
        services, mine = self.goal.app.services, fixed_ports(self.service)
        there = self.facts.replicas(self.goal.app.name) if mine else ()
        wanted = {name: mine - fixed_ports(s) for name, s in services.items() if name != self.service.name}
        return tuple(r for r in there if wanted.get(r.service, set()) & r.held_ports)

    def _at_a_time(self) -> int:
        return self.service.update.parallelism or max(1, ceil(len(self.wanted) / 4))

    def _is_unfinished(self, number: int) -> bool:
        """Whether a slot has an old replica, or, stop-first, serves nobody. Where the new one serves, an old one that
        has stopped holds up nobody, as its engine may never get rid of it; nor does one that stays until another
        service has its port: that service may wait for every slot of this one.
        """
        slot = self.slots.get(number)
        if slot is None:
            return self.stop_first and number not in self.presumed
        if slot.serves:
            return not self.led_to or (not self.lent and any(r.state not in STOPPED for r in slot.old))
        return bool(slot.old) or self.stop_first

    # -- what goes ----------------------------------------------------------------------------------------------------

    def _retire(self, window: set[int]) -> None:
        if self._is_awaited_away():
            return
        serves = any(s.serves for n, s in self.slots.items() if n in self.wanted)
        for number in sorted(self.slots):
            slot = self.slots[number]
            led_to = self.led_to and (not self.lent or number == self.makes_room)
            if number in self.wanted:
                self._retire_within(slot, led_to=led_to, may_go=self.stop_first and number in window)
            elif (led_to and serves) or self.wants_none:
                self._let_go(self._surplus(number), self._why_surplus())
            else:
                self._let_go([r for r in slot.old if r.state in STOPPED], self._why_surplus())
            if self.led_to and (slot.serves if number in self.wanted else serves):
                self._end_visits(slot)
                if self.lent:
                    self._stand_aside(slot.old)

    def _surplus(self, number: int) -> list[Replica]:
        """All of a slot that is not wanted, but for what serves yet in place of another service."""
        there = _all_in(self.slots[number])
        stay = self.wants_none and self.lends and number != self.makes_room
        return [r for r in there if r.state in STOPPED] if stay else there

    def _is_awaited_away(self) -> bool:
        """Whether what stands is to serve until the managed service answers that is to take its place."""
        external = self.service.external
        there = [r for r in self.facts.replicas(self.goal.app.name, self.service.name) if r.alive]
        if external is None or not there or self.service.name in self.goal.stopped:
            return False
        why = away.unreached(self.goal, self.service, self.facts)
        if not all(why.values()):
            self._wait(there[0], f"serves until {away.place(external)} was asked")
        elif why:
            self.held_by, self.is_held = away.held(self.service, external, why), True
        return bool(why)

    def _displace(self) -> None:
        """What had its volume under another name goes first, if some host can take the service then."""
        if not self.displaced or self.held_by or self._has_given_up() or not self._has_a_place():
            return
        host, full = self._after(self.displaced)
        if host is None:
            self.unplaced.append(Unplaced(self.service.name, 1, full))
            return
        if self.wanted and self._is_fetched_first(min(self.wanted), host):
            return
        self.steps += displace(self.goal, self.service, self.displaced, self.facts, self.waiting)

    def _why_surplus(self) -> str:
        return "its host is not one for it" if self.service.is_global else f"{self.service.replicas} wanted"

    def _retire_within(self, slot: Slot, *, led_to: bool, may_go: bool) -> None:
        if led_to and slot.serves and slot.keeper:
            self._let_go(slot.extra, f"{slot.keeper.name} on {slot.keeper.host} serves in its place")
            self._let_go(slot.old, f"release {self.goal.release} serves in its place")
        elif may_go:
            self._let_go(slot.old, f"makes room for release {self.goal.release}")
        else:
            self._let_go([r for r in slot.old if r.state in (*STOPPED, "removing")], "is of no use any more")

    def _let_go(self, replicas: Iterable[Replica], why: str) -> None:
        for replica in replicas:
            self.leaving.add((replica.host, replica.name))
            if replica.state not in BEING:
                self.steps += retire(self.goal, replica, self.service, self.facts, why, self.waiting)
            else:
                self._wait(replica, f"is being {BEING[replica.state]}")

    def _end_visits(self, slot: Slot) -> None:
        """Those that stay leave the pools in which they are guests."""
        for replica in (slot.keeper, *slot.extra, *slot.old):
            if replica is None or (replica.host, replica.name) in self.leaving:
                continue
            why, there = "the handover of its listener is over", visits(replica, self.facts)
            self.steps += way_out(replica, there, self.service.drain, why, self.waiting)

    def _stand_aside(self, replicas: Iterable[Replica]) -> None:
        """Those that stay to be called where the release has no port leave the pools in which others serve in their
        place: two services that clients ask, and that both lose a port, would keep each other for good.
        """
        mine = {pool_name(self.goal.app.name, self.service.name, target) for target in targets(self.service)}
        for replica in replicas:
            if (replica.host, replica.name) not in self.leaving:
                self.aside.add((replica.host, replica.name))
                there = (e for e in endpoints(replica, self.facts) if e.pool in mine)
                why = f"release {self.goal.release} serves in its place"
                self.steps += way_out(replica, there, self.service.drain, why, self.waiting)

    # -- who takes traffic --------------------------------------------------------------------------------------------

    def _join(self) -> None:
        out = self.leaving | self.aside | {(f.host, f.replica) for f in self.failures} | self._displaced_by_others()
        outdated = self._outdated()
        for replica in self.facts.replicas(self.goal.app.name, self.service.name):
            if replica.alive and (replica.host, replica.name) not in out:
                steps = join(self.goal, self.service, replica, self.facts)
                self.steps += (s for s in steps if s.action != "join" or replica.name not in outdated)
        if not self.led_to:
            self.steps += invite(self.goal, self.service, self.facts)

    def _outdated(self) -> set[str]:
        """Names of old ones that come back, with a host that was away: they enter no pool while who took their place
        has traffic.
        """
        taken = (s for s in self.slots.values() if s.old and s.keeper)
        replaced = (s for s in taken if s.keeper and any(e.facts.has_passed for e in endpoints(s.keeper, self.facts)))
        return {r.name for s in replaced for r in s.old}

    def _displaced_by_others(self) -> set[tuple[str, str]]:
        """What makes room for a service that has its volume by now: that one's plan has it."""
        if not any(r.volumes for slot in self.slots.values() for r in slot.old):
            return set()
        services = self.goal.app.services.values()
        return {(r.host, r.name) for s in services for r in displaced(self.goal, s, self.facts)}

    # -- rule 2 -------------------------------------------------------------------------------------------------------

    def _spread(self) -> None:
        """Two or more replicas never stand on one host while another could take one: the last of them moves."""
        keepers = self._keepers()
        if self._is_busy() or len(keepers) < 2 or len({r.host for r in keepers}) > 1:  # noqa: PLR2004  rule 2's number
            return
        last = keepers[-1]
        placer = self._placer(never=frozenset({last.host}))
        placer.place(last.slot, f"all {len(keepers)} stand on {last.host}, which may be lost")
        self._start_placed(placer)

    # -- moves --------------------------------------------------------------------------------------------------------

    def _move(self) -> None:
        """What is asked to stand elsewhere starts there; the one that it has goes once that serves."""
        wanted = {k.slot: self.goal.moves.get((self.service.name, k.slot), k.host) for k in self._keepers()}
        due = [k for k in self._keepers() if wanted[k.slot] != k.host]
        if not due or self._is_busy():
            return
        for keeper in due[: self._at_a_time()]:
            target = wanted[keeper.slot]
            others = frozenset(self.board.berths) - {target}
            placer = self._placer(never=others)
            placer.place(keeper.slot, f"moves from {keeper.host}")
            self._start_placed(placer)
            self.unplaced += placer.unplaced()

    def _keepers(self) -> list[Replica]:
        return [s.keeper for n, s in sorted(self.slots.items()) if n in self.wanted and s.keeper]

    def _is_busy(self) -> bool:
        """Whether anything of the service is to be done or waited for first."""
        left = self.steps or self.waiting or self.unplaced or self.presumed or self.held_by
        return bool(left) or self._has_given_up()


def _all_in(slot: Slot) -> list[Replica]:
    return [*([slot.keeper] if slot.keeper else []), *slot.extra, *slot.old]
