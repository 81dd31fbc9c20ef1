"""What a host listens on, from the kernel's tables, and what that is in the way of."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from types import SimpleNamespace

import pytest
from tests.given import facts, fleet, goal, ingress, service, up

from bayplan.errors import PortTakenError
from bayplan.facts import GatewayFacts, Listener, Pool, Route, Stranger, Table
from bayplan.listening import listening
from bayplan.operate.doors import Door, check
from bayplan.ports import ExecResult
from bayplan.spec.model import App

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

    async def exec(self, *_: object) -> ExecResult:
        return ExecResult(0, self._tables.encode())


def asked(app: App, there: Table, *listens: tuple[str, int]) -> None:
    on = fleet("h1")
    seen = facts(up("h1", gateway=GatewayFacts(table=there)))
    ports = SimpleNamespace(fleet=on, engines={"h1": Told(*listens)})
    asyncio.run(check(ports, app, seen))  # type: ignore[arg-type]


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
        asyncio.run(check(ports, SHOP, seen))  # type: ignore[arg-type]
    assert "docker compose -p shop down" in told.value.todo


def test_another_fleet_s_gateway_on_that_host_is_named() -> None:
    """An app that grows from one machine to a fleet meets its own listener."""
    on, seen = fleet("h1"), facts(up("h1", strangers=(Stranger("bayplan-gateway-local", fleet="local"),)))
    ports = SimpleNamespace(fleet=on, engines={"h1": Told(("0.0.0.0", 8080))})
    with pytest.raises(PortTakenError, match="not this fleet's has port 8080") as told:
        asyncio.run(check(ports, SHOP, seen))  # type: ignore[arg-type]
    assert "if bayplan-gateway-local of the fleet local has it: take the app down in that fleet" in told.value.todo


def test_a_listener_of_another_app_is_told_before_anything_is_changed() -> None:
    front = Listener(8080, "", "http", (Route("blog.web.8080"),))
    with pytest.raises(PortTakenError, match="port 8080 of the balancer is held by the app blog; nothing was changed"):
        asked(SHOP, replace(INNER, listeners=(front,)), ("0.0.0.0", 8080))
