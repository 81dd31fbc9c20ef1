"""Who calls what, where a release adds ports of services' own addresses, or takes some away.

A replica of before calls what was there then, one of the release what is to be there; nothing tells of either whom it
really calls. So what is taken away stays while anything of before takes requests or works on its own (`missed`), and
what is replaced waits for what is added (`awaited`): from where requests come in towards where they end, since two that
waited for each other would wait for ever.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping

from bayplan.facts import Facts, Replica
from bayplan.plan.everywhere import wants_none
from bayplan.plan.goal import Goal
from bayplan.plan.replica import ingress_targets, service_of, slot_and_host, targets
from bayplan.plan.slots import left_over, of_before, predecessors, predecessors_of
from bayplan.plan.standing import endpoints
from bayplan.routing import Listener, Table
from bayplan.spec.model import Service


def former(goal: Goal, table: Table, of: Collection[str] | None = None) -> Iterator[Listener]:
    """Where replicas reach, at this gateway, what the app had before and has no more. of: these services."""
    mine = {p.name for p in table.pools if p.app == goal.app.name}
    now = {(s.address, target) for s in goal.app.services.values() if s.address for target in targets(s)}
    for front in (f for f in table.listeners if f.is_inner and (f.address, f.port) not in now):
        if any(r.pool in mine and (of is None or service_of(r.pool, goal.app.name) in of) for r in front.routes):
            yield front


def missed(goal: Goal, facts: Facts) -> frozenset[str]:
    """Services, of the release or left over, that anything may call where the release does not have them."""
    lost = frozenset(_lost(goal, facts))
    if not lost:
        return lost
    sure, late = _callers(goal, facts, lost)
    published = {name for name, service in goal.app.services.items() if ingress_targets(service)}
    return frozenset(name for name in lost if sure - {name} or (late - {name} and name not in published))


def kept_open(goal: Goal, facts: Facts, called: Collection[str]) -> frozenset[str]:
    """Services that are led to where the release does not have them: what stands of before may serve for good, where
    the release fails; also on a host that does not answer. called: as `missed` says, less what is to make room.
    """
    lost = frozenset(_lost(goal, facts))
    standing = (old.service for old in of_before(goal, facts)) if lost else ()
    return frozenset((*called, *standing, *(_unseen(goal, facts) if lost & goal.app.services.keys() else ())))


def _unseen(goal: Goal, facts: Facts) -> Iterator[str]:
    """Services of the release of which gateways lead to replicas on hosts that do not answer, where it has them not."""
    silent = {h.name for h in facts.hosts.values() if not h.reachable and h.name not in goal.assume_down}
    for gateway in (h.gateway for h in facts.reachable() if silent and h.gateway):
        for pool in {r.pool for front in former(goal, gateway.table, goal.app.services) for r in front.routes}:
            told = (slot_and_host(s.server.name) for s in gateway.pools.get(pool, ()) if s.takes_traffic)
            if any(t and t[1] in silent for t in told):
                yield service_of(pool, goal.app.name)


def _lost(goal: Goal, facts: Facts) -> Iterator[str]:
    """The services of those."""
    for table in facts.tables():
        for front in former(goal, table):
            yield from (service_of(route.pool, goal.app.name) for route in front.routes)


def _callers(goal: Goal, facts: Facts, lost: Iterable[str]) -> tuple[set[str], set[str]]:
    """Services with replicas of before that are at work, and those whose only end what clients asked of them.

    One that is itself only kept for others to call calls nobody of its own accord.
    """
    sure, late = set[str](), set[str]()
    led = {pool.rpartition(".")[0] for pools in facts.routed.values() for pool in pools}
    for old in of_before(goal, facts):
        if old.service not in lost or _is_led_to(old, facts):
            sure.add(old.service)
        elif endpoints(old, facts) and ingress_targets(goal.app.services[old.service]):
            late.add(old.service)
    sure |= {r.service for r in left_over(goal, facts) if f"{goal.app.name}.{r.service}" in led}
    return sure, late


def _is_led_to(old: Replica, facts: Facts) -> bool:
    """Whether it is where a listener for clients leads."""
    return any(e.pool in facts.routed.get(e.gateway, ()) for e in endpoints(old, facts))


def awaited(goal: Goal, facts: Facts) -> Mapping[str, tuple[str, ...]]:
    """Of services that are replaced: those that are first to answer on ports on which nothing of theirs did before."""
    replaced = {old.service for old in predecessors(goal, facts)}
    opening = {name for name, s in goal.app.services.items() if _opens(goal, s, facts)} if replaced else set()
    if not opening:
        return {}
    needs = {name: goal.app.with_needed((name,)) - {name} for name in {*replaced, *opening}}
    inner = {name for name in opening if not _is_entrance(goal.app.services[name])}
    found: dict[str, tuple[str, ...]] = {}
    for service in (goal.app.services[name] for name in replaced):
        further = _further_in(service, opening, inner)
        declared = needs[service.name] & opening
        implied = set[str]() if any(service.name in needs[name] for name in further) else further
        waits = sorted((declared | implied) - {service.name})
        found[service.name] = tuple(n for n in waits if _may_call(service, goal.app.services[n]))
    return found


def _further_in(service: Service, opening: set[str], inner: set[str]) -> set[str]:
    """Those of `opening` that it may call and that, as far as one can tell, do not call it."""
    if service.name in opening:
        return inner if _is_entrance(service) else set()
    return opening if _is_entrance(service) else inner


def _opens(goal: Goal, service: Service, facts: Facts) -> bool:
    """Whether it has a port that what stands of it has not, or is a new one that others of the app are to call."""
    is_run = goal.touches(service.name) and not service.is_job and not service.external
    if not is_run or not service.address or wants_none(goal, service, facts):
        return False
    there, ports = tuple(facts.replicas(goal.app.name, service.name)), set(targets(service))
    if old := tuple(predecessors_of(service, goal, facts)):
        return any(ports - {b.target for b in r.ports} for r in old)
    begun = any(r.release == goal.release for r in there)
    is_new = (begun or service.name not in goal.before) and not any(r.release < goal.release for r in there)
    return bool(ports) and is_new and not _is_entrance(service)


def _is_entrance(service: Service) -> bool:
    """Whether requests come in here, or work begins here: clients call it, or nobody can."""
    return bool(ingress_targets(service)) or not targets(service)


def _may_call(service: Service, other: Service) -> bool:
    return not set(service.networks).isdisjoint(other.networks)
