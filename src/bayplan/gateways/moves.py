"""What a change does to a server, and how HAProxy is told. Pure; the table is the whole of the rules.

| server is | join        | ready        | drain | leave |
| --------- | ----------- | ------------ | ----- | ----- |
| not there | add, drain  | refused      | -     | -     |
| drain     | -           | ready        | -     | gone  |
| ready     | -           | -            | drain | gone  |
| maint     | drain       | ready        | -     | gone  |
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from bayplan.errors import GatewayError
from bayplan.facts import ServerFacts, ServerState
from bayplan.haproxy.state import DRAINED
from bayplan.haproxy.words import check_name, is_checked, server_words
from bayplan.plan.steps import PoolChange
from bayplan.routing import Pool, Server, Table

_GO: Mapping[tuple[str, ServerState], ServerState] = {
    ("join", "maint"): "drain",
    ("ready", "drain"): "ready",
    ("ready", "maint"): "ready",
    ("drain", "ready"): "drain",
}

# Connections end within milliseconds of being shut; a server that will not empty is tried again by the next pass.
_EMPTY = "500ms"
# "Key not found.": one that never drained is not in the map of those that do.
_SAID_BY_SUCCESS = ("", "New server registered.", "Done.", "Server deleted.", "Key not found.")


def after(known: ServerFacts | None, change: PoolChange) -> ServerFacts | None:
    """The server as the change leaves it; None: not there. Raises GatewayError when it cannot be made."""
    if change.action == "leave":
        return None
    if known is not None and known.server != change.server:
        known = None if change.action == "join" else known
    if known is None:
        return _new(change)
    return replace(known, state=_GO.get((change.action, known.state), known.state))


def _new(change: PoolChange) -> ServerFacts | None:
    if change.action == "ready":
        raise GatewayError(f"{change.server.name} is not in the pool {change.pool}", where=change.host)
    return ServerFacts(change.server, "drain", None) if change.action == "join" else None


def pool_of(change: PoolChange, table: Table) -> Pool | None:
    """The change's pool; None where there is none and none is needed. Raises GatewayError."""
    pool = next((p for p in table.pools if p.name == change.pool), None)
    if pool is None and change.action in ("join", "ready"):
        raise GatewayError(f"there is no pool {change.pool}", where=change.host)
    return pool


def commands(pool: Pool, known: ServerFacts | None, then: ServerFacts | None, uptime: float) -> Iterator[str]:
    """How HAProxy is brought from `known` to `then`. uptime: its process's, seconds."""
    if known is not None and (then is None or then.server != known.server):
        yield from _leave(f"{pool.name}/{known.server.name}")
        known = None
    if then is not None and known is None:
        yield from _join(pool, then.server)
    elif then is not None and known is not None and then.state != known.state:
        yield from _go(pool, then.server.name, then.state, uptime)


def refusal(answers: list[str]) -> str:
    """The first of HAProxy's answers that is not a success; "" if all are."""
    said = (answer.strip() for answer in answers)
    return next((s.replace("\n", " ") for s in said if s not in _SAID_BY_SUCCESS), "")


def _join(pool: Pool, server: Server) -> Iterator[str]:
    """Drained before its checks run: enabled at once, it would take traffic before the first one."""
    name = f"{pool.name}/{check_name(server.name)}"
    yield f"add server {name} {server_words(pool, server)} weight 1"
    yield f"set server {name} state drain"
    yield from _asked(pool, server.name)


def _asked(pool: Pool, server: str) -> Iterator[str]:
    if is_checked(pool, server):
        yield f"enable health {pool.name}/{server}"


def _go(pool: Pool, server: str, state: ServerState, uptime: float) -> Iterator[str]:
    name = f"{pool.name}/{server}"
    if state == "drain":
        yield f"add map {DRAINED} {name} {uptime:.3f}"
    else:  # one that a restart brought back drains by its weight
        yield f"del map {DRAINED} {name}"
        yield f"set server {name} weight 1"
    yield f"set server {name} state {state}"
    yield from _asked(pool, server)


def _leave(name: str) -> Iterator[str]:
    yield f"set server {name} state maint"
    yield f"shutdown sessions server {name}"
    yield f"wait {_EMPTY} srv-removable {name}"
    yield f"del server {name}"
    yield f"del map {DRAINED} {name}"
