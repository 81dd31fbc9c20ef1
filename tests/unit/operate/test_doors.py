"""What a host listens on, from the kernel's tables, and what that is in the way of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.given import facts, fleet, goal, ingress, replica, service, up

from bayplan.errors import PortTakenError
from bayplan.facts import Binding, GatewayFacts, Stranger
from bayplan.listening import listening
from bayplan.operate.doors import Door, Listened, check, without_taken
from bayplan.ports import ExecResult
from bayplan.routing import Listener, Pool, Route, Table
from bayplan.spec.model import App, Exposed

TABLES = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0B064D0A:4E70 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0
   2: 0B064D0A:9C40 0C064D0A:0050 01 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0
  sl  local_address                         remote_address                        st tx_queue rx_queue
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 00000000:00000000
"""


def test_the_kernel_s_tables_are_read() -> None:
    assert list(listening(TABLES.splitlines())) == [("", 8080), ("10.77.6.11", 20080), ("", 80)]


@pytest.mark.parametrize(
    ("one", "other", "is_in_the_way"),
    [
        (Door(80), Door(80), True),
        (Door(80), Door(81), False),
        (Door(80, "127.0.0.1"), Door(80), True),
        (Door(80), Door(80, "10.77.0.11"), True),
        (Door(80, "127.0.0.1"), Door(80, "10.77.0.11"), False),
        (Door(80, "10.77.0.11"), Door(80, "10.77.0.11"), True),
    ],
)
def test_one_port_is_in_the_way_of_the_same_on_the_same_address(one: Door, other: Door, is_in_the_way: bool) -> None:
    assert one.is_in_the_way_of(other) == is_in_the_way


def line(address: str, port: int) -> str:
    digits = bytes(map(int, address.split(".")))[::-1].hex().upper()
    return f"   0: {digits}:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0\n"


class Told:
    """An engine whose host listens there, as its gateway's container reads it."""

    def __init__(self, *listens: tuple[str, int]) -> None:
        self._tables = "".join(line(*at) for at in listens)
        self.times = 0

    async def exec(self, *_: object) -> ExecResult:
        self.times += 1
        return ExecResult(0, self._tables.encode())


def test_a_host_is_asked_once() -> None:
    engine = Told()
    listened = Listened(SimpleNamespace(fleet=fleet("h1"), engines={"h1": engine}))  # type: ignore[arg-type]
    for _ in range(2):
        asyncio.run(check(listened, SHOP, facts(up("h1", gateway=GatewayFacts()))))
    assert engine.times == 1


def asked(app: App, there: Table, *listens: tuple[str, int]) -> None:
    on = fleet("h1")
    seen = facts(up("h1", gateway=GatewayFacts(table=there)))
    ports = SimpleNamespace(fleet=on, engines={"h1": Told(*listens)})
    asyncio.run(check(Listened(ports), app, seen))  # type: ignore[arg-type]


SHOP = goal(fleet("h1"), service(ports=(ingress(8080),))).app
INNER = Table(
    listeners=(Listener(8080, "198.18.0.9", "http", (Route("blog.web.8080"),)),),
    pools=(Pool("blog.web.8080", "blog", "web"),),
)


def test_a_service_s_own_address_is_in_no_listener_s_way() -> None:
    asked(SHOP, INNER, ("198.18.0.9", 8080))


def test_where_engines_find_the_registry_is_in_no_listener_s_way() -> None:
    asked(SHOP, replace(INNER, registry=(8080, "10.0.0.1", 25000)), ("198.18.0.9", 8080), ("127.0.0.1", 8080))


def test_what_is_not_the_gateway_s_is_told_before_anything_is_changed() -> None:
    with pytest.raises(PortTakenError, match="not this fleet's has port 8080"):
        asked(SHOP, INNER, ("198.18.0.9", 8080), ("127.0.0.1", 8080))


def test_whose_container_has_the_port_is_told_and_how_docker_compose_is_followed() -> None:
    theirs = Stranger("shop-web-1", "shop", ports=frozenset({("tcp", 8080)}))
    on, seen = fleet("h1"), facts(up("h1", taken=frozenset({("tcp", 8080)}), strangers=(theirs,)))
    ports = SimpleNamespace(fleet=on, engines={"h1": Told()})
    with pytest.raises(PortTakenError, match="shop-web-1, which docker compose runs, has port 8080") as told:
        asyncio.run(check(Listened(ports), SHOP, seen))  # type: ignore[arg-type]
    assert "docker compose -p shop down" in told.value.todo


def test_a_replica_of_the_fleet_that_publishes_the_port_on_its_host_is_named() -> None:
    theirs = replica(service("agent", ports=()), 1, "h1", app="watch", ports=(Binding(9100, 8080, "10.0.0.11"),))
    on, seen = fleet("h1"), facts(up("h1", theirs, strangers=(Stranger("bayplan-gateway-local", fleet="local"),)))
    ports = SimpleNamespace(fleet=on, engines={"h1": Told(("10.0.0.11", 8080))})
    with pytest.raises(PortTakenError, match=r"agent-1-r1 of the app watch has port 8080, which a listener") as told:
        asyncio.run(check(Listened(ports), SHOP, seen))  # type: ignore[arg-type]
    assert told.value.todo == "publish another port; or first stop what has it: bayplan stop -p watch agent"


def test_another_fleet_s_gateway_on_that_host_is_named() -> None:
    """An app that grows from one machine to a fleet meets its own listener."""
    on, seen = fleet("h1"), facts(up("h1", strangers=(Stranger("bayplan-gateway-local", fleet="local"),)))
    ports = SimpleNamespace(fleet=on, engines={"h1": Told(("0.0.0.0", 8080))})
    with pytest.raises(PortTakenError, match="not this fleet's has port 8080") as told:
        asyncio.run(check(Listened(ports), SHOP, seen))  # type: ignore[arg-type]
    assert "if bayplan-gateway-local of the fleet local has it: take the app down in that fleet" in told.value.todo


def test_a_listener_of_another_app_is_told_before_anything_is_changed() -> None:
    front = Listener(8080, "", "http", (Route("blog.web.8080"),))
    with pytest.raises(
        PortTakenError, match="port 8080 of the balancer is held by the app blog; nothing of the app was changed"
    ):
        asked(SHOP, replace(INNER, listeners=(front,)), ("0.0.0.0", 8080))


CALLED = goal(
    fleet("h1", "h2", balancers=("h1",)), service(), service("api", ports=(), expose=(Exposed(port=9000),))
).app


def beside(app: App, there: Table, *listens: tuple[str, int]) -> SimpleNamespace:
    """A fleet of two, the second no balancer, where something listens."""
    on = fleet("h1", "h2", balancers=("h1",))
    ports = SimpleNamespace(fleet=on, engines={"h1": Told(), "h2": Told(*listens)})
    return SimpleNamespace(ports=ports, app=app, facts=facts(up("h1"), up("h2", gateway=GatewayFacts(table=there))))


def test_what_has_a_port_of_a_service_s_own_address_is_told_wherever_it_is() -> None:
    on = beside(CALLED, Table(), ("0.0.0.0", 9000))
    with pytest.raises(PortTakenError, match="9000, on which others reach api; nothing of the app was changed") as told:
        asyncio.run(check(Listened(on.ports), on.app, on.facts))
    assert told.value.where == "h2"
    assert "or have api listen on another port" in told.value.todo


@pytest.mark.parametrize("listens", [("127.0.0.1", 9000), ("10.0.0.12", 9000), ("0.0.0.0", 22), ("0.0.0.0", 80)])
def test_what_listens_elsewhere_is_in_the_way_of_no_service_s_own_address(listens: tuple[str, int]) -> None:
    """On an address of the host's own; where sshd does; where clients' listener is another host's."""
    git = service("git", ports=(ingress(2222, 22, app_protocol="tcp"),))
    on = beside(App(name="shop", services={**CALLED.services, "git": git}), Table(), listens)
    asyncio.run(check(Listened(on.ports), on.app, on.facts))


def test_a_service_alone_has_no_address_that_anything_could_be_in_the_way_of() -> None:
    alone = App(name="shop", services={"api": CALLED.services["api"]})
    on = beside(alone, Table(), ("0.0.0.0", 9000))
    asyncio.run(check(Listened(on.ports), on.app, on.facts))


def test_a_port_that_the_gateway_answers_on_is_its_own() -> None:
    on = beside(CALLED, Table((Listener(9000, "198.18.0.9"),)), ("198.18.0.9", 9000), ("0.0.0.0", 9000))
    asyncio.run(check(Listened(on.ports), on.app, on.facts))


def test_a_port_that_only_the_image_names_is_left_out_where_something_has_it() -> None:
    named = CALLED.services["api"].model_copy(update={"listens": (9000, 9100)})
    on = beside(App(name="shop", services={**CALLED.services, "api": named}), Table(), ("0.0.0.0", 9100))
    said: list[str] = []
    whole = asyncio.run(without_taken(Listened(on.ports), on.app, on.facts, said.append))
    assert whole.services["api"].listens == (9000,)
    [told] = said
    assert told.startswith("h2: something that is not this fleet's has port 9100, which the image of api names")
    asyncio.run(check(Listened(on.ports), whole, on.facts))
