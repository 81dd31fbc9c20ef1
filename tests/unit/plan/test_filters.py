"""Each filter's sentence: what a person reads who asks why a host was not taken."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests import given

from bayplan.facts import Facts, GatewayFacts, VolumeFacts
from bayplan.plan.board import Board
from bayplan.plan.constraints import attribute, unmet
from bayplan.plan.filters import reject
from bayplan.plan.goal import Memory
from bayplan.routing import INNER, Listener, Table
from bayplan.spec.model import Placement, Port, Resources, Service
from bayplan.spec.storage import Mount, Volume

FLEET = given.fleet(given.host("h1", zone="a", labels={"disk": "ssd"}), headroom=0.2)


def verdict(service: Service, facts: Facts, port_range: tuple[int, int] = (20000, 29999), has: int = 0) -> str | None:
    board = Board(given.goal(FLEET, service), facts, Memory())
    board.counts[service.name]["h1"] = has
    return reject(service, board.berths["h1"], board, port_range)


EMPTY = given.facts(given.up("h1", cpus=4, memory=4 * given.GB))
SSH = Port(target=22, published=20022, mode="host")


@pytest.mark.parametrize(
    ("service", "facts", "told"),
    [
        (given.service(), EMPTY, None),
        (given.service(resources=Resources(reserved_cpus=3.2)), EMPTY, None),
        (given.service(resources=Resources(reserved_cpus=3.3)), EMPTY, "3.3 cores wanted, 3.2 of 3.2 free"),
        (
            given.service(resources=Resources(reserved_memory=4 * given.GB)),
            EMPTY,
            "4 GB of memory wanted, 3.2 GB of 3.2 GB free",
        ),
        (given.service(placement=Placement(constraints=("node.labels.disk == ssd",))), EMPTY, None),
        (
            given.service(placement=Placement(constraints=("node.labels.disk != ssd",))),
            EMPTY,
            "needs node.labels.disk != ssd, but it is ssd",
        ),
        (
            given.service(placement=Placement(constraints=("node.labels.gpu == yes",))),
            EMPTY,
            "needs node.labels.gpu == yes, which it does not say",
        ),
        (
            given.service(placement=Placement(constraints=("disk is fast",))),
            EMPTY,
            "the constraint 'disk is fast' cannot be read",
        ),
        (
            given.service(ports=(SSH,)),
            given.facts(given.up("h1", taken=frozenset({("tcp", 20022)}))),
            "port 20022/tcp is taken",
        ),
        (given.service(ports=(SSH,)), given.facts(given.up("h1", taken=frozenset({("udp", 20022)}))), None),
    ],
)
def test_the_sentence_of_a_rejection(service: Service, facts: Facts, told: str | None) -> None:
    assert verdict(service, facts) == told


def test_at_most_so_many_on_a_host() -> None:
    service = given.service(placement=Placement(max_per_host=2))
    assert verdict(service, EMPTY, has=1) is None
    assert verdict(service, EMPTY, has=2) == "has 2 of at most 2 a host"


def test_a_full_range_of_ports() -> None:
    full = given.facts(given.up("h1", taken=frozenset({("tcp", 20000), ("tcp", 20001)})))
    assert verdict(given.service(), full, (20000, 20001)) == "no free port in 20000-20001"
    assert verdict(given.service(), full, (20000, 20002)) is None


@pytest.mark.parametrize(
    ("made_for", "h1", "h2", "told"),
    [
        (("x86_64",), "aarch64", "x86_64", "its image is for x86_64, and the host is aarch64"),
        (("x86_64",), "x86_64", "aarch64", None),
        (("aarch64", "x86_64"), "aarch64", "x86_64", None),
        (("armv7l",), "aarch64", "x86_64", None),
        (("s390x",), "aarch64", "x86_64", None),  # some host may emulate it: none is better than another
        (("x86_64",), "aarch64", "aarch64", None),
        ((), "aarch64", "x86_64", None),
    ],
)
def test_an_image_goes_to_hosts_of_its_architecture(
    made_for: tuple[str, ...], h1: str, h2: str, told: str | None
) -> None:
    """What the registry has of an image is what the host that fetched it could run: elsewhere, an exec format error."""
    there = given.facts(given.up("h1", arch=h1), given.up("h2", arch=h2))
    web = given.service(image_architectures=made_for)
    board = Board(given.goal(given.fleet("h1", "h2"), web), there, Memory())
    assert reject(web, board.berths["h1"], board, (20000, 29999)) == told


def test_two_targets_need_two_ports() -> None:
    both = given.service(ports=(given.ingress(80, 8080), given.ingress(443, 8443)))
    assert verdict(both, EMPTY, (20000, 20000)) == "no free port in 20000-20000"


def test_every_reason_is_told() -> None:
    service = given.service(
        resources=Resources(reserved_cpus=9), placement=Placement(constraints=("node.hostname == h9",))
    )
    told = "needs node.hostname == h9, but it is h1; 9 cores wanted, 3.2 of 3.2 free"
    assert verdict(service, EMPTY) == told


def test_what_others_reserve_counts_whichever_app_they_are_of() -> None:
    other = given.replica(given.service("api", resources=Resources(reserved_cpus=3)), 1, "h1", app="blog")
    service = given.service(resources=Resources(reserved_cpus=0.3))
    assert verdict(service, given.facts(given.up("h1", other))) == "0.3 cores wanted, 0.2 of 3.2 free"


def test_tenths_of_cores_add_up() -> None:
    has = [given.replica(given.service(resources=Resources(reserved_cpus=0.1)), n, "h1", port=n) for n in (1, 2)]
    service = given.service(resources=Resources(reserved_cpus=3.0))
    assert verdict(service, given.facts(given.up("h1", *has))) is None


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("node.hostname", "h1"),
        ("node.id", "h1"),
        ("node.zone", "a"),
        ("node.labels.zone", "a"),
        ("node.labels.disk", "ssd"),
        ("node.labels.gpu", None),
        ("node.platform.os", "linux"),
        ("engine.labels.x", None),
    ],
)
def test_what_a_constraint_can_ask(key: str, value: str | None) -> None:
    assert attribute(FLEET.hosts["h1"], key) == value


def test_the_first_unmet_constraint_is_told() -> None:
    service = given.service(placement=Placement(constraints=("node.zone == a", "node.zone == b", "node.id == h2")))
    assert unmet(service, FLEET.hosts["h1"], "") == "needs node.zone == b, but it is a"


@pytest.mark.parametrize(
    ("constraint", "why_not"),
    [
        ("node.platform.arch == x86_64", None),
        ("node.platform.arch == amd64", None),
        ("node.platform.arch != arm64", None),
        ("node.platform.arch == arm64", "needs node.platform.arch == arm64, but it is x86_64"),
    ],
)
def test_the_engine_tells_its_architecture(constraint: str, why_not: str | None) -> None:
    constrained = given.service(placement=Placement(constraints=(constraint,)))
    assert unmet(constrained, FLEET.hosts["h1"], "x86_64") == why_not


def test_an_endpoint_leaves_the_port_free_that_the_gateway_listens_on() -> None:
    db = given.service("db", ports=(given.ingress(27017, 27017),))
    board = Board(given.goal(given.fleet("h1", "h2"), db), given.facts(given.up("h1"), given.up("h2")), Memory())
    ports = {name: board.ports_for(berth, db, (20000, 29999)) for name, berth in board.berths.items()}
    assert ports == {"h1": (27018,), "h2": (27017,)}, "h1 is the balancer"


def test_an_endpoint_leaves_the_port_of_its_host_that_the_service_or_another_is_to_have_free() -> None:
    """No engine starts a container with one port twice, and the port was then taken for good."""
    web = given.service(ports=(given.ingress(), given.ingress(28080, mode="host")))
    api = given.service("api", ports=(given.ingress(81),))
    board = Board(given.goal(given.fleet("h1"), web, api), given.facts(given.up("h1")), Memory())
    berth = board.berths["h1"]
    assert board.ports_for(berth, web, (20000, 29999)) == (28081,)
    assert board.ports_for(berth, api, (20000, 29999)) == (28081,)
    assert board.ports_for(berth, web, (28080, 28080)) is None
    assert board.ports_for(berth, api, (28080, 28080)) == (28080,), "no other is left"


def test_an_endpoint_leaves_other_apps_listeners_free() -> None:
    other = GatewayFacts(Table(listeners=(Listener(20080), Listener(20081, INNER + "0.7"))))
    web = given.service(ports=(given.ingress(80, 80),))
    board = Board(given.goal(given.fleet("h1"), web), given.facts(given.up("h1", gateway=other)), Memory())
    assert board.ports_for(board.berths["h1"], web, (20000, 29999)) == (20081,)


@pytest.mark.parametrize(
    ("read_only", "constraints", "told"),
    [
        (True, (), {"h1": None, "h2": None, "h3": "has no volume certs, which is external"}),
        (False, ("node.hostname == h2",), {"h2": None}),
        (
            False,
            (),
            dict.fromkeys(
                ("h1", "h2", "h3"),
                "its volume certs is on h1 and on h2: say which it is to live on (deploy.placement.constraints)",
            ),
        ),
    ],
)
def test_an_external_volume_on_several_hosts(
    read_only: bool, constraints: tuple[str, ...], told: dict[str, str | None]
) -> None:
    mount = Mount(kind="volume", source="certs", target="/certs", read_only=read_only)
    service = given.service(mounts=(mount,), placement=Placement(constraints=constraints))
    goal = given.goal(given.fleet("h1", "h2", "h3"), service)
    volumes = {"certs": Volume(name="certs", external=True)}
    goal = replace(goal, app=goal.app.model_copy(update={"volumes": volumes}))
    there = {"certs": VolumeFacts()}
    facts = given.facts(given.up("h1", volumes=there), given.up("h2", volumes=there), given.up("h3"))
    board = Board(goal, facts, Memory())
    assert {h: reject(service, board.berths[h], board, goal.fleet.ports) for h in told} == told
