"""Merging logs whose lines are in order but for a few nanoseconds, with hosts that fail meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from ipaddress import IPv4Network

import pytest

from bayplan.errors import HostUnreachableError, UsageError
from bayplan.facts import EngineFacts, Replica
from bayplan.operate.logs import Item, Line, Notice, Wish, read
from bayplan.ports import FleetPorts, LogLine
from bayplan.spec.model import Balancer, Fleet, Host
from bayplan.store import releases_for


class Says:
    """An engine with one replica that wrote at these times, and then, if it breaks, is not there any more."""

    def __init__(self, host: str, times: Sequence[int], *, breaks: bool = False) -> None:
        self.host, self._times, self._breaks = host, times, breaks

    async def observe(self, fleet: str) -> EngineFacts:
        del fleet
        slot = int(self.host[1:])
        return EngineFacts(
            replicas=(Replica(self.host, f"a-web-{slot}", self.host, "a", "web", slot, 1, "s", "running"),)
        )

    async def logs(
        self, name: str, *, tail: int | None = None, follow: bool = False, since: str = ""
    ) -> AsyncIterator[LogLine]:
        del name, tail, follow, since
        for time in self._times:
            yield LogLine("stdout", f"2026-11-05T10:00:00.{time:09}Z", str(time))
        if self._breaks:
            raise HostUnreachableError("it went away", where=self.host)


def ports(*engines: Says) -> FleetPorts:
    hosts = {e.host: Host(name=e.host, address=f"ssh://{e.host}", private_ip="10.0.0.1") for e in engines}
    fleet = Fleet(
        name="f", private_net=IPv4Network("10.0.0.0/24"), hosts=hosts, balancer=Balancer(hosts=(), address=""), local=True
    )  # fmt: skip
    by_host = {e.host: e for e in engines}
    return FleetPorts(fleet, {}, by_host, {}, None, releases_for(fleet, None), None, None)  # type: ignore[arg-type]


async def told(*engines: Says) -> list[Item]:
    items: list[Item] = []
    await read(ports(*engines), "a", Wish(), items.extend)
    return items


async def test_lines_are_sorted_over_all_replicas_and_within_each() -> None:
    items = await told(Says("h1", [1, 4, 3, 9, 2000]), Says("h2", [2, 8, 5]), Says("h3", []))
    assert [i.text for i in items if isinstance(i, Line)] == ["1", "2", "3", "4", "5", "8", "9", "2000"]
    assert {i.replica.host for i in items if isinstance(i, Line)} == {"h1", "h2"}


async def test_long_logs_are_sorted_too() -> None:
    items = await told(Says("h1", range(0, 4000, 2)), Says("h2", range(1, 4000, 2)))
    assert [int(i.text) for i in items if isinstance(i, Line)] == list(range(4000))


async def test_a_host_that_goes_away_ends_its_own_lines_only() -> None:
    items = await told(Says("h1", [1, 5]), Says("h2", [2, 3], breaks=True))
    assert [i.text for i in items if isinstance(i, Line)] == ["1", "2", "3", "5"]
    (notice,) = (i for i in items if isinstance(i, Notice))
    assert notice.host == "h2"
    assert "it went away" in notice.text


async def test_a_service_that_is_not_there_is_named() -> None:
    with pytest.raises(UsageError, match="no service db"):
        await read(ports(Says("h1", [])), "a", Wish(frozenset({"db"})), list)
