"""Where engines find the fleet's own registry, and what is in its way there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace

import pytest
from tests.given import facts, fleet, up
from tests.unit.operate.test_doors import line

from bayplan.errors import PortTakenError
from bayplan.facts import GatewayFacts, HostFacts, Stranger, SystemContainer
from bayplan.operate.registry_door import check
from bayplan.routing import Table
from bayplan.spec.model import Registry

FLEET = fleet("h1", "h2").model_copy(update={"registry": Registry(host="h1")})
OTHER = Stranger("bayplan-gateway-blog", fleet="blog")
OWN = SystemContainer("1", "gateway", "s", "running", name="bayplan-gateway-shop")


class Host:
    """One that listens there, as its login reads it."""

    def __init__(self, *listens: tuple[str, int]) -> None:
        self._tables = "".join(line(*at) for at in listens)
        self.times = 0

    async def run(self, _: Sequence[str]) -> str:
        self.times += 1
        return self._tables


def asked(host: HostFacts, *listens: tuple[str, int]) -> int:
    """How often h2, which is that, was asked."""
    there = Host(*listens)
    ports = SimpleNamespace(fleet=FLEET, reaches={"h1": Host(), "h2": there})
    asyncio.run(check(ports, facts(HostFacts("h1", reachable=True), host)))  # type: ignore[arg-type]
    return there.times


def fresh(*strangers: Stranger, **more: object) -> HostFacts:
    seen = up("h2", strangers=strangers, **more)
    return HostFacts("h2", reachable=True, engine=seen.engine)


def test_another_fleet_s_way_to_its_registry_is_told_before_anything_is_started() -> None:
    with pytest.raises(
        PortTakenError, match=r"5000 of its loopback is taken \(by bayplan-gateway-blog of the fleet blog\)"
    ) as told:
        asked(fresh(OTHER), ("127.0.0.1", 5000), ("127.0.0.1", 5001))
    assert told.value.where == "h2"
    assert "nothing was changed" in told.value.what
    assert "registry: {host: h1, port: 5002}" in told.value.todo


def test_a_container_that_publishes_the_port_is_named() -> None:
    theirs = Stranger("old-registry", ports=frozenset({("tcp", 5000)}))
    with pytest.raises(PortTakenError, match=r"\(by the container old-registry\)"):
        asked(fresh(theirs, taken=theirs.ports), ("0.0.0.0", 5000))
    assert asked(fresh(theirs, taken=theirs.ports), ("10.0.0.12", 5000)) == 1  # on another address it is in no way


def test_a_gateway_of_ours_that_does_not_lead_there_yet_is_looked_beside_as_well() -> None:
    behind = up("h2", system=(OWN,), gateway=GatewayFacts(Table()))
    with pytest.raises(PortTakenError, match="taken: engines are to find"):
        asked(behind, ("127.0.0.1", 5000))
    assert asked(behind, ("10.0.0.12", 5000)) == 1


def test_where_nobody_may_be_in_the_way_no_host_is_asked() -> None:
    leads = GatewayFacts(Table(registry=(5000, "10.0.0.11", 25000)))
    assert asked(up("h2", system=(OWN,), gateway=leads, strangers=(OTHER,)), ("127.0.0.1", 5000)) == 0
    assert asked(fresh(), ("127.0.0.1", 5000)) == 0
