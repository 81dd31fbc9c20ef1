"""haproxy.cfg of one gateway: for HAProxy 3.0 and newer.

Every file carries its generation, a digest of what it says, and a last line that tells that it is whole: `start.sh`
starts HAProxy with the newest whole one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bayplan.facts import ServerFacts
from bayplan.haproxy.fronts import UNMATCHED, frontend
from bayplan.haproxy.lost import CONNECT
from bayplan.haproxy.lost import FILE as LOST
from bayplan.haproxy.state import DRAINED, MAP, SAVED, Pools, pack, state_digest
from bayplan.haproxy.words import AWAY, check_name, check_words, paths, paths_path, quote, server_words, tls_words
from bayplan.routing import Pool, Table

ADMIN: Final = "admin.sock"
MASTER: Final = "master.sock"
COMPLETE: Final = "# complete"

# How one is found that has a name: also when nobody knows it yet as HAProxy starts.
_BY_NAME = "resolvers bayplan init-addr last,libc,none"

# An old process that still has TCP connections after a reload ends with them, or after this.
_HARD_STOP = "4h"

_DEFAULTS = f"""\
defaults
  timeout connect {CONNECT:g}s          # a host that is gone costs a retry after this
  timeout queue 5s
  timeout check 2s
  timeout client 7d           # a quiet TCP connection is not a dead one: keep-alive tells
  timeout server 7d
  timeout client-fin 30s
  timeout server-fin 30s
  timeout http-request 30s
  timeout http-keep-alive 60s
  timeout tunnel 1d
  option clitcpka
  option srvtcpka
  clitcpka-idle 60s
  clitcpka-intvl 15s
  clitcpka-cnt 4
  srvtcpka-idle 60s
  srvtcpka-intvl 15s
  srvtcpka-cnt 4
  option redispatch 1
  retries 3
  retry-on conn-failure empty-response
  http-error status 503 content-type text/plain string "No replica of this service can answer now.\\n"
"""


def render(fleet: str, run: str, table: Table, pools: Pools, generation: int) -> str:
    """The file. run: directory of its sockets; pools: the servers by pool, as they are to be after a restart.

    Raises GatewayError for a name that HAProxy cannot hold.
    """
    known = {pool.name: pool for pool in table.pools}
    kept = {name: servers for name, servers in pools.items() if name in known}
    lines = [f"# generation {generation}", *_global(fleet, run, table, kept, generation), "", _DEFAULTS]
    for listener in table.listeners:
        lines += [*frontend(listener, known), ""]
    for pool in table.pools:
        lines += [*_backend(pool, kept.get(pool.name, ())), ""]
    lines += [*_registry(table), *_resolvers(table), *_own()]
    return "\n".join([*lines, COMPLETE, ""])


def _global(fleet: str, run: str, table: Table, pools: Pools, generation: int) -> Iterator[str]:
    yield "global"
    yield f"  description {quote(f'bayplan gateway of {fleet}')}"
    yield "  user haproxy"
    yield "  group haproxy"
    yield "  chroot /var/empty"
    yield f"  stats socket {run}/{ADMIN} mode 660 level admin expose-fd listeners"
    yield "  stats maxconn 100"
    yield f"  hard-stop-after {_HARD_STOP}"
    yield "  fd-hard-limit 200000  # engines that allow a thousand million would have HAProxy reserve memory for them"
    yield "  log stdout format raw local0 notice"
    yield f"  lua-load {LOST.path}"
    for name, value in pack(table).items():
        yield f'  setenv {name} "{value}"'
    yield f'  setenv {SAVED} "{generation}:{state_digest(table, pools)}"'


def _backend(pool: Pool, servers: tuple[ServerFacts, ...]) -> Iterator[str]:
    yield f"backend {check_name(pool.name)}"
    yield f"  mode {pool.mode}"
    yield "  log global"
    # Connections last: to the one with the fewest. Requests are short: in turn, which costs least and spreads best.
    yield f"  balance {'leastconn' if pool.mode == 'tcp' else 'roundrobin'}"
    yield f"  timeout check {max(1, round(pool.timeout * 1000))}ms"
    if pool.mode == "http":
        yield "  timeout server 10m"
    yield from _check(pool)
    if pool.sticky and pool.mode == "http":
        cookie = (pool.cookie or pool.name).replace(".", "-")
        yield f"  cookie {check_name(f'BAYPLAN-{cookie}')} insert indirect nocache httponly"
    if pool.fixed:
        # What runs here, yet or again, serves alone while it stands: of two that take turns, each would have a part of
        # the data.
        name, tls = _BY_NAME if _by_name(pool) else "", tls_words(pool) if pool.tls else ""
        words = (pool.fixed, check_words(pool), name, tls, "backup")
        yield f"  server {AWAY} {' '.join(word for word in words if word)}"
    yield from (f"  server {check_name(s.server.name)} {server_words(pool, s.server)}{_state(s)}" for s in servers)


def _check(pool: Pool) -> Iterator[str]:
    kind, _, path = pool.check.partition(" ")
    if kind == "http":
        yield "  option httpchk"
        each = paths(pool)
        asked = f"uri-lf %[srv_name,map_reg({paths_path(each)})]" if each else f"uri {quote(path or '/')}"
        yield f"  http-check send meth GET {asked} ver HTTP/1.1 hdr Host localhost hdr Connection close"
        yield "  http-check expect status 200-399"


def _state(server: ServerFacts) -> str:
    """A server of weight 0 drains: so it does after a restart, too."""
    return {"ready": " weight 1", "drain": " weight 0", "maint": " weight 1 disabled"}[server.state]


def _registry(table: Table) -> Iterator[str]:
    """Engines pull `localhost:PORT/…`: no certificate to trust, nothing to open."""
    if table.registry:
        port, address, target = table.registry
        yield from ("listen bayplan:registry", "  mode tcp", f"  bind 127.0.0.1:{port}")
        yield from (f"  server registry {address}:{target}", "")


def _resolvers(table: Table) -> Iterator[str]:
    """Who is asked, again and again, where a service is that is not run here."""
    if any(_by_name(pool) for pool in table.pools):
        yield from ("resolvers bayplan", "  parse-resolv-conf", "  hold valid 10s", "")


def _by_name(pool: Pool) -> bool:
    """Whether what it leads to has a host name and no address."""
    return bool(pool.fixed) and not re.fullmatch(r"[\d.]+", pool.fixed.rpartition(":")[0])


def _own() -> Iterator[str]:
    yield f"backend {UNMATCHED}"
    yield "  mode http"
    yield '  http-request return status 404 content-type text/plain string "No service answers here.\\n"'
    yield ""
    yield "backend bayplan:maps  # holds those that tell which file a restart would read, and who drains since when"
    yield "  mode http"
    yield from (f"  http-request set-var(txn.of) str(any),map({name})" for name in (MAP, DRAINED))
