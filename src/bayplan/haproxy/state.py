"""A gateway's state as HAProxy itself carries it: the table in its environment, a digest of what its file says.

So one request to the runtime API tells what runs, and whether a restart would run the same, with no file to be read.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, Final

from bayplan.container import digest
from bayplan.facts import ServerFacts
from bayplan.routing import Listener, Names, Pool, Route, Spoken, Table

TABLE: Final = "BAYPLAN_TABLE"  # how many parts there are; they follow as BAYPLAN_TABLE_0, …
SAVED: Final = "BAYPLAN_SAVED"  # "GENERATION:DIGEST" of the file that the process has read
MAP: Final = "virt@bayplan"  # its key "saved": the same for the file that a restart would read
# POOL/SERVER to the process's uptime as it was drained, in seconds: HAProxy itself counts from when it came up.
DRAINED: Final = "virt@bayplan.drained"
_PART = 8000  # characters; what `show env` prints for one variable must fit in HAProxy's buffer of 16384

Pools = Mapping[str, tuple[ServerFacts, ...]]


def pack(table: Table) -> dict[str, str]:
    """The table as environment variables."""
    text = base64.b64encode(zlib.compress(_json(table).encode(), 9)).decode()
    parts = [text[i : i + _PART] for i in range(0, len(text), _PART)]
    return {TABLE: str(len(parts))} | {f"{TABLE}_{i}": part for i, part in enumerate(parts)}


def unpack(environment: Mapping[str, str]) -> Table:
    """The table of `pack`'s variables, less what only a newer bayplan knows. Raises ValueError when they are not there
    or not whole.
    """
    try:
        text = "".join(environment[f"{TABLE}_{i}"] for i in range(int(environment[TABLE])))
        read = json.loads(zlib.decompress(base64.b64decode(text)))
        try:
            return _table(read)
        except TypeError:  # of a word that it does not know
            return _table(_known(read))
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise ValueError("no table of bayplan's") from error


def state_digest(table: Table, pools: Pools) -> str:
    """Twelve hex digits for all that a restart is to bring back: the table, the servers, and which of them drain."""
    servers = sorted(
        [pool, s.server.name, s.server.address, s.server.port, s.state] for pool in pools for s in pools[pool]
    )
    return digest([_json(table), servers])


def _json(table: Table) -> str:
    """Each look at a gateway does this for all apps: `asdict`, which copies, takes three times as long."""
    return json.dumps(table, default=_fields, sort_keys=True, separators=(",", ":"))


def _fields(value: Listener | Names | Pool | Route | Spoken | Table) -> dict[str, Any]:
    return {field.name: getattr(value, field.name) for field in fields(value)}


def _table(read: dict[str, Any]) -> Table:
    return Table(
        listeners=tuple(
            Listener(**{**front, "routes": tuple(Route(**{**r, "hosts": tuple(r["hosts"])}) for r in front["routes"])})
            for front in read["listeners"]
        ),
        pools=tuple(
            Pool(**{**pool, "former": tuple((server, Spoken(**how)) for server, how in pool.get("former", ()))})
            for pool in read["pools"]
        ),
        registry=tuple(read["registry"]) if read["registry"] else None,
        names=tuple(
            Names(**{**names, "networks": tuple((of, tuple(called)) for of, called in names.get("networks", ()))})
            for names in read.get("names", ())
        ),
    )


def _known(read: dict[str, Any]) -> dict[str, Any]:
    """As far as this bayplan knows the words."""
    pools = [
        {**_of(Pool, p), "former": [(n, _of(Spoken, how)) for n, how in p.get("former", ())]} for p in read["pools"]
    ]
    fronts = [{**_of(Listener, f), "routes": [_of(Route, r) for r in f["routes"]]} for f in read["listeners"]]
    return {**read, "pools": pools, "listeners": fronts, "names": [_of(Names, n) for n in read.get("names", ())]}


def _of(kind: type[Listener | Names | Pool | Route | Spoken], read: dict[str, Any]) -> dict[str, Any]:
    return {field.name: read[field.name] for field in fields(kind) if field.name in read}
