"""Asking engines, and what is told of those that take long."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

import pytest
from tests.given import fleet
from tests.memory_fleet import MemoryFleet
from tests.virtual_time import run

from bayplan.converge.observe import SLOW, see_engine, see_gateway, see_host
from bayplan.engines.memory import MemoryEngine
from bayplan.errors import HostRefusedError
from bayplan.facts import EngineFacts, GatewayFacts
from bayplan.operate.ask import ask_all
from bayplan.ports import FleetPorts, Gateway


def hanging(monkeypatch: pytest.MonkeyPatch, host: str, seconds: float) -> tuple[FleetPorts, list[str]]:
    """A fleet of which one host answers late; and who is said to be waited for."""
    observe, told = MemoryEngine.observe, list[str]()

    async def late(self: MemoryEngine, name: str) -> EngineFacts:
        await asyncio.sleep(seconds if self.host == host else 0)
        return await observe(self, name)

    monkeypatch.setattr(MemoryEngine, "observe", late)
    return replace(MemoryFleet(fleet("h1", "h2")).ports, slow=told.append), told


def test_a_host_that_is_waited_for_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    ports, told = hanging(monkeypatch, "h2", 1000)
    facts = run(ask_all(ports))
    assert not facts.hosts["h2"].reachable
    assert told == ["h2"]
    run(see_host(ports, "h2", images=False))
    assert told == ["h2", "h2"]


def test_one_that_answers_soon_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    ports, told = hanging(monkeypatch, "h2", SLOW / 2)
    assert run(see_engine(ports, "h2")).reachable
    assert told == []


class NeverAnswering:
    """A gateway to which no way leads, and never will."""

    async def observe(self) -> GatewayFacts:
        raise HostRefusedError("it has no perl", where="h2", todo="install it")


def test_a_host_whose_gateway_never_can_be_reached_refuses_and_is_not_waited_for() -> None:
    ports = MemoryFleet(fleet("h1", "h2")).ports
    ports = replace(ports, gateways={**ports.gateways, "h2": cast("Gateway", NeverAnswering())})
    seen = run(see_host(ports, "h2", images=False))
    assert (seen.reachable, seen.refused, seen.why, seen.todo) == (False, True, "it has no perl", "install it")
    well = run(see_engine(ports, "h2"))
    assert run(see_gateway(ports, well)) == replace(well, gateway=None)
