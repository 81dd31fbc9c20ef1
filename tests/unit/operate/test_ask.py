"""Asking engines, and what is told of those that take long."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.given import fleet, host
from tests.memory_fleet import MemoryFleet
from tests.virtual_time import run

from bayplan.converge.observe import SLOW, see_engine, see_host
from bayplan.engines.memory import MemoryEngine
from bayplan.errors import UsageError
from bayplan.facts import EngineFacts
from bayplan.operate.ask import ask_all, check_ways
from bayplan.ports import FleetPorts


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


def test_a_host_whose_gateway_cannot_be_told_anything_is_refused_before_anything_is_begun() -> None:
    """`up` started a gateway there, and waited for its answer; `doctor` said that all was well."""
    check_ways(fleet("h1", "h2"))
    deaf = host("h2").model_copy(update={"address": "tcp://10.77.0.12:2376"})
    with pytest.raises(UsageError, match=r"tcp://10\.77\.0\.12:2376: over TLS only its engine can be reached") as told:
        check_ways(fleet("h1", deaf))
    assert (told.value.where, "ssh://user@host" in told.value.todo) == ("h2", True)
