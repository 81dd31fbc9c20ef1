"""What stands in each slot of a service: 1..n across the fleet, *current* or *old* by definition."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from bayplan.facts import Facts, HostFacts, Replica
from bayplan.plan.constraints import unmet
from bayplan.plan.everywhere import wanted_slots
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.names import network_name
from bayplan.plan.replica import definition, host_ports, is_cut_off
from bayplan.plan.standing import endpoints, is_serving, is_unheard, why_failed
from bayplan.spec.model import App, Fleet, Service
from bayplan.spec.pinned import pinned, written_volumes

STOPPED = ("exited", "created", "dead")


def left_over(goal: Goal, facts: Facts) -> tuple[Replica, ...]:
    """Replicas of services that the app does not have any more, or has as jobs: nobody is to be served by those."""
    return tuple(r for r in facts.replicas(goal.app.name) if _is_left_over(r, goal))


def _is_left_over(replica: Replica, goal: Goal) -> bool:
    service = goal.app.services.get(replica.service)
    return service is None or (service.is_job and not replica.job and goal.touches(service.name))


def of_before(goal: Goal, facts: Facts) -> Iterator[Replica]:
    """What runs of another definition than its service has by now."""
    for service in (s for s in goal.app.services.values() if not s.is_job):
        yield from predecessors_of(service, goal, facts)


def predecessors(goal: Goal, facts: Facts) -> Iterator[Replica]:
    """Those that are going to be replaced."""
    return (old for old in of_before(goal, facts) if goal.touches(old.service))


def predecessors_of(service: Service, goal: Goal, facts: Facts) -> Iterator[Replica]:
    """Of one service."""
    spec = definition(service, goal.app)
    there = facts.replicas(goal.app.name, service.name)
    return (r for r in there if r.spec != spec and r.state not in (*STOPPED, "removing"))


def namesakes(goal: Goal, facts: Facts) -> Iterator[Replica]:
    """Those that run by a name that the release gives, and are not what it says: another bayplan had another digest for
    the same, or their host had another address. An engine has a name once: of this release's number, their successors
    could only be started when they have gone.
    """
    for service in (s for s in goal.app.services.values() if not (s.is_job or s.external)):
        for old in facts.replicas(goal.app.name, service.name):
            runs = old.state not in (*STOPPED, "removing")
            if old.release == goal.release and runs and not is_of(goal.fleet, goal.app, service, old):
                yield old


def is_of(fleet: Fleet, app: App, service: Service, replica: Replica) -> bool:
    """Whether it is what the service says, where its host is reached by now."""
    return replica.spec == definition(service, app) and is_reached(fleet, service, replica)


def is_reached(fleet: Fleet, service: Service, replica: Replica) -> bool:
    """Whether its ports are at its host's private address, which may be another one by now."""
    told = {fleet.hosts[replica.host].private_ip, *(p.address for p in host_ports(service))}
    return all(b.address in told for b in replica.ports)


def displaced(goal: Goal, service: Service, facts: Facts) -> tuple[Replica, ...]:
    """Those that have a volume which the service is to write to, and their own has no more, as one has that was given
    another name, or is a job by now: two must not, so they go before it starts.
    """
    names = written_volumes(goal.app, service)
    if not names or not wanted_slots(goal, service, facts):
        return ()
    others = (r for r in facts.replicas(goal.app.name) if r.service != service.name or _is_left_over(r, goal))
    return tuple(r for r in others if r.state not in STOPPED and not names.isdisjoint(_had(goal, r)))


def _had(goal: Goal, replica: Replica) -> frozenset[str]:
    """Volumes that it mounts, and its service does not."""
    service = None if _is_left_over(replica, goal) else goal.app.services[replica.service]
    has = frozenset(v.name for _, v in pinned(goal.app, service)) if service else frozenset[str]()
    return frozenset(replica.volumes) - has


@dataclass(slots=True)
class Slot:
    """keeper: the current replica that is to stay; extra: others of the same definition; old: of any other."""

    keeper: Replica | None = None
    serves: bool = False
    failed: str | None = None
    extra: list[Replica] = field(default_factory=list)
    old: list[Replica] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the slots of one service from one pass's facts. spec: the digest that makes a replica current."""

    goal: Goal
    service: Service
    spec: str
    facts: Facts
    run: Memory
    now: float

    def slots(self) -> dict[int, Slot]:
        """By number. Of two in one slot, the one that stays is chosen after all those that have theirs alone."""
        slots: dict[int, Slot] = defaultdict(Slot)
        replicas = self.facts.replicas(self.goal.app.name, self.service.name)
        for replica in sorted(replicas, key=lambda r: (r.slot, r.host, r.name)):
            (slots[replica.slot].extra if self._is_current(replica) else slots[replica.slot].old).append(replica)
        numbers = wanted_slots(self.goal, self.service, self.facts)
        wanted = [s for n, s in sorted(slots.items()) if n in numbers]
        self._thin_out(wanted)
        crowd = Counter(s.extra[0].host for s in wanted if len(s.extra) == 1)
        for number in sorted(slots):
            self._keep_one(slots[number], crowd)
        return dict(slots)

    def _thin_out(self, wanted: Iterable[Slot]) -> None:
        """Those of which a host has more than `max_replicas_per_node`, as it is by now, are to stand elsewhere."""
        most, there = self.service.placement.max_per_host, Counter[str]()
        for slot in wanted if most else ():
            over = [r for r in slot.extra if most and there[r.host] >= most]
            slot.old += over
            slot.extra = [r for r in slot.extra if r not in over]
            there.update({r.host for r in slot.extra})

    def _keep_one(self, slot: Slot, crowd: Counter[str]) -> None:
        if not slot.extra:
            return
        alone = len(slot.extra) == 1
        slot.keeper = slot.extra[0] if alone else min(slot.extra, key=lambda r: self._worth(r, crowd))
        slot.extra.remove(slot.keeper)
        crowd[slot.keeper.host] += not alone
        slot.serves = self._serves(slot.keeper)
        slot.failed = None if slot.serves else self._why_failed(slot.keeper)

    def _worth(self, replica: Replica, crowd: Counter[str]) -> tuple[bool, bool, bool, float, float, int, bool, str]:
        """Lowest stays: not stopped, not broken before this run, where it is to move, on the emptiest host, serving.

        Of two with volumes, each has data of its own. The one that more gateways lead to, or that was begun later, was
        put there when the other one's host was lost.
        """
        serves = self._serves(replica)
        broken = not serves and replica.id not in self.run.tried and self._why_failed(replica) is not None
        stopped = replica.state in STOPPED
        elsewhere = self.goal.moves.get((replica.service, replica.slot), replica.host) != replica.host
        led = sum(e.facts.state == "ready" for e in endpoints(replica, self.facts)) if replica.volumes else 0
        made = replica.made if replica.volumes else 0.0
        return (stopped, broken, elsewhere, -led, -made, crowd[replica.host], not serves, replica.host)

    def _is_current(self, replica: Replica) -> bool:
        if replica.spec != self.spec or replica.state in ("removing", "dead"):
            return False
        is_here = self.fits(replica) and is_reached(self.goal.fleet, self.service, replica)
        return is_here and not self._can_never_start(replica)

    def fits(self, replica: Replica) -> bool:
        """Whether the constraints let it stand where it stands."""
        host = self.goal.fleet.hosts.get(replica.host)
        if host is None:
            return False
        return unmet(self.service, host, self.facts.hosts[replica.host].engine.arch) is None

    def _can_never_start(self, replica: Replica) -> bool:
        """A stopped one whose port something else took meanwhile, or whose network somebody removed."""
        if replica.state not in STOPPED:
            return False
        host = self.facts.hosts[replica.host]
        is_alone = is_cut_off(self.goal.app, self.service)
        taken, network = _taken(host, self.run), network_name(self.goal.fleet.name, replica.app, cut_off=is_alone)
        is_lost = replica.cut or (not self.service.options.network_mode and network not in host.engine.networks)
        return is_lost or not taken.isdisjoint(replica.held_ports)

    def _serves(self, replica: Replica) -> bool:
        return is_serving(replica, self.service, self.goal.fleet, self.facts, self.run, self.now)

    def _why_failed(self, replica: Replica) -> str | None:
        """Of one that does not serve."""
        if is_unheard(replica, self.service, self.goal.fleet, self.facts):
            return None  # for all that is known, it serves
        return why_failed(replica, self.service, self.run, self.now)


def jobs_of(goal: Goal, job: Service, facts: Facts) -> dict[int, list[Replica]]:
    """A job's containers of the release's very definition, by slot."""
    spec = definition(job, goal.app)
    found: dict[int, list[Replica]] = defaultdict(list)
    for replica in sorted(facts.replicas(goal.app.name, job.name), key=lambda r: (r.slot, r.host, r.name)):
        if replica.job and replica.spec == spec and replica.state != "removing":
            found[replica.slot].append(replica)
    return found


def _taken(host: HostFacts, run: Memory) -> frozenset[tuple[str, int]]:
    return host.engine.taken | {("tcp", port) for name, port in run.taken if name == host.name}
