"""Stories of whole projects: files that are edited, brought up, killed amid that, on hosts that fail and come back.

At every step the world's own invariants hold, and no balancer is left without an answer to a request that it had one
for, as long as the release has anybody for it. At the end each request is answered by the service that is to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from hypothesis import given as with_any
from tests.property.doors import REQUESTS, Door, answers, doors_of, owner, pool_for
from tests.property.driver import Driver, assert_one_plan_in_any_order, hosts_of
from tests.property.projects import Draft, Event, drafts, edited, mended, sizes, small_fleet, stories
from tests.property.world import BrokenPromiseError, World

from bayplan.errors import UsageError
from bayplan.facts import Replica
from bayplan.haproxy.words import AWAY
from bayplan.operate.release import Chosen, only
from bayplan.plan.goal import Goal
from bayplan.plan.halt import halt
from bayplan.plan.replica import definition, fixed_ports, host_ports, server_name, service_of
from bayplan.plan.steps import Plan, Step
from bayplan.spec.model import App, Fleet, Service


class Site(World):
    """A world that is watched from where its clients are. goal: what is being done for them."""

    goal: Goal | None = None

    def serving(self) -> dict[tuple[str, str], set[str]]:
        """The servers that answer each request, by balancer and request."""
        found: dict[tuple[str, str], set[str]] = {}
        for name in self.fleet.balancer.hosts:
            for request in REQUESTS:
                found[name, str(request)] = set(self._answering(name, request))
        return found

    def _answering(self, host: str, request: Door) -> Iterator[str]:
        gateway = self.hosts[host].gateway
        pool = {p.name: p for p in gateway.table.pools}.get(pool_for(gateway.table, request) or "")
        servers = gateway.pools[pool.name].values() if pool else ()
        found = [s.server.name for s in servers if pool and s.state == "ready" and self.is_well(pool, s.server)]
        yield from found
        if pool and pool.fixed and self.away_answers and not found:
            yield f"{AWAY} {pool.service}"

    def _check_not_emptied(self, step: Step, before: dict[tuple[str, str], set[str]]) -> None:
        after, asked = self.serving(), {str(request): request for request in REQUESTS}
        for (host, request), there in before.items():
            servers = {s for s in there if s.rpartition(".")[2] not in self.judged_down}
            if servers and host not in self.judged_down and not self._is_excused(asked[request], servers):
                now = after.get((host, request), set())
                if not now or not self._may_answer(asked[request], servers, now):
                    told = f"{type(step).__name__} on {step.host} ({step.why})"
                    raise BrokenPromiseError(f"{told} left {now or 'nobody'} for {request} on {host}, not {servers}")

    def _services(self, servers: set[str]) -> set[str]:
        away = {server.removeprefix(f"{AWAY} ") for server in servers if server.startswith(f"{AWAY} ")}
        return away | {r.service for r in self.replicas() if server_name(r.name, r.host) in servers}

    def _may_answer(self, request: Door, before: set[str], now: set[str]) -> bool:
        """Who answers it now is who did, or one that may by the file: who is to, or whose door is a wider one."""
        assert self.goal
        services = self.goal.app.services.items()
        may = {name for name, service in services if any(answers(door, request) for door in doors_of(service))}
        return self._services(now) <= self._services(before) | may

    def _is_excused(self, request: Door, servers: set[str]) -> bool:
        """Nobody is to answer it, or who did or is to does so by itself: it goes before its successor comes."""
        assert self.goal
        app, stopped = self.goal.app, self.goal.stopped
        new = owner(app, request)
        if new is None or not self.is_run(new) or new.name in stopped:
            return True
        those = self._services(servers)
        first = {r.service for r in self.replicas() if r.volumes or self._is_in_the_way(r)}
        first |= set(filter(self._goes_first, app.services))
        kept = {
            n for n, s in app.services.items() if not self.is_run(s) and any(answers(d, request) for d in doors_of(s))
        }
        return self._goes_first(new.name) or bool(those & (first | stopped | kept))

    def is_run(self, service: Service) -> bool:
        """Whether there is to be anybody of it."""
        if service.external:
            return self.away_answers
        hosts = hosts_of(service, self.facts(), self.fleet)
        return bool(service.replicas and (hosts or not service.is_global))

    def _goes_first(self, name: str) -> bool:
        service = self.goal.app.services[name] if self.goal else None
        return bool(service and (service.mounts or host_ports(service) or service.update.order == "stop-first"))

    def _is_in_the_way(self, replica: Replica) -> bool:
        """Whether it has a port of its host that another service is to have."""
        assert self.goal
        others = (s for s in self.goal.app.services.values() if s.name != replica.service)
        return any(fixed_ports(s) & replica.held_ports for s in others)


class Project:
    """The file, what was released of it, and the fleet."""

    def __init__(self, fleet: Fleet, app: App) -> None:
        self.world, self.file, self.every = Site(fleet), app, fleet.hosts
        self.driver = Driver(self.world, Goal(fleet, App(name="shop"), 0))
        self._release(app, frozenset(), None)

    def tell(self, event: Event) -> None:
        told = getattr(self, f"_{event.kind.replace(' ', '_')}", None)
        if told:
            told(event)
        else:
            self.file = edited(self.file, event)
        self.world.check_servers()
        self.world.check()

    # -- what its owner does ------------------------------------------------------------------------------------------

    def _up(self, event: Event) -> None:
        self._release(self.file, frozenset(), None)
        self._run(event.who, event.share)

    def _go_on(self, event: Event) -> None:
        """The run that began last, whatever has happened meanwhile."""
        self._run(event.other)

    def _up_one(self, event: Event) -> None:
        """And what it depends on; as `operate/bring.py` does it."""
        if not self.file.services:
            return
        name = list(self.file.services)[event.who % len(self.file.services)]
        asked, now = self.file.with_needed({name}), self.driver.goal
        try:
            app = only(Chosen(now.release, now.app, is_new=False, before={}), self.file, asked)
        except UsageError:
            return
        self._release(app, now.stopped - asked, asked)
        self._run(event.other)

    def _stop(self, event: Event) -> None:
        now = self.driver.goal
        if not now.app.services:
            return
        name = list(now.app.services)[event.who % len(now.app.services)]
        self._release(now.app, now.stopped | {name}, None)
        for number in range(event.other):
            facts = self.world.facts()
            which = {(r.host, r.name) for r in facts.replicas("shop", name)}
            self.driver.do(halt(self.driver.goal, which, facts, "stopped").steps, number)
            self.world.tick()

    def _release(self, app: App, stopped: frozenset[str], asked: frozenset[str] | None) -> None:
        now = self.driver.goal
        is_new = (app, stopped) != (now.app, now.stopped)
        before = {n: s.replicas for n, s in now.app.services.items()}  # also of a release that is brought up again
        if stopped:
            asked = (asked if asked is not None else frozenset(app.services)) - stopped
        goal = replace(now, app=app, stopped=stopped, only=asked, before=before, release=now.release + is_new)
        self._set(goal)

    def _set(self, goal: Goal) -> None:
        self.driver.goal = self.world.goal = goal
        self.world.fleet, self.world.judged_down = goal.fleet, goal.assume_down
        self.driver.restart()

    def _run(self, passes: int, share: float = 1.0) -> None:
        """Until it is killed amid the last pass, or is done."""
        for number in range(passes):
            made = self.driver.one_pass(number, share if number == passes - 1 else 1.0)
            if not made.steps and not made.waiting:
                return
            self.world.tick()

    # -- what happens to the fleet ------------------------------------------------------------------------------------

    def _host(self, number: int) -> str:
        return list(self.world.hosts)[number % len(self.world.hosts)]

    def _balancers(self, event: Event) -> None:
        goal = self.driver.goal
        count = 1 + event.other % 2
        there = list(goal.fleet.hosts)
        hosts = tuple(dict.fromkeys(there[(event.who + i) % len(there)] for i in range(count)))
        fleet = goal.fleet.model_copy(update={"balancer": goal.fleet.balancer.model_copy(update={"hosts": hosts})})
        self._set(replace(goal, fleet=fleet))

    def _hosts(self, event: Event) -> None:
        """One goes from fleet.yaml, or comes back into it; not the last, nor the last balancer."""
        goal, name = self.driver.goal, self._host(event.who)
        there = {*goal.fleet.hosts} ^ {name}
        balancers = tuple(host for host in goal.fleet.balancer.hosts if host in there)
        if balancers:
            hosts = {host: h for host, h in self.every.items() if host in there}
            on = goal.fleet.balancer.model_copy(update={"hosts": balancers})
            down = goal.assume_down & there
            self._set(
                replace(goal, fleet=goal.fleet.model_copy(update={"hosts": hosts, "balancer": on}), assume_down=down)
            )

    def _cut(self, event: Event) -> None:
        self.world.hosts[self._host(event.who)].silent = True

    def _power(self, event: Event) -> None:
        self.world.lose_power(self._host(event.who))

    def _return(self, event: Event) -> None:
        host, goal = self._host(event.who), self.driver.goal
        self.world.come_back(host)
        self._set(replace(goal, assume_down=goal.assume_down - {host}))

    def _assume(self, event: Event) -> None:
        host, goal = self._host(event.who), self.driver.goal
        if self.world.hosts[host].silent or not self.world.hosts[host].powered:
            self._set(replace(goal, assume_down=goal.assume_down | {host}))

    def _away(self, _event: Event) -> None:
        self.world.away_answers = not self.world.away_answers

    def _stop_by_hand(self, event: Event) -> None:
        self.world.stop_by_hand(event.who)

    def _sessions(self, event: Event) -> None:
        self.world.open_sessions(self._host(event.who))

    def _gateway(self, event: Event) -> None:
        gateway = self.world.hosts[self._host(event.who)].gateway
        gateway.answers = not gateway.answers

    # -- the end ------------------------------------------------------------------------------------------------------

    def calm(self) -> Plan:
        """Every host is back, nothing more happens, and the whole file is brought up."""
        self.world.all_come_back()
        self.world.away_answers = True
        self.file = mended(self.file, len(self.driver.goal.fleet.hosts))
        self._set(replace(self.driver.goal, assume_down=frozenset()))
        self.world.tick()
        self._release(self.file, frozenset(), None)
        return self.driver.settle()


def assert_is_as_the_file_says(project: Project, end: Plan) -> None:
    goal, facts = project.driver.goal, project.world.facts()
    assert end.failures == ()
    if end.unplaced:  # what there is no room for may keep others from going, and is told
        assert all(why.reason for u in end.unplaced for why in u.why)
        return
    assert {r.service for r in facts.replicas("shop")} <= set(goal.app.services)
    for service in goal.app.services.values():
        there = list(facts.replicas("shop", service.name))
        if service.is_global:
            assert sorted(r.host for r in there) == hosts_of(service, facts, goal.fleet), service.name
        else:
            assert sorted(r.slot for r in there) == list(range(1, service.replicas + 1)), service.name
        assert all(r.spec == definition(service, goal.app) for r in there), there
        assert all(r.done if service.is_job else r.alive for r in there), there
    for name in goal.fleet.hosts:
        for request in REQUESTS if name in goal.fleet.balancer.hosts else ():
            _assert_leads(project.world, name, request, owner(goal.app, request))


def _assert_leads(world: Site, host: str, request: Door, to: Service | None) -> None:
    gateway = world.hosts[host].gateway
    pool = pool_for(gateway.table, request)
    if to is None:
        assert pool is None, (host, request, pool)
    if to is None or not world.is_run(to):  # of none, a listener stays if it was there, and is not opened if it was not
        return
    assert pool, (host, request)
    assert service_of(pool, "shop") == to.name, (host, request, pool)
    if to.external:
        assert not gateway.pools[pool]
        return
    named = {server_name(r.name, r.host) for r in world.facts().replicas("shop", to.name)}
    assert {s.server.name for s in gateway.pools[pool].values() if s.state == "ready" and s.up} == named


@with_any(sizes, drafts, stories)
def test_a_project_ends_as_its_file_says_whatever_is_done_to_it(size: int, draft: Draft, story: list[Event]) -> None:
    project = Project(small_fleet(size), draft.app())
    project.tell(Event("up", 40))
    for event in story:
        project.tell(event)
    assert_one_plan_in_any_order(project.driver)
    end = project.calm()
    assert_is_as_the_file_says(project, end)
    assert project.driver.run_again().is_empty
