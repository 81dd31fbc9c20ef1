"""Whole Compose projects and what their owners and their hosts do to them, as hypothesis strategies.

An edit is data: who, what, and a number; `edited` gives the project after it, or the same where it makes no sense.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Final

from hypothesis import strategies as st
from tests import given
from tests.property.doors import OWN, SHARED, Door, doors_of, with_doors
from tests.property.stories import BROKEN, CHECK, GOOD

from bayplan.plan.replica import host_ports
from bayplan.spec.model import App, Dependency, External, Fleet, Placement, Port, Resources, Service, Update
from bayplan.spec.storage import Mount, Volume

NAMES = ("web", "api", "shop", "db", "blog")
TARGETS = (8080, 9090)
DOORS = (*SHARED, *OWN)
HOST_PORTS = (Port(target=22, published=20022, mode="host"), Port(target=8080, published=28080, mode="host"))
ADDRESSES = {name: f"198.18.1.{number}" for number, name in enumerate(NAMES, 1)}
VOLUMES = {"data": Volume(name="shop_data")}
AWAY = "10.9.9.9"  # where managed services are
JOB_ENDED, IS_HEALTHY = (
    Dependency(condition="service_completed_successfully"),
    Dependency(condition="service_healthy"),
)


@dataclass(frozen=True)
class Event:
    """who, other: pick services, doors, hosts or replicas; share: of the last pass's steps before a kill."""

    kind: str
    who: int = 0
    other: int = 0
    share: float = 1.0

    def __repr__(self) -> str:
        return f"Event({self.kind!r}, {self.who}, {self.other}{f', {self.share}' if self.share < 1 else ''})"


@dataclass(frozen=True)
class Draft:
    """What a project begins with, in few words: images, replicas, cores and targets, a number a service. first: edits
    before it is brought up.
    """

    kinds: tuple[int, ...]
    is_called: bool
    first: tuple[Event, ...] = ()

    def __repr__(self) -> str:
        return f"Draft({self.kinds}, {self.is_called}{f', {self.first}' if self.first else ''})"

    def app(self) -> App:
        """The services; the first three have doors."""
        services = (self._service(number, kind) for number, kind in enumerate(self.kinds))
        made = App(name="shop", services={s.name: s for s in services}, volumes=VOLUMES)
        return reduce(edited, self.first, made)

    def _service(self, number: int, kind: int) -> Service:
        name, door = NAMES[number], (Door(80), Door(81), Door(80, "b.example"), None)[number]
        made = Service(
            name=name,
            image=GOOD[kind % 2],
            replicas=1 + kind % 3,
            healthcheck=CHECK if kind % 4 > 1 else None,
            resources=Resources(reserved_cpus=1.5 if kind % 5 == 0 else 0.0),
            address=ADDRESSES[name] if self.is_called else "",
            update=Update(order="stop-first" if kind == 7 else "start-first"),
        )
        return with_doors(made, [door], TARGETS[kind // 6 % 2]) if door else made


numbers = st.integers(0, 11)


def edited(app: App, event: Event) -> App:
    """The file after an edit."""
    names = list(app.services) or [""]
    is_one = event.kind == "add" or app.services
    return _EDITS[event.kind](app, names[event.who % len(names)], event.other) if is_one else app


def _give(app: App, name: str, other: int) -> App:
    """A door, from whoever has it."""
    door = DOORS[other % len(DOORS)]
    services = {n: _with(s, set(doors_of(s)) - {door}) for n, s in app.services.items()}
    return _put(app, services | {name: _with(services[name], _compatible(services[name], door))})


def _swap(app: App, name: str, other: int) -> App:
    """All doors of two services, one way and the other."""
    second = _at(app, other)
    one, two = app.services[name], app.services[second]
    return _put(app, app.services | {name: _with(one, doors_of(two)), second: _with(two, doors_of(one))})


def _hand_over(app: App, name: str, other: int) -> App:
    """All doors of one to another, which loses its own."""
    second = _at(app, other)
    if second == name:
        return _put(app, app.services | {name: _with(app.services[name], ())})
    one, two = app.services[name], app.services[second]
    return _put(app, app.services | {name: _with(one, ()), second: _with(two, doors_of(one))})


def _hand_on(app: App, name: str, other: int) -> App:
    """All doors to another, and none of it any more."""
    left = _hand_over(app, name, other)
    return _scale(left, name, 0) if other % 2 else _remove(left, name, 0)


def _remove(app: App, name: str, _other: int) -> App:
    rest = {n: s for n, s in app.services.items() if n != name}
    return _put(app, {n: _without(s, name) for n, s in rest.items()})


def _add(app: App, _name: str, other: int) -> App:
    free = [n for n in NAMES if n not in app.services]
    if not free:
        return app
    address = ADDRESSES[free[0]] if _is_called(app) else ""
    made = Service(name=free[0], image=GOOD[0], replicas=1 + other % 2, address=address)
    return _put(app, app.services | {made.name: made})


def _rename(app: App, name: str, other: int) -> App:
    free = [n for n in NAMES if n not in app.services]
    if not free:
        return app
    new, old = free[other % len(free)], app.services[name]
    made = old.model_copy(update={"name": new, "address": ADDRESSES[new] if old.address else ""})
    return _put(app, _remove(app, name, 0).services | {new: made})


def _scale(app: App, name: str, other: int) -> App:
    service = app.services[name]
    count = min(other % 4, 1) if service.mounts else other % 4
    return app if service.external else _changed(app, name, replicas=count)


def _image(app: App, name: str, other: int) -> App:
    return _changed(app, name, image=(*GOOD, *GOOD, *BROKEN)[other % 6])


def mended(app: App, hosts: int) -> App:
    """With no image that never becomes ready, and no more that want a port of their host than there are hosts."""

    def whole(service: Service) -> Service:
        image = service.image if service.image in GOOD else GOOD[0]
        most = hosts if host_ports(service) else service.replicas
        return service.model_copy(update={"image": image, "replicas": min(service.replicas, most)})

    return _put(app, {name: whole(service) for name, service in app.services.items()})


def _target(app: App, name: str, other: int) -> App:
    service, target = app.services[name], TARGETS[other % 2]
    made = with_doors(service, doors_of(service), target)
    if service.external:
        made = made.model_copy(update={"external": External(address=AWAY, port=target)})
    return _put(app, app.services | {name: made})


def _depend(app: App, name: str, other: int) -> App:
    """On another that does not depend on it."""
    needed = _at(app, other)
    if name in app.with_needed((needed,)):
        return _changed(app, name, depends_on={})
    return _as_waited_for(_changed(app, name, depends_on={needed: Dependency()}))


def _job(app: App, name: str, other: int) -> App:
    """It runs to its end, for no client; or it is a service again."""
    service = app.services[name]
    if service.external:
        return app
    if service.is_job:
        address = ADDRESSES[name] if _is_called(app) else ""
        return _as_waited_for(_changed(app, name, mode="replicated", restart="always", address=address))
    mode = ("replicated-job", "global-job")[other % 2]
    no_more = {"ports": (), "http": None, "address": "", "healthcheck": None}
    bare = _changed(app, name, mode=mode, restart="no", **no_more)
    first = _at(app, other // 2)  # for the end of which it is
    is_free = first != name and first not in bare.with_needed((name,))
    return _as_waited_for(_changed(bare, first, depends_on={name: Dependency()}) if is_free else bare)


def _everywhere(app: App, name: str, other: int) -> App:
    """One on each host, or as many as it has replicas; it may be kept from one host."""
    service = app.services[name]
    mode = "global" if service.mode == "replicated" and other % 3 else "replicated"
    where = Placement(constraints=(f"node.hostname != h{1 + other % 2}",) if other % 4 == 1 else ())
    mode = service.mode if service.is_job else mode
    return _changed(app, name, mode=mode, placement=where, replicas=min(service.replicas, 1 if service.mounts else 9))


def _host_port(app: App, name: str, other: int) -> App:
    """A port of the host itself, from whoever has it or beside them, whom then no host has room for."""
    service = app.services[name]
    if service.is_job:
        return app
    port = HOST_PORTS[other % 2]
    has = port in service.ports
    ports = tuple(p for p in service.ports if p != port) if has else (*service.ports, port)
    others = {
        n: s.model_copy(update={"ports": tuple(p for p in s.ports if p != port)}) if other % 3 else s
        for n, s in app.services.items()
    }
    return _put(app, others | {name: service.model_copy(update={"ports": ports})})


def _external(app: App, name: str, other: int) -> App:
    """It is somebody else's, whom its doors lead to as well; or it is run here again."""
    service = app.services[name]
    if service.external:
        return _changed(app, name, external=None, replicas=1 + other % 2 * (not service.mounts))
    if service.is_job:
        return app
    target = next((p.target for p in service.ports if p.mode == "ingress"), TARGETS[0])
    return _changed(app, name, external=External(address=AWAY, port=target), replicas=0)


def _as_waited_for(app: App) -> App:
    """Each dependency as what it is on may have it: of a job, that it has ended."""

    def whole(needed: Mapping[str, Dependency]) -> dict[str, Dependency]:
        return {n: JOB_ENDED if app.services[n].is_job else IS_HEALTHY for n in needed}

    return _put(app, {n: s.model_copy(update={"depends_on": whole(s.depends_on)}) for n, s in app.services.items()})


def _is_called(app: App) -> bool:
    return any(s.address for s in app.services.values())


def _volume(app: App, name: str, other: int) -> App:
    """The one volume goes to it, from whoever has it. Where it runs on each host, each has one of that name."""
    services = {n: s.model_copy(update={"mounts": ()}) for n, s in app.services.items()}
    one_host = "replicated-job" if services[name].is_job else "replicated"
    mine = {
        "mounts": (Mount(kind="volume", source="data", target="/d"),),
        "replicas": min(services[name].replicas, 1),
        "mode": services[name].mode if other % 3 == 0 else one_host,
    }
    return _put(app, services | {name: services[name].model_copy(update=mine)})


def _need(app: App, name: str, other: int) -> App:
    return _changed(app, name, resources=Resources(reserved_cpus=(0.0, 1.5, 3.0)[other % 3]))


def _at(app: App, number: int) -> str:
    return list(app.services)[number % len(app.services)]


def _put(app: App, services: Mapping[str, Service]) -> App:
    return app.model_copy(update={"services": dict(services)})


def _changed(app: App, name: str, **changes: object) -> App:
    return _put(app, app.services | {name: app.services[name].model_copy(update=changes)})


def _without(service: Service, name: str) -> Service:
    return service.model_copy(update={"depends_on": {n: d for n, d in service.depends_on.items() if n != name}})


def _with(service: Service, doors: object) -> Service:
    if service.is_job:  # it answers nobody
        return service
    target = next((p.target for p in service.ports if p.mode == "ingress"), TARGETS[0])
    return with_doors(service, doors, target)  # type: ignore[arg-type]


def _compatible(service: Service, door: Door) -> set[Door]:
    """Its doors with one more, less those that it cannot have beside that one."""
    there = set(doors_of(service))
    if door.is_shared:
        there = {d for d in there if not d.is_shared or (d.path == door.path and bool(d.host) == bool(door.host))}
    return there | {door}


_EDITS: Final[Mapping[str, Callable[[App, str, int], App]]] = {
    "give": _give,
    "swap": _swap,
    "hand over": _hand_over,
    "hand on": _hand_on,
    "remove": _remove,
    "add": _add,
    "rename": _rename,
    "scale": _scale,
    "image": _image,
    "target": _target,
    "depend": _depend,
    "job": _job,
    "external": _external,
    "host port": _host_port,
    "everywhere": _everywhere,
    "volume": _volume,
    "need": _need,
}
MISHAPS = (
    "cut",
    "power",
    "return",
    "return",
    "assume",
    "stop by hand",
    "sessions",
    "balancers",
    "hosts",
    "gateway",
    "away",
)

MODES = ("job", "external", "everywhere", "host port", "volume", "depend")  # what makes a service of another kind

edits = st.builds(Event, st.sampled_from((*_EDITS, *MODES)), numbers, numbers)
first = st.lists(st.builds(Event, st.sampled_from(MODES), numbers, numbers), max_size=3).map(tuple)
drafts = st.builds(Draft, st.lists(numbers, min_size=2, max_size=4).map(tuple), st.booleans(), first)
mishaps = st.builds(Event, st.sampled_from(MISHAPS), numbers, numbers)
runs = st.builds(
    Event, st.just("up"), st.sampled_from((1, 2, 3, 5, 8, 13, 40)), st.just(0), st.sampled_from((1.0, 0.5))
)
some = st.builds(Event, st.sampled_from(("up one", "stop", "go on", "go on")), numbers, st.sampled_from((1, 2, 4, 40)))
stories = st.lists(st.one_of(edits, edits, edits, runs, runs, some, mishaps), min_size=2, max_size=14)

sizes = st.sampled_from((1, 2, 2, 3))


def small_fleet(size: int) -> Fleet:
    """The first host is the balancer."""
    return given.fleet(*(f"h{i + 1}" for i in range(size)), headroom=0.0)
