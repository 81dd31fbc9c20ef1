"""Bridge networks: each a small part of an address pool that the engine chose, so that a host has room for many.

Left to itself, an engine gives each network a whole pool, and has some thirty of them. It alone knows which are free:
by its settings and the host's routes. So it chooses a pool, the network takes one part of that and says in a label
which pool it is, and those that follow take the next parts (docs/decisions/0027-many-networks-a-host.md).
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_network
from typing import Any, Final

from bayplan import labels
from bayplan.engines.client import SLOW, Client
from bayplan.engines.faults import CONFLICT
from bayplan.errors import ConflictError, EngineError, NotFoundError

Entry = Mapping[str, Any]  # one element of GET /networks

PART: Final = 22  # prefix length: 1021 containers; a bridge of Linux takes 1023 (BR_MAX_PORTS)
_TRIES: Final = 100  # what was free when the engine was asked, somebody else may have by then
_PAUSE: Final = 0.05  # seconds until somebody else's network of that name is in the list, or gone from it


@dataclass(frozen=True, slots=True)
class Place:
    """Where a network's addresses are. subnet None: where the engine likes; pool: as its label is to say."""

    subnet: IPv4Network | None
    pool: str | None


_CHOOSE: Final = Place(None, "")  # a whole pool, until the network is made again in a part of it
_AS_CHOSEN: Final = Place(None, None)


async def ensure(
    client: Client, name: str, bridge: str, told: Mapping[str, str], within: Sequence[IPv4Network]
) -> None:
    """A network of that name with those labels is there. within: as `pools` has it.

    Several may ask for the same at once, and whoever is killed meanwhile leaves what the next one sets right. Raises
    ConflictError when the name is a stranger's, EngineError when the engine has no addresses left.
    """
    refused: set[IPv4Network] = set()
    for _ in range(_TRIES):
        there = await _listed(client)
        own = [n for n in there if n["Name"] == name]
        for network in own:
            _check_ours(network, told, client.host)
            if is_settled(network):
                return
            await _delete(client, network["Id"])
        place = _next_place([n for n in there if n not in own], own, within, refused)
        try:
            await _create(client, name, bridge, told, place)
        except EngineError as error:
            if error.status == CONFLICT:
                await asyncio.sleep(_PAUSE)
            elif place.subnet is not None and "overlap" in error.what:
                refused.add(place.subnet)
            else:
                raise
        else:
            if place != _CHOOSE:
                return
    raise EngineError(f"no addresses are free for the network {name}: others take them first", where=client.host)


def pools(info: Mapping[str, Any]) -> tuple[IPv4Network, ...]:
    """Where the engine is set to have its networks (`default-address-pools`), by what it says of itself; () unset."""
    return tuple(net for pool in info.get("DefaultAddressPools") or () for net in _ipv4(pool.get("Base", "")))


async def names(client: Client, fleet: str) -> dict[str, str]:
    """Ids of the fleet's networks by name."""
    found = await _listed(client, label=f"{labels.FLEET}={fleet}")
    return {n["Name"]: n["Id"] for n in found if is_settled(n)}


def _next_place(
    others: Sequence[Entry], chosen: Sequence[Entry], within: Sequence[IPv4Network], refused: Collection[IPv4Network]
) -> Place:
    """Where the next network goes. others: all that are there; chosen: its own, as the engine chose for it.

    within: as `pools` has it. refused: what the engine has just said no to.
    """
    known = list(_subnets(chosen)) or _remembered(others, within)
    taken = [*refused, *_subnets(others)]
    free = (Place(p, str(pool)) for pool in known for p in _parts(pool) if not any(p.overlaps(t) for t in taken))
    has_small_ones = any(pool.prefixlen >= PART for pool in known)
    return next(free, _AS_CHOSEN if has_small_ones else _CHOOSE)


def is_settled(network: Entry) -> bool:
    """Whether it is where it stays: not in a whole pool that the engine has just chosen, to be made again."""
    return (network.get("Labels") or {}).get(labels.POOL) != _CHOOSE.pool


def _remembered(networks: Iterable[Entry], within: Sequence[IPv4Network]) -> list[IPv4Network]:
    """The pools that networks of ours are parts of; of those, the ones where the engine would still go."""
    told = {(n.get("Labels") or {}).get(labels.POOL) for n in networks}
    known = sorted(ip for text in told if text for ip in _ipv4(text))
    return [k for k in known if not within or any(k.subnet_of(p) for p in within)]


def _parts(pool: IPv4Network) -> Iterator[IPv4Network]:
    return pool.subnets(new_prefix=max(PART, pool.prefixlen))


def _subnets(networks: Iterable[Entry]) -> Iterator[IPv4Network]:
    configs = (c for n in networks for c in (n.get("IPAM") or {}).get("Config") or ())
    return (net for config in configs for net in _ipv4(config.get("Subnet", "")))


def _ipv4(text: str) -> Iterator[IPv4Network]:
    with suppress(ValueError):
        net = ip_network(text, strict=False)
        if isinstance(net, IPv4Network):
            yield net


def _check_ours(network: Entry, wanted: Mapping[str, str], host: str) -> None:
    """The one that is there must be ours, or replicas would join a stranger's."""
    has = network.get("Labels") or {}
    if any(has.get(key) != value for key, value in wanted.items()):
        name = network["Name"]
        raise ConflictError(
            f"a network named {name} is there and is not bayplan's",
            where=host,
            todo=f"remove or rename it: docker network rm {name}",
        )


async def _listed(client: Client, **filters: str) -> list[Entry]:
    async with client.calling() as docker:
        return list(await docker.networks.list(filters=filters or None))


async def _create(client: Client, name: str, bridge: str, told: Mapping[str, str], place: Place) -> None:
    config = {
        "Name": name,
        "CheckDuplicate": True,
        "Driver": "bridge",
        "Options": {"com.docker.network.bridge.name": bridge},
        "Labels": {**told, **({} if place.pool is None else {labels.POOL: place.pool})},
    }
    if place.subnet is not None:
        config["IPAM"] = {"Config": [{"Subnet": str(place.subnet)}]}
    async with client.calling(SLOW) as docker:
        await docker.networks.create(config)


async def _delete(client: Client, network: str) -> None:
    """By its id: another of its name may be there by now."""
    with suppress(NotFoundError):
        async with client.calling(SLOW) as docker:
            await (await docker.networks.get(network)).delete()
