"""Whatever happens, in whatever order, killed between any two steps: nothing that must hold is ever broken, and in calm
the fleet ends where it should be. The invariants are DESIGN.md's; `world.py` holds them at every instant.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from hypothesis import given as with_any
from hypothesis import strategies as st
from tests.property.driver import Driver, hosts_of
from tests.property.stories import Event, apps, events, fleets, with_addresses
from tests.property.world import World

from bayplan.plan.calls import missed
from bayplan.plan.goal import Goal
from bayplan.plan.leads import led_at
from bayplan.plan.replica import definition, host_ports, ingress_targets, server_name, targets
from bayplan.plan.steps import Plan
from bayplan.spec.model import App, Fleet, Service


class Story:
    """A fleet, what runs on it, and what happens to it."""

    def __init__(self, fleet: Fleet, app: App) -> None:
        self.world = World(fleet)
        self.driver = Driver(self.world, Goal(fleet, app, 1))
        self._excuse()

    def tell(self, event: Event) -> None:
        getattr(self, f"_{event.kind}")(event)
        self.world.check_servers()
        self.world.check()

    @property
    def goal(self) -> Goal:
        return self.driver.goal

    @goal.setter
    def goal(self, goal: Goal) -> None:
        self.driver.goal = goal
        self.world.judged_down = goal.assume_down
        self._excuse()

    def _excuse(self) -> None:
        """Services that need not keep one serving all the time."""
        services = self.goal.app.services
        facts = self.world.facts()
        wanted = {
            n
            for n, s in services.items()
            if s.replicas
            and (targets(s) if s.address else ingress_targets(s))
            and not _is_stop_first(s)
            and (not s.is_global or hosts_of(s, facts, self.world.fleet))
        }
        self.world.may_be_emptied = frozenset({"web", "worker"} - wanted)
        self.world.addressed = frozenset(n for n, s in services.items() if s.address)

    def _host(self, who: int) -> str:
        return list(self.world.hosts)[who % len(self.world.hosts)]

    # -- events -------------------------------------------------------------------------------------------------------

    def _run(self, event: Event) -> None:
        """A run of so many passes, killed in the middle of the last."""
        self.driver.restart()
        for number in range(event.who):
            self.driver.one_pass(number, event.share if number == event.who - 1 else 1.0)
            self.world.tick()

    def _release(self, event: Event) -> None:
        assert event.app
        before = {n: s.replicas for n, s in self.goal.app.services.items()}
        is_addressed = any(s.address for s in self.goal.app.services.values())  # once it is, it stays so
        app = with_addresses(event.app) if is_addressed else event.app
        self.goal = replace(self.goal, app=app, release=self.goal.release + 1, before=before)
        self.driver.restart()

    def _cut(self, event: Event) -> None:
        self.world.hosts[self._host(event.who)].silent = True

    def _power(self, event: Event) -> None:
        self.world.lose_power(self._host(event.who))

    def _return(self, event: Event) -> None:
        self.world.come_back(self._host(event.who))
        self.goal = replace(self.goal, assume_down=self.goal.assume_down - {self._host(event.who)})

    def _assume(self, event: Event) -> None:
        host = self._host(event.who)
        if self.world.hosts[host].silent or not self.world.hosts[host].powered:
            self.goal = replace(self.goal, assume_down=self.goal.assume_down | {host})

    def _remove(self, event: Event) -> None:
        there = sorted((r.host, r.name) for r in self.world.replicas())
        if there:
            host, name = there[event.who % len(there)]
            del self.world.hosts[host].containers[name]

    def _stop(self, event: Event) -> None:
        self.world.stop_by_hand(event.who)

    def _pause(self, event: Event) -> None:
        there = sorted((r.host, r.name) for r in self.world.replicas() if r.state == "running")
        if there:
            host, name = there[event.who % len(there)]
            container = self.world.hosts[host].containers[name]
            container.facts = replace(container.facts, state="paused")

    def _maintain(self, event: Event) -> None:
        for servers in self.world.hosts[self._host(event.who)].gateway.pools.values():
            for name in sorted(servers)[: 1 + event.who % 2]:
                servers[name] = replace(servers[name], state="maint", up=None)

    def _foreign(self, event: Event) -> None:
        self._take_port(event, "foreign")

    def _hidden(self, event: Event) -> None:
        self._take_port(event, "hidden")

    def _take_port(self, event: Event, what: str) -> None:
        """A port of the range that nobody holds at the moment."""
        host = self.world.hosts[self._host(event.who)]
        running = {b.port for c in host.containers.values() if c.facts.state == "running" for b in c.facts.ports}
        first = self.world.fleet.ports[0]
        port = first + (8080 if event.who % 2 else 22) % (self.world.fleet.ports[1] - first + 1)
        if port not in running:
            getattr(host, what).add(("tcp", port))

    def _sessions(self, event: Event) -> None:
        self.world.open_sessions(self._host(event.who))

    def _gateway(self, event: Event) -> None:
        gateway = self.world.hosts[self._host(event.who)].gateway
        gateway.answers = not gateway.answers

    # -- the end ------------------------------------------------------------------------------------------------------

    def calm(self) -> Plan:
        """Every host is back, every gateway answers, nothing more happens, and `up` is run twice."""
        self.world.all_come_back()
        self.goal = replace(self.goal, assume_down=frozenset())
        self.driver.restart()
        self.world.tick()
        return self.driver.settle()


def _is_stop_first(service: Service) -> bool:
    return service.update.order == "stop-first" or bool(host_ports(service))


def assert_is_as_wanted(story: Story, end: Plan) -> None:
    """Exactly the wanted replicas, each serving; pools exact; nothing else of the app anywhere."""
    goal, facts = story.goal, story.world.facts()
    assert end.failures == ()
    unplaced = {u.service for u in end.unplaced}
    lacking = unplaced | {h.service for h in end.held if h.waits_for in unplaced}
    called = missed(goal, facts) if lacking else ()  # by what stays in place of what there is no room for
    for service in goal.app.services.values():
        is_called, spec = service.name in called, definition(service, goal.app)
        there = [r for r in facts.replicas("shop", service.name) if not (is_called and r.spec != spec)]
        if service.name in lacking:
            continue  # what there is no room for was told, and may hold up the rest, and who waits for it
        if service.is_global:
            assert sorted(r.host for r in there) == hosts_of(service, facts, goal.fleet)
        else:
            assert sorted(r.slot for r in there) == list(range(1, service.replicas + 1))
            most = service.placement.max_per_host or len(there)
            assert all(count <= most for count in Counter(r.host for r in there if not r.job).values())
        assert all(r.spec == spec and (r.done if r.job else r.alive) for r in there), there
    if not lacking:  # what there is no room for leaves what it is to replace, and that, what it may call
        assert {r.service for r in facts.replicas("shop")} <= set(goal.app.services)
        _assert_pools_exact(story)


def _assert_pools_exact(story: Story) -> None:
    goal, facts = story.goal, story.world.facts()
    for name, machine in story.world.hosts.items():
        wanted: dict[str, set[str]] = {}
        for service in goal.app.services.values():
            for target in led_at(goal.fleet, service, name):
                there = facts.replicas("shop", service.name)
                wanted[f"shop.{service.name}.{target}"] = {server_name(r.name, r.host) for r in there}
        found = {pool: set(servers) for pool, servers in machine.gateway.pools.items()}
        assert found == wanted, name
        assert all(s.state == "ready" and s.up for v in machine.gateway.pools.values() for s in v.values())
        fronts = {f.port for f in machine.gateway.table.listeners}
        published = {
            p.published
            for s in goal.app.services.values()
            for p in s.ports
            if p.mode == "ingress"
            and s.replicas
            and any(facts.replicas("shop", s.name))
            and name in goal.fleet.balancer.hosts
        }
        assert fronts >= published


@with_any(fleets(), apps(), events, apps())
def test_whatever_happens_the_end_is_as_wanted(fleet: Fleet, first: App, story: list[Event], last: App) -> None:
    told = Story(fleet, first)
    told.tell(Event("run", 25))
    for event in story:
        told.tell(event)
    told.tell(Event("release", app=last))
    assert_is_as_wanted(told, told.calm())
    assert told.driver.run_again().is_empty


@with_any(fleets(), apps(), st.integers(1, 9))
def test_a_new_app_stands_however_often_it_is_killed(fleet: Fleet, app: App, seed: int) -> None:
    told = Story(fleet, app)
    for _ in range(5):
        told.tell(Event("run", seed, 0.5))
    assert_is_as_wanted(told, told.calm())
