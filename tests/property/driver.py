"""A run of passes over a world, one at a time, that can be killed between any two steps."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from tests.property.world import BrokenPromiseError, World, outcome_of

from bayplan import labels
from bayplan.errors import PortTakenError
from bayplan.facts import Facts, HostFacts, Replica
from bayplan.plan.constraints import unmet
from bayplan.plan.everywhere import seated, wanted_slots
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.plan import plan
from bayplan.plan.replica import definition
from bayplan.plan.steps import Plan, PoolChange, Remove, Run, Start, Step, Stop, key
from bayplan.spec.model import App, Fleet, Service


class Driver:
    """Plans and applies; what it holds beside the world is what a run remembers."""

    def __init__(self, world: World, goal: Goal) -> None:
        self.world, self.goal, self.memory = world, goal, Memory()

    def restart(self) -> None:
        """As if it had been killed and started again."""
        self.memory = Memory()

    def release(self, app: App) -> None:
        """The next release, in a new run."""
        before = {n: s.replicas for n, s in self.goal.app.services.items()}
        self.goal = replace(self.goal, app=app, release=self.goal.release + 1, before=before)
        self.restart()

    def run_again(self) -> Plan:
        """What the next run plans first, if it knows of the ports that something outside the engines holds."""
        self.memory = Memory(taken=self.memory.taken)
        return self.look()[1]

    def look(self) -> tuple[Facts, Plan]:
        """Observe and plan; the plan must be a sound one."""
        facts = self.world.facts()
        known = self.memory.first_seen
        fresh = {r.id: self.world.now for r in facts.replicas() if r.id not in known}
        self.memory = replace(self.memory, first_seen={**known, **fresh})
        for replica in facts.replicas():
            self._note_stood(replica.host, replica.service, replica.slot)
        made = plan(self.goal, facts, self.world.now, self.memory)
        given_up = self.memory.given_up | {f.service for f in made.failures if not f.tolerated}
        serving, known = dict.fromkeys(made.serving, self.world.now), self.memory
        served = {r: now for r, now in serving.items() if r in known.tried} | known.served
        self.memory = replace(known, given_up=given_up, served=served, serving={**known.serving, **serving})
        check_plan(made, self.goal, facts, self.world)
        return facts, made

    def one_pass(self, seed: int = 0, share: float = 1.0) -> Plan:
        """The steps of one pass in any order, up to a share of them: then it was killed."""
        _, made = self.look()
        self.do(made.steps, seed, share)
        return made

    def do(self, given: Iterable[Step], seed: int = 0, share: float = 1.0) -> None:
        """Steps in any order, up to a share of them."""
        steps = list(given)
        random.Random(seed).shuffle(steps)
        for step in steps[: round(len(steps) * share)]:
            self._do(step)

    def killed(self, kills: Iterable[int], then: Callable[[], None] = lambda: None) -> None:
        """Runs of so many passes each, killed amid the last. then: after each pass."""
        for passes in kills:
            for seed in range(passes):
                self.one_pass(seed, 0.5 if seed == passes - 1 else 1.0)
                self.world.tick()
                then()
            self.restart()

    def _note_stood(self, host: str, service: str, slot: int) -> None:
        """It may stand there, also when the host falls silent."""
        there = self.memory.stood.get(host, frozenset()) | {("shop", service, slot)}
        self.memory = replace(self.memory, stood={**self.memory.stood, host: there})

    def _do(self, step: Step) -> None:
        if isinstance(step, Run):
            self._note_stood(step.host, step.service, step.slot)
        started, error = outcome_of(self.world, step)
        if started:
            self.memory = replace(
                self.memory,
                tried=self.memory.tried | {started},
                first_seen={**self.memory.first_seen, started: self.world.now},
            )
        if isinstance(error, PortTakenError) and isinstance(step, Run | Start):
            self.memory = replace(self.memory, taken=self.memory.taken | self._ports(step))

    def _ports(self, step: Run | Start) -> frozenset[tuple[str, int]]:
        if isinstance(step, Run):
            return frozenset((step.host, b.port) for b in step.container.ports)
        return frozenset((step.host, b.port) for b in self.world.hosts[step.host].containers[step.replica].facts.ports)

    def settle(self, passes: int = 150) -> Plan:
        """Passes until nothing is left to do or to wait for."""
        for number in range(passes):
            made = self.one_pass(seed=number)
            waiting = [
                w for w in made.waiting if not self.world.hosts[w.host].silent and self.world.hosts[w.host].powered
            ]
            if not made.steps and not waiting:
                return made
            self.world.tick()
        raise BrokenPromiseError(f"does not converge: {made.steps} {made.waiting}")


def check_plan(made: Plan, goal: Goal, facts: Facts, world: World) -> None:
    """What holds of every plan, by itself."""
    _check_independent(made.steps)
    unknown = {h.name for h in facts.hosts.values() if not h.reachable}
    on_unknown = [s for s in made.steps if s.host in unknown]
    if on_unknown:
        raise BrokenPromiseError(f"planned on a host that does not answer: {on_unknown}")
    for step in (s for s in made.steps if isinstance(s, Run)):
        _check_not_instead_of_unknown(step, goal, facts, world)
        _check_not_again(step, goal, facts)
    for step in (s for s in made.steps if isinstance(s, Remove)):
        _check_ends_by_itself(step, goal, facts)
    for step in (s for s in made.steps if isinstance(s, Run | Start)):
        _check_not_too_early(step, goal, facts)


def _check_not_instead_of_unknown(step: Run, goal: Goal, facts: Facts, world: World) -> None:
    """Invariant 8: nothing is started in the place of a replica that may well run where nobody answers.

    What a gateway tells is known; where none tells anything of the service, all that the release before had may be.
    """
    if goal.app.services[step.service].is_global:
        return  # its place is its host
    if any(r.slot == step.slot for r in facts.replicas("shop", step.service)):
        return
    prefix = f"shop.{step.service}."
    told = {e.facts.server.name for es in facts.endpoints.values() for e in es if e.pool.startswith(prefix)}
    for name, host in facts.hosts.items():
        if host.reachable or name in goal.assume_down:
            continue
        for there in (c.facts for c in world.hosts[name].containers.values()):
            is_it = (there.service, there.slot) == (step.service, step.slot)
            known = f"{there.name}.{name}" in told
            if is_it and (known or (not told and step.slot <= goal.before.get(step.service, 0))):
                raise BrokenPromiseError(f"{there.name} may well run on {name}, and {step.container.name} is planned")


def _check_not_again(step: Run, goal: Goal, facts: Facts) -> None:
    """A job that ended well has been run, and of one that runs there is no second."""
    if not goal.app.services[step.service].is_job:
        return
    for there in (r for r in _in_slot(step.service, step.slot, goal, facts) if r.job):
        if there.state == "running" or (there.done and there.spec == step.container.labels[labels.SPEC]):
            raise BrokenPromiseError(f"{step.container.name} is planned, and {there.name} is {there.state}")


def _check_ends_by_itself(step: Remove, goal: Goal, facts: Facts) -> None:
    """Nobody kills what runs of a job that the app has."""
    service = goal.app.services.get(step.service)
    there = (r for r in facts.replicas("shop", step.service) if (r.host, r.name) == (step.host, step.replica))
    if service and service.is_job and any(r.job and r.state == "running" for r in there):
        raise BrokenPromiseError(f"{step} kills a job")


def _check_not_too_early(step: Run | Start, goal: Goal, facts: Facts) -> None:
    """What waits for a job's end starts after that; what of an earlier release is started again does not wait."""
    service = goal.app.services.get(step.service)
    if service is None or (isinstance(step, Start) and not _is_current(step, service, goal, facts)):
        return
    for job in (goal.app.services[name] for name in service.depends_on):
        spec = definition(job, goal.app)
        for slot in wanted_slots(goal, job, facts) if job.is_job else ():
            if not any(r.done and r.spec == spec for r in _in_slot(job.name, slot, goal, facts)):
                raise BrokenPromiseError(f"{step} does not wait for {job.name} in slot {slot}")


def _is_current(step: Start, service: Service, goal: Goal, facts: Facts) -> bool:
    spec = definition(service, goal.app)
    return any(r.name == step.replica and r.host == step.host and r.spec == spec for r in facts.replicas("shop"))


def _in_slot(service: str, slot: int, goal: Goal, facts: Facts) -> Iterator[Replica]:
    """Of a service with one on each host, what is on that slot's host."""
    return (r for r in seated(goal, facts).replicas("shop", service) if r.slot == slot)


def _check_independent(steps: Iterable[Step]) -> None:
    """No work twice; nothing done to one replica or one server by two steps."""
    keys = [key(s) for s in steps]
    replicas = [(s.host, s.container.name) for s in steps if isinstance(s, Run)]
    replicas += [(s.host, s.replica) for s in steps if isinstance(s, Start | Stop | Remove)]
    servers = [(s.host, s.pool, s.server.name) for s in steps if isinstance(s, PoolChange)]
    for kind, found in (("step", keys), ("replica", replicas), ("server", servers)):
        if len(found) != len(set(found)):
            raise BrokenPromiseError(f"one {kind} twice in a pass: {sorted(map(str, found))}")


def hosts_of(service: Service, facts: Facts, fleet: Fleet) -> list[str]:
    """Those that a service with one on each host is to be on."""
    may = (n for n, host in fleet.hosts.items() if unmet(service, host, facts.hosts[n].engine.arch) is None)
    return sorted(may) if service.replicas else []


def assert_one_plan_in_any_order(driver: Driver, seed: int = 0) -> None:
    """The plan does not depend on the order of what was observed."""
    facts, now = driver.world.facts(), driver.world.now
    one = plan(driver.goal, facts, now, driver.memory)
    other = plan(driver.goal, _shuffled(facts, random.Random(seed)), now, driver.memory)
    assert sorted(map(str, one.steps)) == sorted(map(str, other.steps))
    assert Counter(one.waiting) == Counter(other.waiting)


def _shuffled(facts: Facts, dice: random.Random) -> Facts:
    """The same facts in another order."""

    def mixed(host: HostFacts) -> HostFacts:
        engine = replace(host.engine, replicas=tuple(dice.sample(host.engine.replicas, len(host.engine.replicas))))
        if host.gateway is None:
            return replace(host, engine=engine)
        pools = [(n, tuple(dice.sample(s, len(s)))) for n, s in host.gateway.pools.items()]
        dice.shuffle(pools)
        return replace(host, engine=engine, gateway=replace(host.gateway, pools=dict(pools)))

    hosts = list(facts.hosts.values())
    dice.shuffle(hosts)
    return Facts({h.name: mixed(h) for h in hosts})
