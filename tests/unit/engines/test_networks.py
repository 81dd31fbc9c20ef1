"""Where an app's network has its addresses, by what the engine lists."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import asynccontextmanager
from ipaddress import IPv4Network
from types import SimpleNamespace
from typing import Any

import pytest

from bayplan import labels
from bayplan.engines import networks
from bayplan.engines.faults import translated
from bayplan.errors import ConflictError, EngineError

OURS = {labels.FLEET: "shop"}
POOLS = ("172.17.0.0/16", "172.18.0.0/16", "192.168.16.0/20")


class Engine:
    """As much of one as networks need, in the words of 20.10. gives: its pools, of which a network gets a whole one."""

    host = "h1"

    def __init__(self, *gives: str) -> None:
        self.gives = [IPv4Network(text) for text in gives]
        self.there: dict[str, dict[str, Any]] = {}
        self.hidden: list[IPv4Network] = []  # in no list: a network that is being made, or goes
        self.asked: list[str] = []
        self._docker = SimpleNamespace(networks=SimpleNamespace(list=self._list, create=self._create, get=self._get))

    @asynccontextmanager
    async def calling(self, _: float | None = None) -> Any:
        yield self._docker

    def put(self, name: str, subnet: str, told: Mapping[str, str] = OURS) -> None:
        ipam = {"Config": [{"Subnet": subnet}, {"Subnet": "fd00::/64"}]}
        self.there[name] = {"Name": name, "Id": f"{name}@{subnet}", "Labels": dict(told), "IPAM": ipam}

    def at(self, name: str) -> str:
        return str(self.there[name]["IPAM"]["Config"][0]["Subnet"])

    async def _list(self, **_: Any) -> list[dict[str, Any]]:
        self.asked.append("list")
        return list(self.there.values())

    async def _create(self, config: dict[str, Any]) -> None:
        self.asked.append("create")
        if config["Name"] in self.there:
            raise translated(409, f"network with name {config['Name']} already exists", "h1")
        taken = [IPv4Network(self.at(name)) for name in self.there] + self.hidden
        wanted = [IPv4Network(c["Subnet"]) for c in config.get("IPAM", {"Config": []})["Config"]]
        free = [net for net in wanted or self.gives if not any(net.overlaps(t) for t in taken)]
        if not free and wanted:
            raise translated(403, "Pool overlaps with other one on this address space", "h1")
        if not free:
            raise translated(
                404, "could not find an available, non-overlapping IPv4 address pool among the defaults", "h1"
            )
        self.put(config["Name"], str(free[0]), config["Labels"])

    async def _get(self, one: str) -> Any:
        async def delete() -> None:
            self.asked.append("delete")
            self.there = {name: n for name, n in self.there.items() if n["Id"] != one}

        return SimpleNamespace(delete=delete)


def ensure(engine: Engine, *names: str, within: tuple[str, ...] = ()) -> list[str]:
    """Where they are, once each is ensured."""

    async def each() -> None:
        for name in names:
            await networks.ensure(engine, name, "bp", OURS, [IPv4Network(text) for text in within])  # type: ignore[arg-type]

    asyncio.run(each())
    return [engine.at(name) for name in names]


def test_the_first_takes_a_part_of_the_pool_that_the_engine_chooses_and_the_next_the_next_parts() -> None:
    engine = Engine(*POOLS)
    engine.put("bridge", "172.17.0.0/16", {})
    assert ensure(engine, "a", "b", "c") == ["172.18.0.0/22", "172.18.4.0/22", "172.18.8.0/22"]
    assert {n["Labels"].get(labels.POOL) for n in engine.there.values()} == {None, "172.18.0.0/16"}


def test_one_that_is_there_is_asked_for_once_and_one_that_follows_with_one_request_more() -> None:
    engine = Engine(*POOLS)
    ensure(engine, "a")
    engine.asked.clear()
    ensure(engine, "a")
    assert engine.asked == ["list"]
    ensure(engine, "b")
    assert engine.asked == ["list", "list", "create"]


def test_a_part_that_is_free_again_is_taken_again_and_a_full_pool_is_followed_by_another() -> None:
    engine = Engine(*POOLS)
    ensure(engine, *(f"n{i}" for i in range(64)))
    assert len(set(map(engine.at, engine.there))) == 64
    assert ensure(engine, "m") == ["172.18.0.0/22"]
    del engine.there["n7"]
    assert ensure(engine, "x", "y") == ["172.17.28.0/22", "172.18.4.0/22"]


def test_a_pool_that_is_small_is_taken_whole_and_the_next_is_made_at_once() -> None:
    engine = Engine("10.9.0.0/24", "10.9.1.0/24")
    assert ensure(engine, "a") == ["10.9.0.0/24"]
    engine.asked.clear()
    assert ensure(engine, "b") == ["10.9.1.0/24"]
    assert engine.asked == ["list", "create"]
    assert all(map(networks.is_settled, engine.there.values()))


def test_networks_from_before_stay_as_they_are_and_nothing_of_theirs_is_taken() -> None:
    engine = Engine(*POOLS)
    engine.put("old", "172.17.0.0/16")
    assert ensure(engine, "old", "new") == ["172.17.0.0/16", "172.18.0.0/22"]


def test_what_others_have_within_a_pool_is_left_to_them() -> None:
    engine = Engine(*POOLS)
    ensure(engine, "a")
    engine.put("stranger", "172.17.5.0/24", {})
    engine.hidden.append(IPv4Network("172.17.8.0/28"))
    assert ensure(engine, "b") == ["172.17.12.0/22"]


def test_where_the_engine_is_set_to_go_elsewhere_by_now_networks_go_there() -> None:
    engine = Engine("172.17.0.0/16")
    ensure(engine, "a", within=("172.16.0.0/12",))
    engine.gives = [IPv4Network("10.8.0.0/20")]
    assert ensure(engine, "b", "c", within=("10.8.0.0/16",)) == ["10.8.0.0/22", "10.8.4.0/22"]
    assert networks.pools({"DefaultAddressPools": [{"Base": "10.8.0.0/16", "Size": 20}, {"Base": "fd00::/8"}]}) == (
        IPv4Network("10.8.0.0/16"),
    )
    assert networks.pools({"DefaultAddressPools": None}) == ()


def test_what_a_killed_one_left_in_a_whole_pool_is_in_no_facts_and_is_set_right() -> None:
    engine = Engine(*POOLS)
    engine.put("a", "172.17.0.0/16", OURS | {labels.POOL: ""})
    assert asyncio.run(networks.names(engine, "shop")) == {}  # type: ignore[arg-type]
    assert ensure(engine, "a") == ["172.17.0.0/22"]
    assert asyncio.run(networks.names(engine, "shop")) == {"a": "a@172.17.0.0/22"}  # type: ignore[arg-type]


def test_several_at_once_have_one_network_and_others_beside_it() -> None:
    engine = Engine(*POOLS)

    async def story() -> None:
        async with asyncio.TaskGroup() as all_of_them:
            for name in ("a", "a", "b", "a", "b"):
                all_of_them.create_task(networks.ensure(engine, name, "bp", OURS, ()))  # type: ignore[arg-type]

    asyncio.run(story())
    assert sorted(engine.there) == ["a", "b"]
    assert all(
        n["Labels"][labels.POOL] and n["IPAM"]["Config"][0]["Subnet"].endswith("/22") for n in engine.there.values()
    )


def test_a_strangers_is_not_taken_over() -> None:
    engine = Engine(*POOLS)
    engine.put("a", "172.17.0.0/16", {})
    with pytest.raises(ConflictError, match="a network named a is there and is not bayplan's"):
        ensure(engine, "a")


@pytest.mark.parametrize(
    "said",
    [
        "could not find an available, non-overlapping IPv4 address pool among the defaults to assign to the network",
        "all predefined address pools have been fully subnetted",
    ],
)
def test_an_engine_without_addresses_says_what_helps(said: str) -> None:
    error = translated(404, said, "h1")
    assert type(error) is EngineError
    assert "no address pool left" in error.what
    assert "default-address-pools" in error.todo
