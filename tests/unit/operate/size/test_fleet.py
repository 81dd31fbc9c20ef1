"""An app and the fleet that is there, as a packing problem."""

from __future__ import annotations

import pytest
from tests import given

from bayplan.errors import SpecError
from bayplan.operate.size.answer import placement_csv
from bayplan.operate.size.fleet import asked_of
from bayplan.plan.packing.pack import pack
from bayplan.spec.model import App, Placement, Port, Resources

GB = 1024**3


def app(*services: given.Service) -> App:
    return App(name="shop", services={s.name: s for s in services})


def service(name: str, replicas: int, cpus: float, memory: int, **more: object) -> given.Service:
    return given.service(name, replicas, resources=Resources(reserved_cpus=cpus, reserved_memory=memory * GB), **more)


def test_hosts_that_are_alike_are_one_type_and_keep_their_names() -> None:
    fleet = given.fleet("h1", "h2", "h3")
    facts = given.facts(given.up("h1"), given.up("h2"), given.up("h3", cpus=8))
    asked = asked_of(app(service("web", 4, 1, 1), service("api", 2, 1.5, 2)), fleet, facts, headroom=0.0, tolerate=0)
    assert [(t.name, t.count) for t in asked.problem.types] == [("4 cores 8 GB", 2), ("8 cores 8 GB", 1)]
    packing = pack(asked.problem, 500)
    assert [h.type for h in packing.hosts] == ["4 cores 8 GB", "8 cores 8 GB"]  # one has room for all, and may be lost
    assert placement_csv(packing, asked.hosts).splitlines()[-1].startswith("h3,8 cores 8 GB,")
    assert all(host.replicas.get("api", 0) < 2 for host in packing.hosts)


def test_constraints_limits_ports_and_other_apps_count() -> None:
    other = given.replica(service("db", 1, 1, 4), 1, "h2", app="other", cpus=1.0, memory=4 * GB)
    fleet = given.fleet("h1", given.host("h2", labels={"disk": "ssd"}))
    fixed = (Port(target=22, published=20022, mode="host"),)
    asked = asked_of(
        app(
            service("web", 2, 1, 1, placement=Placement(max_per_host=1)),
            service("search", 1, 1, 1, placement=Placement(constraints=("node.labels.disk == ssd",))),
            service("login", 1, 0, 0, ports=fixed),
            service("jump", 1, 0, 0, ports=fixed),
        ),
        fleet,
        given.facts(given.up("h1"), given.up("h2", other)),
        headroom=0.1,
        tolerate=0,
    )
    loads = {load.name: load for load in asked.problem.loads}
    assert loads["web"].limit == loads["login"].limit == 1
    assert loads["search"].types == {"4 cores 8 GB (h2)"}
    assert loads["other/db"].demand == {"cpu": 1.0, "memory": 4.0}
    assert [(r.service, r.other, r.limit) for r in asked.problem.apart] == [("jump", "login", 0)]
    assert len(pack(asked.problem, 500).hosts) == 2


def test_a_service_that_fits_on_no_host_is_told_with_what_is_short() -> None:
    facts = given.facts(given.up("h1"))
    services = app(
        service("big", 1, 6, 1),
        service("lost", 1, 1, 1, placement=Placement(constraints=("node.labels.disk == ssd",))),
    )
    with pytest.raises(SpecError) as raised:
        asked_of(services, given.fleet("h1"), facts, headroom=0.0, tolerate=0)
    assert [m.what for m in raised.value.mistakes] == [
        "big fits on no host: cpu: needs 6, 4 cores 8 GB has 4: short by 2",
        "lost may stand on no host: none meets its constraints",
    ]
