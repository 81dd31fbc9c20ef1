"""Every scenario in tests/cases/plan: a fleet, an app, what stands; and the steps of the next pass, each with its reason.

A scenario's own words: `stands` has, by host, replicas as `web-1-r1: serving` (or starting, exited 1, restarting,
unhealthy, sick, draining 3, maint, stopped, created, joining, paused; of a job:
running, ended 0), or `silent`. Releases in `same` have the app's
very definition, as those of `release` do; others are older. A step is `run web-1-r1 on h2: why`, of which the why may be
any part of the real one.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import given

from bayplan.facts import Facts, GatewayFacts, HostFacts, Replica, ServerFacts
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.plan import plan
from bayplan.plan.routes import desired, pools
from bayplan.plan.steps import Plan, PoolChange, Step, kind, subject
from bayplan.spec import load_app
from bayplan.spec.model import Fleet, Service
from bayplan.units import parse_percent

CASES = sorted((Path(__file__).parents[2] / "cases" / "plan").glob("*.yaml"))
NOW = 1000.0


@pytest.mark.parametrize("path", CASES, ids=[p.stem for p in CASES])
def test_scenario(path: Path, tmp_path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    fleet = _fleet(case["fleet"])
    goal = _goal(case, fleet, tmp_path)
    facts = _facts(case, goal)
    found = plan(goal, facts, NOW, _run(case, facts))
    assert _told(found.steps) == _expected(case.get("plan", []), _told(found.steps))
    for what in ("waiting", "failures"):
        told = [f"{x.replica.removeprefix('shop-') or x.service} on {x.host}: {x.why}" for x in getattr(found, what)]
        assert told == _expected(case.get(what, []), told), what
    assert _unplaced(found) == case.get("unplaced", {})
    assert [f"{h.service}: {h.why}" for h in found.held] == case.get("held", [])
    assert [f"{p.service}-{p.slot} on {' or '.join(p.hosts)}" for p in found.presumed] == case.get("presumed", [])


def test_there_are_scenarios() -> None:
    assert len(CASES) >= 12


def _told(steps: tuple[Step, ...]) -> list[str]:
    return [f"{kind(s)} {_name(s)}on {s.host}: {s.why}" for s in steps]


def _name(step: Step) -> str:
    if isinstance(step, PoolChange):
        return step.server.name.removeprefix("shop-").rpartition(".")[0] + " "
    name = subject(step).removeprefix("shop-")
    return f"{name} " if name else ""


def _expected(written: list[str], told: list[str]) -> list[str]:
    """What is told, where it is what was written; else what was written."""
    if len(written) != len(told):
        return written
    return [t if _is_it(w, t) else w for w, t in zip(written, told, strict=True)]


def _is_it(written: str, told: str) -> bool:
    what, _, why = written.partition(": ")
    does, _, really = told.partition(": ")
    return what == does and why in really


def _unplaced(found: Plan) -> dict[str, Any]:
    return {u.service: {"count": u.count, "why": {r.host: r.reason for r in u.why}} for u in found.unplaced}


def _fleet(written: dict[str, Any]) -> Fleet:
    hosts = [given.host(name, **(about or {})) for name, about in written["hosts"].items()]
    balancers = tuple(written.get("balancers", ())) or None
    return given.fleet(*hosts, balancers=balancers, headroom=parse_percent(written.get("headroom", 0)))


def _goal(case: dict[str, Any], fleet: Fleet, directory: Path) -> Goal:
    file = directory / "compose.yaml"
    with file.open("w") as out:
        yaml.safe_dump({"services": case["app"], "volumes": case.get("volumes", {})}, out)
    app = load_app([file], project="shop", environment={}, fleet=fleet)
    down = frozenset(case.get("assume_down", ()))
    return Goal(fleet, app, case.get("release", 1), before=case.get("before", {}), assume_down=down)


def _facts(case: dict[str, Any], goal: Goal) -> Facts:
    """Hosts that are not told of are empty."""
    pulled = case.get("pulled", [s.image for s in goal.app.services.values()])
    images = {"old", *pulled}
    hosts: dict[str, HostFacts] = {}
    in_pools: dict[str, list[ServerFacts]] = {p.name: [] for p in pools(goal, goal.fleet.balancer.hosts[0])}
    for name in goal.fleet.hosts:
        stands = case.get("stands", {}).get(name) or []
        if stands == "silent":
            hosts[name] = given.silent(name)
            continue
        made = [_replica(case, goal, name, number, entry) for number, entry in enumerate(stands)]
        for replica, state in made:
            _join(in_pools, replica, state)
        about = case.get("engines", {}).get(name, {})
        volumes, missing = frozenset(about.pop("volumes", ())), frozenset(about.pop("missing", ()))
        taken = frozenset(("tcp", port) for port in about.pop("taken", ()))
        hosts[name] = given.up(
            name, *(r for r, _ in made), images=frozenset(images), taken=taken, volumes=volumes, **about
        )
        hosts[name] = replace(hosts[name], missing=missing)
    for gone in case.get("gone", ()):
        _join(in_pools, _ghost(case, goal, gone), "serving")
    return given.settled(goal.fleet, _with_gateways(case, goal, hosts, in_pools))


def _with_gateways(
    case: dict[str, Any], goal: Goal, hosts: dict[str, HostFacts], servers: dict[str, list[ServerFacts]]
) -> Facts:
    for name in goal.fleet.balancer.hosts:
        if hosts[name].reachable and case.get("gateway", True):
            there = GatewayFacts(
                given.table(pools=tuple(pools(goal, goal.fleet.balancer.hosts[0]))),
                {p: tuple(s) for p, s in servers.items()},
            )
            hosts[name] = replace(
                hosts[name], gateway=replace(there, table=desired(goal, Facts(hosts), hosts[name], there))
            )
    return Facts(hosts)


def _replica(case: dict[str, Any], goal: Goal, host: str, number: int, entry: dict[str, str]) -> tuple[Replica, str]:
    [(name, state)] = entry.items()
    service, slot, release = name.rsplit("-", 2)
    number_of = int(release.removeprefix("r"))
    of = goal.app.services.get(service) or Service(name=service, image="old", ports=())
    made = given.replica(of, int(slot), host, release=number_of, port=28080 + number, of_app=goal.app, **_state(state))
    if number_of not in (case.get("release", 1), *case.get("same", ())):
        made = replace(made, spec="older")
    return made, state


def _ghost(case: dict[str, Any], goal: Goal, gone: str) -> Replica:
    """`web-1-r1 on h3`: in the pools, and nowhere else."""
    name, _, host = gone.partition(" on ")
    return _replica(case, goal, host, 0, {name: "serving"})[0]


def _state(told: str) -> dict[str, Any]:
    word, _, number = told.partition(" ")
    return {
        "ended": {"state": "exited", "exit_code": int(number or 0)},
        "exited": {"state": "exited", "exit_code": int(number or 0)},
        "stopped": {"state": "exited", "exit_code": 0},
        "restarting": {"state": "restarting", "exit_code": int(number or 1)},
        "created": {"state": "created"},
        "paused": {"state": "paused"},
        "starting": {"health": "starting"},
        "unhealthy": {"health": "unhealthy"},
    }.get(word, {})


def _join(in_pools: dict[str, list[ServerFacts]], replica: Replica, told: str) -> None:
    word, _, number = told.partition(" ")
    made = {
        "serving": lambda: given.server(replica, check="L4OK"),
        "sick": lambda: given.server(replica, up=False),
        "joining": lambda: given.server(replica, "drain", up=True, check="L4OK"),
        "draining": lambda: given.server(replica, "drain", up=True, sessions=int(number or 0), since=5.0),
        "maint": lambda: given.server(replica, "maint"),
    }.get(word)
    for pool, servers in in_pools.items():
        if made and pool.startswith(f"shop.{replica.service}."):
            servers.append(made())


def _run(case: dict[str, Any], facts: Facts) -> Memory:
    """`this_run` started these replicas so many seconds ago; `seen` are those (web-1) that it saw on a host before."""
    started = case.get("this_run", {})
    ids = {
        r.id: NOW - started[r.name.removeprefix("shop-")]
        for r in facts.replicas()
        if r.name.removeprefix("shop-") in started
    }
    stood = {
        host: frozenset(("shop", name.rpartition("-")[0], int(name.rpartition("-")[2])) for name in names)
        for host, names in case.get("seen", {}).items()
    }
    return Memory(tried=frozenset(ids), first_seen=ids, given_up=frozenset(case.get("given_up", ())), stood=stood)
