"""From what HAProxy prints to facts. Pure."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from bayplan.errors import GatewayError
from bayplan.facts import GatewayFacts, ServerFacts, ServerState
from bayplan.haproxy.places import SPEC
from bayplan.haproxy.state import DRAINED, MAP, SAVED, Pools, state_digest, unpack
from bayplan.haproxy.words import AWAY
from bayplan.routing import Server, Table

# Management manual 3.0, "show servers state": srv_admin_state is a mask. 0x04 (maintenance is what the file says) stays
# when the server has long been made ready. srv_check_result is nothing while a check is under way: `show stat` has the
# last one's.
_MAINT, _DRAIN = 0x01 | 0x02 | 0x20, 0x08 | 0x10
_NOT_CHECKED = ("", "UNK", "INI")

LOOK = (
    "show servers state",
    "show stat -1 4 -1",
    "show env",
    f"show map {MAP}",
    f"show map {DRAINED}",
    "show info float",
)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a running process.

    saved: "GENERATION:DIGEST" of the file that its restart would read; uptime: its own, in seconds; spec: its
    container's definition.
    """

    table: Table
    pools: Pools
    saved: str
    uptime: float
    spec: str = ""
    away: Mapping[str, ServerFacts] = field(default_factory=dict)

    @property
    def generation(self) -> int:
        return int(self.saved.partition(":")[0])

    @property
    def facts(self) -> GatewayFacts:
        in_step = self.saved.partition(":")[2] == state_digest(self.table, self.pools)
        return GatewayFacts(self.table, self.pools, in_step, self.spec, self.away)


def read_look(answers: Iterable[str]) -> Look:
    """From the answers to LOOK. Raises GatewayError when they are not those of a gateway of ours."""
    states, stats, environment, kept, drained, info = answers
    variables = dict(line.partition("=")[::2] for line in environment.splitlines())
    try:
        table = unpack(variables)
        saved = _saved(kept) or variables[SAVED]
        uptime = _uptime(info)
        servers = _servers(states, read_sessions(stats), _draining(drained, uptime))
    except (ValueError, KeyError, IndexError) as error:
        raise GatewayError(
            "the HAProxy at the gateway's socket is not one that bayplan configured",
            todo="stop whatever else was started there; `bayplan up` starts the gateway again",
        ) from error
    pools = {p.name: tuple(s for s in servers.get(p.name, ()) if s.server.name != AWAY) for p in table.pools}
    away = {p.name: s for p in table.pools for s in servers.get(p.name, ()) if s.server.name == AWAY}
    return Look(table, pools, saved, uptime, variables.get(SPEC, ""), away)


def read_sessions(stats: str) -> dict[tuple[str, str], tuple[int, str]]:
    """(open sessions, last check in HAProxy's words) by pool and server, from `show stat`."""
    rows = csv.DictReader(stats.lstrip("# ").splitlines())
    return {(r["pxname"], r["svname"]): (int(r["scur"] or 0), r["check_status"].lstrip("* ")) for r in rows}


def old_workers(processes: str) -> tuple[str, ...]:
    """Process ids of workers that a reload left behind to finish what they have, from the master's `show proc`."""
    _, _, old = processes.partition("# old workers")
    rows = (line.split() for line in old.partition("#")[0].splitlines())
    return tuple(row[0] for row in rows if row and row[0].isdigit())


def listens(info: str) -> bool:
    """Whether a process still takes new connections, from its `show info`; one that has ended does not."""
    return "Stopping: 0" in info.splitlines()


def with_sessions(pools: Pools, more: Mapping[tuple[str, str], tuple[int, str]]) -> Pools:
    """The sessions of another process beside those of this one: a server is not drained while either has some."""
    return {
        pool: tuple(replace(s, sessions=s.sessions + more.get((pool, s.server.name), (0, ""))[0]) for s in servers)
        for pool, servers in pools.items()
    }


def _saved(kept: str) -> str:
    return next((value for key, value in _entries(kept) if key == "saved"), "")


def _entries(listed: str) -> list[tuple[str, str]]:
    """From `show map`: `0xADDRESS KEY VALUE` a line; none of a map that an older gateway does not have."""
    return [(key, value) for _, key, value in (line.split() for line in listed.splitlines() if line[:2] == "0x")]


def _uptime(info: str) -> float:
    return float(next(line.partition(":")[2] for line in info.splitlines() if line.startswith("Uptime_sec:")))


def _draining(drained: str, uptime: float) -> dict[str, float]:
    """Seconds that each server has been draining, by POOL/SERVER; drained twice, the later time counts."""
    began = sorted((float(value), key) for key, value in _entries(drained))
    return {key: max(0.0, uptime - then) for then, key in began}


def _servers(
    states: str, sessions: Mapping[tuple[str, str], tuple[int, str]], draining: Mapping[str, float]
) -> dict[str, list[ServerFacts]]:
    lines = states.splitlines()  # "1", "# name name …", then a row a server
    names = lines[1].removeprefix("# ").split()
    found: dict[str, list[ServerFacts]] = defaultdict(list)
    for line in lines[2:]:
        row = dict(zip(names, line.split(), strict=True))
        open_now, check = sessions.get((row["be_name"], row["srv_name"]), (0, ""))
        found[row["be_name"]].append(_server(row, open_now, check, draining))
    return found


def _server(row: Mapping[str, str], sessions: int, check: str, draining: Mapping[str, float]) -> ServerFacts:
    state = _state(int(row["srv_admin_state"]), int(row["srv_uweight"]))
    since = float(row["srv_time_since_last_change"])
    if state == "drain":
        since = draining.get(f"{row['be_name']}/{row['srv_name']}", since)
    return ServerFacts(
        server=Server(row["srv_name"], row["srv_addr"], int(row["srv_port"])),
        state=state,
        up=None if check in _NOT_CHECKED else check.endswith(("OK", "OKC")),
        check=check,
        sessions=sessions,
        since=since,
    )


def _state(admin: int, weight: int) -> ServerState:
    if admin & _MAINT:
        return "maint"
    return "drain" if admin & _DRAIN or weight == 0 else "ready"
