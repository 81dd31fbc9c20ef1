"""What each gateway is to be configured with: this app's listeners and pools, and every other app's as they are.

A route is added once its pool has an endpoint that takes traffic, so that a new listener never answers 503 first, and
one that leads to the service already moves with all who serve behind it (plan/handover.py); a pool is dropped once
nothing routes to it and it is empty. A service that the release has no more, or not on that port, is led to while what
may call it stands (plan/calls.py). Servers of before are asked and spoken to as they were: another path, or the PROXY
protocol, is not theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace

from bayplan.facts import Facts, GatewayFacts, HostFacts
from bayplan.plan.calls import former, kept_open
from bayplan.plan.everywhere import wants_none
from bayplan.plan.fronts import as_before, front_of, fronts_of, has_nobody, stands
from bayplan.plan.goal import Goal
from bayplan.plan.handover import guests, may_lead, origins
from bayplan.plan.hosts_file import names, others
from bayplan.plan.leads import led_at
from bayplan.plan.other_apps import Claimed, claimed_by_others, is_known_by
from bayplan.plan.own_registry import registry_endpoint
from bayplan.plan.replica import definition, pool_name, server_name, targets
from bayplan.plan.steps import Configure, Failure, Step
from bayplan.routing import Listener, Mode, Names, Pool, Route, Server, Table
from bayplan.spec.model import WEB_PORTS, Fleet, Service

Front = tuple[str, int]


def configure(goal: Goal, facts: Facts, called: Collection[str] = ()) -> tuple[tuple[Step, ...], tuple[Failure, ...]]:
    """A Configure for each gateway that answered and has another table; and listeners that another app holds.

    called: services that are called where the release does not have them (`calls.missed`).
    """
    steps: list[Step] = []
    failures: list[Failure] = []
    known, called = others(goal.app), kept_open(goal, facts, called)
    claimed = claimed_by_others(facts, goal.app)
    for host in facts.reachable():
        if host.gateway is None or host.name not in goal.fleet.hosts:
            continue
        failures += held_by_others(goal, host, host.gateway)
        table = desired(goal, facts, host, host.gateway, known, called, claimed)
        if table != host.gateway.table:
            steps.append(Configure(host.name, table, _difference(host.gateway.table, table)))
    return tuple(steps), tuple(failures)


def desired(
    goal: Goal,
    facts: Facts,
    host: HostFacts,
    gateway: GatewayFacts,
    known: Mapping[str, tuple[str, ...]] | None = None,
    called: Collection[str] = (),
    claimed: Claimed | None = None,
) -> Table:
    """The table that this gateway is to have now. known, claimed: `hosts_file.others` and
    `other_apps.claimed_by_others`, if the caller has them.

    called: services that are led to also where the release does not have them (`calls.kept_open`).
    """
    is_balancer = host.name in goal.fleet.balancer.hosts
    mine = list(_fronts(goal, facts, gateway) if is_balancer else _not_handed_over(goal, facts, gateway))
    stay = tuple(former(goal, gateway.table, called))
    listeners = _merge(_others(goal, gateway.table), [*mine, *inner_fronts(goal), *stay])
    routed = {r.pool for front in listeners for r in front.routes}
    before = origins(goal, goal.app.services.values(), gateway) if is_balancer else {}
    wanted = {p.name: _going_on(goal, facts, p, before.get(p.name), gateway) for p in pools(goal, host.name)}
    kept = {p.name: p for p in gateway.table.pools if _keep(goal, p, gateway, routed)}
    all_pools = kept | wanted
    claimed = claimed_by_others(facts, goal.app) if claimed is None else claimed
    return Table(
        listeners=listeners,
        pools=tuple(all_pools[name] for name in sorted(all_pools)),
        registry=registry_endpoint(goal.fleet, facts),
        names=_merge_names(goal, gateway.table, _named(goal, host.name, gateway.table, known, claimed, stay)),
    )


def pools(goal: Goal, host: str) -> Iterator[Pool]:
    """The app's pools at that host's gateway: one for each port of a service to which it leads."""
    for service in goal.app.services.values():
        yield from (_pool(goal.app.name, service, target) for target in led_at(goal.fleet, service, host))


def inner_fronts(goal: Goal) -> Iterator[Listener]:
    """Where the replicas of every host reach the app's services: always there, so that nobody waits for a reload."""
    for service in goal.app.services.values():
        for target in targets(service) if service.address else ():
            route = Route(pool_name(goal.app.name, service.name, target))
            yield Listener(target, service.address, _mode(service, target), (route,))


def _named(
    goal: Goal,
    host: str,
    table: Table,
    known: Mapping[str, tuple[str, ...]] | None,
    claimed: Claimed,
    stay: Collection[Listener],
) -> Iterator[Names]:
    """The names of now, and those of what is still led to."""
    gone = {front.address for front in stay} - {s.address for s in goal.app.services.values()}
    there = {n.service: n.text for n in table.names if n.app == goal.app.name} if gone else {}
    for given in names(goal, goal.fleet.hosts[host], claimed, known):
        kept = (line for line in there.get(given.service, "").splitlines() if line.partition(" ")[0] in gone)
        yield replace(given, text="".join((given.text, *(f"{line}\n" for line in kept))))


def _merge_names(goal: Goal, table: Table, wanted: Iterable[Names]) -> tuple[Names, ...]:
    """What is to be laid down; a name that nobody uses any more is no reason to, unless other apps know it."""
    mine, others = tuple(wanted), [n for n in table.names if n.app != goal.app.name]
    gone = (n for n in table.names if n.app == goal.app.name and n.service not in goal.app.services)
    if set(mine) <= set(table.names) and not any(is_known_by(n, others) for n in gone):
        return table.names
    return tuple(sorted((*others, *mine), key=lambda n: (n.app, n.service)))


def routed_services(facts: Facts, app: str) -> frozenset[str]:
    """The app's services that any gateway still leads requests to."""
    routed = frozenset[str]().union(*(table.routed for table in facts.tables()))
    return frozenset(p.service for t in facts.tables() for p in t.pools if p.app == app and p.name in routed)


def forgotten(fleet: Fleet, app: str, facts: Facts) -> frozenset[str]:
    """Hosts whose gateways may lead to nothing of an app though clients, or replicas of its own there, reach it through
    them: whoever removed the one before removed its files. And balancers without a listener of it that stands on
    another host: fleet.yaml has them as balancers only since.
    """
    there = [r for r in facts.replicas(app) if r.alive]
    led = [f for t in facts.tables() for f in t.listeners if any(r.pool.startswith(f"{app}.") for r in f.routes)]
    balancers = set(fleet.balancer.hosts) if any(r.ports for r in there) else set()
    asked = balancers | ({r.host for r in there} if any(front.is_inner for front in led) else set())
    seen = {h.name: h.gateway.table for h in facts.reachable() if h.gateway and h.name in asked}
    fronts = frozenset[tuple[Front, Route]]().union(*(_led_from(table, app) for table in facts.tables()))
    empty = {name for name, table in seen.items() if all(p.app != app for p in table.pools)}
    return frozenset(empty | {n for n, table in seen.items() if n in balancers and not fronts <= _led_from(table, app)})


def _led_from(table: Table, app: str) -> frozenset[tuple[Front, Route]]:
    """Where clients are led to the app from."""
    fronts = (f for f in table.listeners if not f.is_inner)
    return frozenset(((f.address, f.port), r) for f in fronts for r in f.routes if r.pool.startswith(f"{app}."))


def _pool(app: str, service: Service, target: int) -> Pool:
    mode = _mode(service, target)
    away = service.external
    probe = (away.check if away else None) or service.probe
    asks = probe.kind == "http" and (mode == "http" or not _speaks_http(service))
    return Pool(
        name=pool_name(app, service.name, target),
        app=app,
        service=service.name,
        mode=mode,
        check=f"http {probe.path}" if asks else "tcp",
        interval=probe.interval,
        timeout=probe.timeout,
        sticky=bool(service.http and service.http.sticky),
        proxy_protocol=service.proxy_protocol,
        fixed=f"{away.address}:{away.port}" if away else "",
        tls=away.name if away and away.tls else "",
        ca=away.ca if away else "",
    )


def _going_on(goal: Goal, facts: Facts, pool: Pool, origin: Pool | None, gateway: GatewayFacts) -> Pool:
    """As it goes on from what is there of its name, and from `origin`, whose servers are guests in it."""
    there = next((p for p in gateway.table.pools if p.name == pool.name), None)
    if there and there.fixed and not pool.fixed and _is_away_yet(goal, facts, pool, gateway):
        pool = replace(pool, fixed=there.fixed, tls=there.tls, ca=there.ca)
    cookie = there.cookie if there else (origin.cookie or origin.name) if origin and origin.sticky else ""
    kept = replace(pool, cookie=cookie) if pool.sticky and cookie != pool.name else pool
    return _with_former(goal, facts, kept, there or pool, origin, gateway)


def _is_away_yet(goal: Goal, facts: Facts, pool: Pool, gateway: GatewayFacts) -> bool:
    """Whether what is to be run here again has nobody yet: requests go to the managed service until it has."""
    is_wanted = not wants_none(goal, goal.app.services[pool.service], facts)
    return is_wanted and not any(s.has_passed for s in gateway.pools.get(pool.name, ()))


def _with_former(goal: Goal, facts: Facts, pool: Pool, there: Pool, origin: Pool | None, gateway: GatewayFacts) -> Pool:
    """With those of before. One that has left is no reason for a reload, and does no harm."""
    having = (there, origin) if origin else (there,)
    if all(p.spoken == pool.spoken and not p.former for p in having):
        return pool
    service = goal.app.services[pool.service]
    spec = definition(service, goal.app)
    now = {server_name(r.name, r.host) for r in facts.replicas(goal.app.name, service.name) if r.spec == spec}
    before = {s.server.name: p.spoken_to(s.server.name) for p in having for s in gateway.pools.get(p.name, ())}
    former = tuple((n, how) for n, how in sorted(before.items()) if n not in now and how != pool.spoken)
    is_noted = there.spoken == pool.spoken and set(former) <= set(there.former)
    return replace(pool, former=there.former if is_noted else former)


def _speaks_http(service: Service) -> bool:
    """Whether a port of it says so: then the probe's path is for those."""
    return any(p.mode == "ingress" and p.app_protocol == "http" for p in service.ports)


def _mode(service: Service, target: int) -> Mode:
    """What its ports say; of one that no listener leads to, as of a port that is published: 80 and 8080 speak HTTP."""
    ports = [p for p in service.ports if p.mode == "ingress" and p.target == target]
    if not ports:
        return "http" if target in WEB_PORTS else "tcp"
    return "http" if any(p.app_protocol == "http" for p in ports) else "tcp"


def _keep(goal: Goal, pool: Pool, gateway: GatewayFacts, routed: set[str]) -> bool:
    return pool.app != goal.app.name or pool.name in routed or bool(gateway.pools.get(pool.name))


def _others(goal: Goal, table: Table) -> tuple[Listener, ...]:
    """Listeners with the routes of other apps only."""
    apps = {p.name: p.app for p in table.pools}
    kept = (
        replace(front, routes=tuple(r for r in front.routes if apps.get(r.pool) != goal.app.name))
        for front in table.listeners
    )
    return tuple(front for front in kept if front.routes)


def _fronts(goal: Goal, facts: Facts, gateway: GatewayFacts) -> Iterator[Listener]:
    """This app's listeners, a route each; what leads to a service now stays until each new pool has somebody, and
    requests that a service has nobody for yet go on to who has them.
    """
    ready: list[Listener] = []
    late: list[Listener] = []
    unmoved: list[Service] = []
    for service in goal.app.services.values():
        wanted = fronts_of(goal.app.name, service)
        stand = all(stands(front, gateway.table) for front in wanted)
        invited = {} if stand else guests(goal, service, facts, gateway)
        may = [front for front in wanted if _may_stand(front, gateway, invited)]
        ready += may
        if _is_to_answer(goal, service, facts):
            late += (front for front in wanted if front not in may or has_nobody(front, gateway))
            unmoved += [service] if len(may) < len(wanted) else []
    yield from ready
    yield from _kept(goal, gateway.table, unmoved, late, ready)


def _is_to_answer(goal: Goal, service: Service, facts: Facts) -> bool:
    """Whether there is to be anybody behind its listeners, here or elsewhere."""
    is_away = service.external is not None and service.name not in goal.stopped
    return is_away or not wants_none(goal, service, facts)


def _kept(
    goal: Goal, table: Table, unmoved: Iterable[Service], late: Iterable[Listener], ready: Collection[Listener]
) -> Iterator[Listener]:
    """What leads to services that do not move yet, and whatever leads to anybody for requests of listeners that are
    late, less what is led elsewhere now. A route that stays in parts stays one.
    """
    mine = {p.name for p in table.pools if p.app == goal.app.name}
    as_it_is = ((front, front.routes[0]) for service in unmoved for front in _as_it_is(goal, service, table))
    before = ((now, part) for front in late for now, part in as_before(front, table) if now not in ready)
    found: dict[Listener, set[str]] = {}
    for now, part in (*as_it_is, *before):
        hosts = set(part.hosts or ("",)) - _taken(now, part, ready)
        if hosts and part.pool in mine:
            found.setdefault(replace(now, routes=(replace(part, hosts=()),)), set()).update(hosts)
    for front, hosts in found.items():
        [route] = front.routes
        yield replace(front, routes=(replace(route, hosts=() if "" in hosts else tuple(sorted(hosts))),))


def _taken(now: Listener, part: Route, ready: Collection[Listener]) -> set[str]:
    """Host names, "" is any, that are led elsewhere under that very path."""
    there = [f.routes[0] for f in ready if (f.address, f.port) == (now.address, now.port)]
    return {host for route in there if route.path == part.path for host in route.hosts or ("",)}


def _not_handed_over(goal: Goal, facts: Facts, gateway: GatewayFacts) -> Iterator[Listener]:
    """On a host that was a balancer: what one of now lacks stays until it stands there, too."""
    if all(front.is_inner for front in gateway.table.listeners):  # most hosts, of many
        return
    late: dict[str, list[Listener]] = {}
    for service in (s for s in goal.app.services.values() if _is_to_answer(goal, s, facts)):
        wanted = fronts_of(goal.app.name, service)
        if missing := [f for f in wanted if not all(_stands_on(f, facts, h) for h in goal.fleet.balancer.hosts)]:
            late[service.name] = missing
    unmoved, fronts = (goal.app.services[name] for name in late), [f for there in late.values() for f in there]
    yield from (front for front in _kept(goal, gateway.table, unmoved, fronts, ()) if not front.is_inner)


def _stands_on(front: Listener, facts: Facts, name: str) -> bool:
    host = facts.hosts.get(name)
    return bool(host and host.gateway and stands(front, host.gateway.table))


def _may_stand(front: Listener, gateway: GatewayFacts, invited: Mapping[str, frozenset[Server]]) -> bool:
    """Whether its pool has somebody, and all of its guests, or it stands already."""
    [route] = front.routes
    return stands(front, gateway.table) or may_lead(route.pool, gateway, invited.get(route.pool, frozenset()))


def _as_it_is(goal: Goal, service: Service, table: Table) -> Iterator[Listener]:
    """What leads to the service now, a route each."""
    mine = {p.name for p in table.pools if (p.app, p.service) == (goal.app.name, service.name)}
    for front in table.listeners:
        yield from (replace(front, routes=(r,)) for r in front.routes if r.pool in mine)


def _merge(others: tuple[Listener, ...], mine: list[Listener]) -> tuple[Listener, ...]:
    """One listener an address and port; where two apps want the same requests, the one that has them keeps them."""
    fronts: dict[Front, Listener] = {(f.address, f.port): f for f in others}
    for front in mine:
        key = (front.address, front.port)
        there = fronts.get(key)
        if there is None:
            fronts[key] = front
        elif there.mode == front.mode and not _overlap(there, front):
            fronts[key] = replace(there, routes=(*there.routes, *front.routes))
    return tuple(replace(fronts[key], routes=tuple(sorted(fronts[key].routes, key=_order))) for key in sorted(fronts))


def _order(route: Route) -> tuple[int, tuple[str, ...], str, str]:
    return (-len(route.path), route.hosts, route.path, route.pool)


def _overlap(one: Listener, other: Listener) -> Route | None:
    """A route of `one` that takes the very requests of one of `other`."""
    if one.mode == "tcp" or other.mode == "tcp":
        return one.routes[0] if one.routes else None
    return next((a for a in one.routes for b in other.routes if a.path == b.path and _share(a.hosts, b.hosts)), None)


def _share(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return bool(set(one) & set(other)) or (not one and not other)


def held_by_others(goal: Goal, host: HostFacts, gateway: GatewayFacts) -> Iterator[Failure]:
    """Listeners of this app that another app already holds."""
    if host.name not in goal.fleet.balancer.hosts:
        return
    others = {(f.address, f.port): f for f in _others(goal, gateway.table)}
    apps = {p.name: p.app for p in gateway.table.pools}
    for service in goal.app.services.values():
        for port in service.ports:
            theirs = others.get((port.address, port.published)) if port.mode == "ingress" else None
            if theirs is None:
                continue
            mine = front_of(goal.app.name, service, port)
            clash = theirs.routes[0] if theirs.mode != mine.mode else _overlap(theirs, mine)
            if clash:
                why = f"port {port.published} of the balancer is held by the app {apps.get(clash.pool, clash.pool)}"
                yield Failure(host.name, service.name, "", why)


def _difference(old: Table, new: Table) -> str:
    parts = []
    for word, one, other in (("adds", new, old), ("drops", old, new)):
        fronts = sorted({f.port for f in one.listeners} - {f.port for f in other.listeners})
        if fronts:
            parts.append(f"{word} port {', '.join(map(str, fronts))}")
        gone = sorted({p.name for p in one.pools} - {p.name for p in other.pools})
        if gone:
            parts.append(f"{word} pool {', '.join(gone)}")
    if old.registry != new.registry:
        where = "the registry is elsewhere" if old.registry else "leads to the registry"
        parts.append(where if new.registry else "has no registry any more")
    return "; ".join(parts) or "its routes change"
