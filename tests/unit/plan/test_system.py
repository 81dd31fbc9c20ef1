"""What bayplan itself runs on the hosts: planned from facts, and what is in the containers."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.given import fleet, goal, replica, service

from bayplan import labels
from bayplan.facts import (
    Binding,
    EngineFacts,
    Facts,
    GatewayFacts,
    HostFacts,
    Replica,
    Role,
    ServerFacts,
    SystemContainer,
)
from bayplan.haproxy.places import INITIAL, start_script
from bayplan.plan.guard import Watch, rules, script, ways
from bayplan.plan.names import bridge_name, bridge_prefix, cut_off_among
from bayplan.plan.own_registry import registry_endpoint
from bayplan.plan.plan import system_plan
from bayplan.plan.routes import pools
from bayplan.plan.steps import Pull, Remove, Rename, Start, System, subject
from bayplan.plan.system import gateway_container, plan_system
from bayplan.routing import Listener, Pool, Route, Server, Table
from bayplan.spec.model import Balancer, Fleet, Registry

IMAGES = frozenset({"haproxy:3.2", "registry:2"})


def own_registry() -> Fleet:
    return fleet("h1", "h2", registry=Registry(host="h1"))


GATEWAY_ASIDE = SystemContainer("old", "gateway", "of-yesterday", "running", name="bayplan-gateway-t.old")


def seen(*hosts: HostFacts) -> Facts:
    return Facts({h.name: h for h in hosts})


def bare(name: str, images: frozenset[str] = IMAGES, **engine: Any) -> HostFacts:
    return HostFacts(name, reachable=True, images=images, engine=EngineFacts(**engine))


def as_planned(on: Fleet, facts: Facts, **other: Any) -> Facts:
    """The facts once the plan's containers run. other: what is different about them."""
    hosts = dict(facts.hosts)
    for step in plan_system(on, facts):
        assert isinstance(step, System)
        told = step.container.labels
        host = hosts[step.host]
        ports = tuple(_binding(told[labels.PORTS])) if labels.PORTS in told else ()
        made = SystemContainer(step.role, step.role, told[labels.SPEC], "running", ports)
        engine = replace(host.engine, system=(*host.engine.system, replace(made, **other)))
        hosts[step.host] = replace(host, engine=engine)
    return Facts(hosts)


def _binding(text: str) -> list[Binding]:
    target, _, there = text.removesuffix("/tcp").partition("=")
    address, _, port = there.partition(":")
    return [Binding(int(target), int(port), address)]


def roles(on: Fleet, facts: Facts) -> list[tuple[str, Role | str]]:
    return [(s.host, s.role if isinstance(s, System) else subject(s)) for s in plan_system(on, facts) if s.why]


def test_a_bare_host_gets_a_guard_and_a_gateway_and_one_the_registry() -> None:
    facts = seen(bare("h1"), bare("h2"))
    expected = [("h1", "guard"), ("h1", "gateway"), ("h1", "registry"), ("h2", "guard"), ("h2", "gateway")]
    assert roles(own_registry(), facts) == expected


def test_images_come_first_each_once() -> None:
    facts = seen(bare("h1", frozenset()), bare("h2", frozenset({"haproxy:3.2"})))
    assert [(s.host, s.image) for s in plan_system(own_registry(), facts) if isinstance(s, Pull)] == [
        ("h1", "haproxy:3.2"),
        ("h1", "registry:2"),
    ]
    assert roles(own_registry(), facts)[2:] == [("h2", "guard"), ("h2", "gateway")]


def test_what_runs_as_planned_is_left_alone() -> None:
    on, facts = own_registry(), seen(bare("h1"), bare("h2"))
    assert plan_system(on, as_planned(on, facts)) == ()


@pytest.mark.parametrize(
    "other", [{"state": "created"}, {"spec": "of-yesterday"}, {"spec": "of-yesterday", "state": "restarting"}]
)
def test_what_never_started_or_is_of_another_definition_is_replaced(other: dict[str, Any]) -> None:
    on, facts = fleet("h1"), seen(bare("h1"))
    assert roles(on, as_planned(on, facts, **other)) == [("h1", "guard"), ("h1", "gateway")]


@pytest.mark.parametrize("spec", [{}, {"spec": "of-yesterday"}])
def test_a_gateway_that_was_stopped_is_started_as_it_was_for_its_files_hold_every_apps_listeners(
    spec: dict[str, str],
) -> None:
    on, facts = fleet("h1"), seen(bare("h1"))
    guard, gateway = plan_system(on, as_planned(on, facts, state="exited", **spec))
    assert isinstance(guard, System)
    assert isinstance(gateway, Start)
    assert (gateway.replica, gateway.restart) == ("bayplan-gateway-t", "always")


def test_a_gateway_that_its_engine_restarts_is_waited_for() -> None:
    on, facts = fleet("h1"), seen(bare("h1"))
    found = system_plan(on, as_planned(on, facts, state="restarting"))
    assert [s.role for s in found.steps if isinstance(s, System)] == ["guard"]
    assert [w.replica for w in found.waiting] == ["gateway"]


def answering(facts: Facts, spec: str) -> Facts:
    return Facts({n: replace(h, gateway=GatewayFacts(spec=spec)) for n, h in facts.hosts.items()})


def test_a_gateway_that_answers_goes_on_until_the_next_one_does() -> None:
    on = fleet("h1")
    there = answering(as_planned(on, seen(bare("h1")), spec="of-yesterday"), "of-yesterday")
    step = plan_system(on, there)[-1]
    assert isinstance(step, System)
    assert (step.role, step.aside) == ("gateway", "bayplan-gateway-t.old")
    both = as_planned(on, seen(bare("h1", system=(GATEWAY_ASIDE,))))
    for not_yet in ("of-yesterday", ""):
        found = system_plan(on, answering(both, not_yet))
        assert (found.steps, [w.replica for w in found.waiting]) == ((), ["gateway"])
    new = both.hosts["h1"].system("gateway")
    assert new is not None
    (relieved,) = plan_system(on, answering(both, new.spec))
    assert isinstance(relieved, Remove)
    assert relieved.replica == "bayplan-gateway-t.old"


@pytest.mark.parametrize(("drain", "grace"), [(5.0, 30.0), (120.0, 120.0)])
def test_one_that_is_relieved_gives_what_it_serves_as_long_as_any_service_behind_it(drain: float, grace: float) -> None:
    """A connection that a service lets live for two minutes was cut after half a minute."""
    on, web = fleet("h1", "h2"), service()
    there = replica(web, 1, "h2", drain=drain)
    elsewhere = replica(service("api"), 1, "h2", drain=600.0)
    both = as_planned(on, seen(bare("h1", system=(GATEWAY_ASIDE,)), bare("h2")))
    h1, h2 = both.hosts["h1"], both.hosts["h2"]
    new = h1.system("gateway")
    assert new is not None
    leads = GatewayFacts(Table(pools=tuple(pools(goal(on, web), "h1"))), spec=new.spec)
    h2 = replace(h2, engine=replace(h2.engine, replicas=(there, elsewhere)))
    (relieved,) = plan_system(on, Facts({"h1": replace(h1, gateway=leads), "h2": h2}))
    assert isinstance(relieved, Remove)
    assert relieved.grace == grace


def test_one_that_was_renamed_gets_its_name_back_and_nothing_else_is_done_with_it_before() -> None:
    on = own_registry()
    there = as_planned(on, seen(bare("h1"), bare("h2")), name="mine", spec="of-yesterday").hosts["h1"]
    steps = [s for s in plan_system(on, seen(there)) if not isinstance(s, Pull)]
    assert [(s.name, s.to) for s in steps if isinstance(s, Rename)] == [
        ("mine", f"bayplan-{role}-t") for role in ("guard", "gateway", "registry")
    ]
    assert len(steps) == 3


def test_one_that_was_renamed_goes_where_another_has_its_name() -> None:
    on = fleet("h1")
    there = as_planned(on, seen(bare("h1"))).hosts["h1"]
    strays = tuple(SystemContainer(n, "guard", "of-yesterday", "running", name=n) for n in ("mine", "yours"))
    both = replace(there, engine=replace(there.engine, system=(*strays, *there.engine.system)))
    assert [(type(s), subject(s)) for s in plan_system(on, seen(both))] == [(Remove, "mine"), (Remove, "yours")]
    alone = replace(there, engine=replace(there.engine, system=(*strays, *there.engine.system[1:])))
    assert [(type(s), subject(s)) for s in plan_system(on, seen(alone))] == [
        (Rename, "bayplan-guard-t"),
        (Remove, "yours"),
    ]


def test_the_one_aside_goes_before_the_next_is_replaced() -> None:
    on = fleet("h1")
    both = as_planned(on, seen(bare("h1", system=(GATEWAY_ASIDE,))), spec="of-today")
    _, gateway = plan_system(on, answering(both, "of-yesterday"))
    assert isinstance(gateway, System)  # the one that was to take over does not: another, while the old one goes on
    assert gateway.aside == ""
    assert [type(s) for s in plan_system(on, answering(both, "of-today"))] == [Remove, System]
    assert plan_system(on, answering(both, "of-today"))[1].why == "the guard is of another definition"


def test_the_next_balancer_waits_until_the_one_before_has_taken_over() -> None:
    facts = seen(*(bare(n) for n in ("h1", "h2", "h3")))
    new, old = as_planned(balanced_by_two(), facts), as_planned(balanced_by_two(), facts, spec="of-yesterday")
    h1 = new.hosts["h1"]
    with_aside = replace(h1, engine=replace(h1.engine, system=(*h1.engine.system, GATEWAY_ASIDE)))
    both = answering(Facts({"h1": with_aside, "h2": old.hosts["h2"]}), "of-yesterday")
    replaced = plan_system(balanced_by_two(), both)
    assert [s.host for s in replaced if isinstance(s, System) and s.role == "gateway"] == []


def test_a_gateway_whose_name_was_taken_away_and_nothing_more_gets_a_successor() -> None:
    on, facts = fleet("h1"), seen(bare("h1", system=(GATEWAY_ASIDE,)))
    step = plan_system(on, answering(facts, "of-yesterday"))[-1]
    assert isinstance(step, System)
    assert (step.role, step.aside) == ("gateway", "")


def test_nothing_is_planned_on_a_host_that_is_silent_or_not_of_the_fleet() -> None:
    facts = seen(HostFacts("h1", reachable=False), bare("h7"))
    assert plan_system(own_registry(), facts) == ()


def test_a_gateway_that_is_replaced_starts_with_what_the_old_one_runs() -> None:
    server = ServerFacts(Server("web-1.h1", "10.77.0.11", 20080), "ready", True)
    now = GatewayFacts(Table((), (Pool("a.b.80", "a", "b"),)), {"a.b.80": (server,)})
    made, empty = gateway_container(fleet("h1"), now), gateway_container(fleet("h1"))
    (initial,) = (f.content.decode() for f in made.files if f.path == INITIAL)
    assert "server web-1.h1 10.77.0.11:20080 " in initial
    assert made.labels == empty.labels, "what it starts with is no part of its definition"


def balanced_by_two() -> Fleet:
    balancer = Balancer(hosts=("h1", "h2"), address="192.0.2.1")
    return fleet("h1", "h2", "h3").model_copy(update={"balancer": balancer})


def with_gateways(facts: Facts, **tables: Table) -> Facts:
    hosts = {n: replace(h, gateway=GatewayFacts(tables[n]) if n in tables else None) for n, h in facts.hosts.items()}
    return Facts(hosts)


def replaced_gateways(facts: Facts) -> list[str]:
    return [s.host for s in plan_system(balanced_by_two(), facts) if isinstance(s, System) and s.role == "gateway"]


def test_gateways_of_balancers_are_replaced_one_after_another() -> None:
    facts = seen(*(bare(name) for name in ("h1", "h2", "h3")))
    of_yesterday = as_planned(balanced_by_two(), facts, spec="of-yesterday")
    assert replaced_gateways(facts) == ["h1", "h2", "h3"], "there is nothing yet that could serve"
    assert replaced_gateways(with_gateways(of_yesterday, h1=Table(), h2=Table())) == ["h1", "h3"]
    assert replaced_gateways(with_gateways(of_yesterday, h2=Table())) == ["h1", "h3"]


def test_a_balancers_gateway_that_is_gone_is_made_anew_with_the_other_ones_table() -> None:
    table = Table((Listener(80, "", "tcp", (Route("a.b.80"),)),), (Pool("a.b.80", "a", "b"),))
    facts = with_gateways(seen(*(bare(name) for name in ("h1", "h2", "h3"))), h2=table)
    steps = plan_system(balanced_by_two(), facts)
    made = {s.host: s.container for s in steps if isinstance(s, System) and s.role == "gateway"}
    files = {host: next(f.content.decode() for f in c.files if f.path == INITIAL) for host, c in made.items()}
    assert "default_backend a.b.80" in files["h1"]
    assert "default_backend a.b.80" not in files["h3"], "it is no balancer"


def test_the_gateway_has_few_powers() -> None:
    made = gateway_container(fleet("h1"))
    assert made.cap_drop == ("ALL",)
    assert not made.privileged
    assert not {"NET_ADMIN", "SYS_ADMIN", "DAC_OVERRIDE"} & set(made.cap_add)


def _registry(state: Any, port: int) -> SystemContainer:
    return SystemContainer("r", "registry", "x", state, (Binding(5000, port, "10.77.0.11"),))


def _replica(port: int) -> Replica:
    return Replica("i", "n", "h1", "a", "s", 1, 1, "x", "exited", ports=(Binding(80, port, "10.77.0.11"),))


@pytest.mark.parametrize(
    ("host", "port"),
    [
        (bare("h1"), 25000),
        (bare("h1", taken=frozenset({("tcp", 25000)})), 25001),
        (bare("h1", taken=frozenset({("tcp", 25000)}), replicas=(_replica(25001),)), 25002),
        (bare("h1", system=(_registry("running", 25007),)), 25007),
        (bare("h1", system=(_registry("exited", 25007),), taken=frozenset({("tcp", 25000)})), 25007),
        (bare("h1", system=(_registry("restarting", 25007),)), 25008),
        (HostFacts("h1", reachable=False), 25003),
    ],
)
def test_the_registrys_port_is_a_free_one_and_stays(host: HostFacts, port: int) -> None:
    """h2's gateway has it as 25003: what is believed while its host is silent."""
    knows = replace(bare("h2"), gateway=GatewayFacts(Table(registry=(5000, "10.77.0.11", 25003))))
    assert registry_endpoint(own_registry(), seen(host, knows)) == (5000, "10.77.0.11", port)


def test_a_registry_goes_from_where_it_was_once_it_runs_where_it_is_to_be() -> None:
    before = as_planned(fleet("h1", "h2", registry=Registry(host="h2")), seen(bare("h1"), bare("h2")))
    [moving] = [s for s in plan_system(own_registry(), before) if isinstance(s, System) and s.role == "registry"]
    assert moving.host == "h1"
    assert not [s for s in plan_system(own_registry(), before) if isinstance(s, Remove)]
    running = replace(
        before.hosts["h1"].engine, system=(*before.hosts["h1"].engine.system, _registry("running", 25007))
    )
    after = seen(replace(before.hosts["h1"], engine=running), before.hosts["h2"])
    [gone] = [s for s in plan_system(own_registry(), after) if isinstance(s, Remove)]
    assert (gone.host, gone.replica) == ("h2", "bayplan-registry-t")


EXTERNAL = fleet("h1", "h2", registry=Registry(address="registry.example.com/shop"))


def made_of(image: str, host: str = "h2", **more: Any) -> HostFacts:
    return bare(host, replicas=(replica(service(image=image), 1, host, **more),))


def left(other: HostFacts) -> Facts:
    """h1 has the fleet's own registry still."""
    return seen(bare("h1", system=(_registry("running", 25007),)), other)


@pytest.mark.parametrize(
    "other",
    [
        made_of("localhost:5000/shop/web@sha256:1"),
        made_of("localhost:5000/shop/web@sha256:1", state="exited"),
        HostFacts("h2", reachable=False),
    ],
)
def test_one_that_is_outside_of_the_fleet_by_now_leaves_the_one_of_before_while_anything_is_made_of_its_images(
    other: HostFacts,
) -> None:
    """The way to it, and its guard, stay: it takes pushes from whoever reaches it."""
    facts = left(other)
    assert not [s for s in plan_system(EXTERNAL, facts) if isinstance(s, Remove)]
    assert registry_endpoint(EXTERNAL, facts) == (5000, "10.77.0.11", 25007)


def test_its_host_that_does_not_answer_may_have_it_still() -> None:
    way = (5000, "10.77.0.11", 25007)
    h2 = replace(bare("h2"), gateway=GatewayFacts(Table(registry=way)))
    assert registry_endpoint(EXTERNAL, seen(HostFacts("h1", reachable=False), h2)) == way
    assert registry_endpoint(EXTERNAL, seen(bare("h1"), h2)) is None


@pytest.mark.parametrize(
    "other",
    [
        bare("h2"),
        made_of("registry.example.com/shop/web@sha256:1"),
        made_of("localhost:5000/shop/job@sha256:1", job=True, state="exited", exit_code=0),
    ],
)
def test_then_it_goes_and_what_it_holds_stays(other: HostFacts) -> None:
    [gone] = [s for s in plan_system(EXTERNAL, left(other)) if isinstance(s, Remove)]
    assert (gone.host, gone.replica) == ("h1", "bayplan-registry-t")
    assert gone.why == (
        "the registry is registry.example.com/shop now, and nothing runs of this one; what it holds stays in its volume"
    )


def test_one_that_fleet_yaml_has_by_the_address_of_the_fleet_s_own_is_that_one() -> None:
    same = fleet("h1", "h2", registry=Registry(address="10.77.0.11:25007/shop"))
    assert not [s for s in plan_system(same, left(bare("h2"))) if isinstance(s, Remove)]


def test_a_fleet_without_a_registry_of_its_own_has_no_endpoint() -> None:
    assert registry_endpoint(fleet("h1"), seen(bare("h1"))) is None
    elsewhere = fleet("h1", registry=Registry(address="registry.example.com"))
    assert registry_endpoint(elsewhere, seen(bare("h1"))) is None


WATCH = Watch(
    bridges="bp12ab",
    private_net=IPv4Network("10.77.0.0/24"),
    private_ip="10.77.0.11",
    ports=(20000, 29999),
    run="/run/bayplan/shop",
    engine_socket="/var/run/docker.sock",
    registry=("10.77.0.11", 25000),
    peers=("10.77.0.11", "10.77.0.12"),
)


def test_the_guards_rules() -> None:
    into, forward = "-A BAYPLAN-bp12ab-IN", "-A BAYPLAN-bp12ab"
    registry = "-d 10.77.0.11/32 -p tcp -m tcp --dport 25000"
    assert list(rules(WATCH)) == [
        "*filter",
        ":BAYPLAN-bp12ab - [0:0]",
        ":BAYPLAN-bp12ab-IN - [0:0]",
        ":BAYPLAN-bp12ab-OUT - [0:0]",
        f"{forward} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        f"{forward} {registry} -j DROP",
        f"{forward} -i bp12abi+ ! -o bp12ab+ -j REJECT --reject-with icmp-net-unreachable",
        f"{forward} ! -o bp12ab+ -j RETURN",
        f"{forward} -i bp12ab+ -j RETURN",
        f"{forward} -s 10.77.0.0/24 -j RETURN",
        f"{forward} -j DROP",
        f"{into} -m conntrack --ctstate RELATED,ESTABLISHED -j RETURN",
        f"{into} -i lo -j RETURN",
        f"{into} -s 10.77.0.11/32 {registry} -j RETURN",
        f"{into} -s 10.77.0.12/32 {registry} -j RETURN",
        f"{into} {registry} -j DROP",
        f"{into} -i bp12ab+ -d 198.18.0.0/16 -j ACCEPT",
        f"{into} ! -i bp+ -d 198.18.0.0/16 -j DROP",
        f"{into} -i bp12ab+ -j RETURN",
        f"{into} -s 10.77.0.0/24 -j RETURN",
        f"{into} -d 10.77.0.11/32 -p tcp -m tcp --dport 20000:29999 -j DROP",
        f"{into} -d 10.77.0.11/32 -p udp -m udp --dport 20000:29999 -j DROP",
        "COMMIT",
    ]


def test_replicas_of_another_fleet_reach_their_services_past_our_guard() -> None:
    """Two fleets on one machine: what each guard drops of the addresses, no other fleet's bridge leads to."""
    dropped = [rule for rule in rules(WATCH) if "198.18.0.0/16 -j DROP" in rule]
    assert dropped == ["-A BAYPLAN-bp12ab-IN ! -i bp+ -d 198.18.0.0/16 -j DROP"]
    assert bridge_name("another", "site").startswith("bp")


def test_what_is_sent_to_a_service_s_own_address_arrives_there_whatever_is_redirected() -> None:
    assert list(ways(WATCH)) == [
        "*nat",
        ":BAYPLAN-bp12ab - [0:0]",
        "-A BAYPLAN-bp12ab -d 198.18.0.0/16 -p tcp -m tcp --dport 22 -j DNAT --to-destination :65022",
        "-A BAYPLAN-bp12ab -d 198.18.0.0/16 -j ACCEPT",
        "COMMIT",
    ]


def test_only_the_registrys_host_takes_requests_for_it() -> None:
    elsewhere = replace(WATCH, private_ip="10.77.0.12")
    assert not any("--dport 25000" in rule for rule in rules(elsewhere) if "-IN " in rule)
    assert any("--dport 25000 -j DROP" in rule for rule in rules(elsewhere))


@pytest.mark.parametrize("text", [script(WATCH), start_script("/run/bayplan/shop")])
def test_the_scripts_are_shell(text: str) -> None:
    subprocess.run(["sh", "-n"], input=text, text=True, check=True)


@given(st.text(min_size=1, max_size=40), st.text(min_size=1, max_size=40))
def test_a_bridge_has_a_name_that_an_interface_can_have(fleet_name: str, app: str) -> None:
    name, cut_off = bridge_name(fleet_name, app), bridge_name(fleet_name, app, cut_off=True)
    for one in (name, cut_off):
        assert len(one) == 12
        assert one.isalnum()
        assert one.startswith(bridge_prefix(fleet_name))
    prefix = cut_off_among(bridge_prefix(fleet_name))
    assert (name.startswith(prefix), cut_off.startswith(prefix)) == (False, True)
