"""What may happen to a fleet, as hypothesis strategies: releases, and events between passes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st
from tests import given

from bayplan.spec.model import App, Dependency, Exposed, Fleet, Healthcheck, Placement, Port, Resources, Service, Update
from bayplan.spec.storage import Config, Grant

GOOD = ("shop/web@sha256:a", "shop/web@sha256:b")
BROKEN = ("shop/web@sha256:bad", "shop/web@sha256:exits")
CHECK = Healthcheck(test=("CMD", "true"), interval=1, timeout=1, retries=3)

to_8080 = Port(target=8080, published=80)
to_9090 = Port(target=9090, published=80)
at_81 = Port(target=8080, published=81)
# What others of the app reach them at, at the gateway of every host.
ADDRESSES = {"web": "198.18.1.1", "worker": "198.18.1.2"}
fixed = Port(target=22, published=20022, mode="host")


@st.composite
def fleets(draw: st.DrawFn) -> Fleet:
    """Two to four hosts, one or two balancers, sometimes a range of ports that is soon full."""
    names = [f"h{i + 1}" for i in range(draw(st.integers(2, 4)))]
    disks = [draw(st.sampled_from(("ssd", "hdd"))) for _ in names]
    zones = [draw(st.sampled_from(("a", "b"))) for _ in names]
    hosts = [given.host(n, zone=z, labels={"disk": d}) for n, z, d in zip(names, zones, disks, strict=True)]
    return given.fleet(
        *hosts,
        balancers=tuple(names[: draw(st.integers(1, 2))]),
        headroom=draw(st.sampled_from((0.0, 0.2))),
        ports=draw(st.sampled_from(((20000, 29999), (20000, 20007)))),
    )


@st.composite
def webs(draw: st.DrawFn, images: tuple[str, ...] = GOOD) -> Service:
    """A service with listeners, mostly."""
    return Service(
        name="web",
        image=draw(st.sampled_from(images)),
        replicas=draw(st.sampled_from((1, 2, 3, 4, 5, 0))),
        mode=draw(st.sampled_from(("replicated", "replicated", "global"))),
        healthcheck=draw(st.sampled_from((None, CHECK))),
        ports=draw(st.sampled_from(((to_8080,), (to_9090,), (at_81,), (to_8080, fixed), ()))),
        update=Update(
            order=draw(st.sampled_from(("start-first", "stop-first"))),
            parallelism=draw(st.integers(0, 2)),
            delay=draw(st.sampled_from((0.0, 0.0, 3.0))),
            monitor=draw(st.sampled_from((0.0, 0.0, 2.0))),
            failure_action=draw(st.sampled_from(("pause", "continue"))),
        ),
        resources=Resources(reserved_cpus=draw(st.sampled_from((0.0, 0.5, 1.5)))),
        placement=Placement(
            constraints=draw(st.sampled_from(((), ("node.labels.disk == ssd",), ("node.hostname != h1",)))),
            max_per_host=draw(st.sampled_from((None, None, 2, 1))),
        ),
    )


def workers(images: tuple[str, ...] = GOOD) -> st.SearchStrategy[Service]:
    """A service that others may call, or nobody."""
    return st.builds(
        Service,
        name=st.just("worker"),
        image=st.sampled_from(images),
        expose=st.sampled_from(((), (Exposed(port=9000),))),
        mode=st.sampled_from(("replicated", "replicated", "global")),
        replicas=st.integers(0, 3),
        healthcheck=st.sampled_from((None, CHECK)),
    )


def jobs(images: tuple[str, ...] = GOOD) -> st.SearchStrategy[Service]:
    """A migration."""
    return st.builds(
        Service,
        name=st.just("migrate"),
        image=st.sampled_from(images),
        replicas=st.integers(1, 2),
        mode=st.sampled_from(("replicated-job", "global-job")),
        restart=st.just("no"),
    )


@st.composite
def apps(draw: st.DrawFn, images: tuple[str, ...] = GOOD) -> App:
    """Web, and perhaps a worker, and perhaps a migration that web waits for."""
    services = [draw(webs(images))]
    if draw(st.booleans()):
        services.append(draw(workers(images)))
    if draw(st.booleans()):
        services.append(draw(jobs(images)))
        after = {"migrate": Dependency(condition="service_completed_successfully")}
        services[0] = services[0].model_copy(update={"depends_on": after})
    if draw(st.booleans()):
        granted = (Grant(source="conf", target="/conf"),)
        services[0] = services[0].model_copy(update={"configs": granted})
    configs = {"conf": Config(name="conf", content=draw(st.sampled_from(("a", "b"))))}
    app = App(name="shop", services={s.name: s for s in services}, configs=configs)
    return with_addresses(app) if draw(st.booleans()) else app


def with_addresses(app: App) -> App:
    """The app, each service of it but for jobs with an address of its own."""
    services = {n: s.model_copy(update={"address": ADDRESSES.get(n, "")}) for n, s in app.services.items()}
    return app.model_copy(update={"services": services})


@dataclass(frozen=True)
class Event:
    """Something that happens between two passes. who: picks a host or a replica, or is how many
    passes a run gets before it is killed; share: of the last pass's steps that are done; app: of a release."""

    kind: str
    who: int = 0
    share: float = 1.0
    app: App | None = None

    def __repr__(self) -> str:
        told: list[Any] = [self.kind, self.who, self.share, *([self.app] if self.app else [])]
        return f"Event{tuple(told)}"


KINDS = (
    "cut",
    "power",
    "return",
    "return",
    "assume",
    "remove",
    "stop",
    "pause",
    "maintain",
    "foreign",
    "hidden",
    "sessions",
    "gateway",
)

runs = st.builds(Event, st.just("run"), st.integers(1, 12), st.sampled_from((1.0, 1.0, 0.5)))
mishaps = st.builds(Event, st.sampled_from(KINDS), st.integers(0, 99))
releases = st.builds(Event, st.just("release"), app=apps(GOOD + BROKEN))
events = st.lists(st.one_of(runs, mishaps, mishaps, releases), max_size=16)
