"""A pass's changes of one gateway, worked out before any is made. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bayplan.errors import GatewayError
from bayplan.facts import ServerFacts
from bayplan.gateways.moves import after, commands, pool_of
from bayplan.haproxy.state import Pools
from bayplan.plan.steps import PoolChange
from bayplan.routing import Table


@dataclass(frozen=True, slots=True)
class Batch:
    """pools: as they will be; told: what HAProxy is told, by change; refused: what cannot be done, with why."""

    pools: Pools
    told: Mapping[PoolChange, tuple[str, ...]]
    refused: Mapping[PoolChange, str]


def prepare(changes: Sequence[PoolChange], table: Table, pools: Pools, uptime: float) -> Batch:
    """In their order: a server may leave and join again in one batch. What is done already is told to nobody.

    uptime: of the gateway's process, seconds.
    """
    then = {name: {s.server.name: s for s in servers} for name, servers in pools.items()}
    told: dict[PoolChange, tuple[str, ...]] = {}
    refused: dict[PoolChange, str] = {}
    for change in changes:
        try:
            words = _one(change, table, then, uptime)
        except GatewayError as error:
            refused[change] = error.what
        else:
            told |= {change: words} if words else {}
    return Batch({name: tuple(servers.values()) for name, servers in then.items()}, told, refused)


def _one(
    change: PoolChange, table: Table, then: Mapping[str, dict[str, ServerFacts]], uptime: float
) -> tuple[str, ...]:
    pool = pool_of(change, table)
    if pool is None:
        return ()
    servers = then[pool.name]
    known = servers.get(change.server.name)
    reached = after(known, change)
    words = tuple(commands(pool, known, reached, uptime))
    servers.pop(change.server.name, None)
    servers |= {change.server.name: reached} if reached else {}
    return words
