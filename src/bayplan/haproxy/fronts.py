"""The frontends: which requests go to which pool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from bayplan.haproxy.words import check_name, quote
from bayplan.routing import Listener, Pool, Route

UNMATCHED = "bayplan:unmatched"  # a pool's name never has a colon

# Where a gateway listens at services' own addresses in place of a port that every host itself has, on all of its
# addresses: sshd's. The guard leads callers there.
INNER_PORTS: Final = {22: 65022}

_ANY_HTTP = (
    "mode http",
    # A reload ends a client's connection after an answer, not before the next question.
    "option idle-close-on-response",
    # A request that may not be done twice is tried again only while no byte of it has gone out.
    "http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
)

# From one service to another: what the caller sends arrives as it is, and its idle connections stay.
_HTTP_INNER = (*_ANY_HTTP, "timeout client 1h", "timeout http-keep-alive 1h")

_HTTP = (
    *_ANY_HTTP,
    "timeout client 60s",
    # What a client says about where it comes from is not to be believed. Its Host header reaches the app as it is.
    "http-request del-header Forwarded",
    "http-request del-header X-Real-IP",
    "http-request del-header X-Forwarded- -m beg",
    "http-request add-header X-Forwarded-For %[src]",
    "http-request add-header X-Forwarded-Proto http",
)


def frontend(listener: Listener, pools: Mapping[str, Pool]) -> Iterator[str]:
    """The lines of one listener."""
    address = listener.address or "0.0.0.0"  # noqa: S104  a listener is what is to be open
    yield f"frontend {check_name(f'listener:{address}:{listener.port}')}"
    yield f"  bind {address}:{bound(listener)}"
    if _is_http(listener, pools):
        yield from (f"  {line}" for line in (_HTTP_INNER if listener.is_inner else _HTTP))
        yield from (f"  {line}" for line in _rules(listener.routes))
    else:
        yield "  mode tcp"
        yield from (f"  default_backend {check_name(r.pool)}" for r in listener.routes[:1])
        yield from ("  tcp-request connection reject",) if not listener.routes else ()


def bound(listener: Listener) -> int:
    """The port that the gateway binds for it."""
    return INNER_PORTS.get(listener.port, listener.port) if listener.is_inner else listener.port


def _is_http(listener: Listener, pools: Mapping[str, Pool]) -> bool:
    """Whether it speaks HTTP: it says so, or a pool behind it does (a port may be published both ways)."""
    return listener.mode == "http" or any(pools[r.pool].mode == "http" for r in listener.routes if r.pool in pools)


def _rules(routes: tuple[Route, ...]) -> Iterator[str]:
    """Most particular first: an exact host, then the longest wildcard, then any; of these the longest path."""
    ranked = sorted((_rank(host, route.path), host, route) for route in routes for host in (route.hosts or ("",)))
    for _, host, route in ranked:
        conditions = " ".join((*_host_condition(host), *_path_condition(route.path)))
        if not conditions:
            yield f"default_backend {check_name(route.pool)}"
            return
        yield f"use_backend {check_name(route.pool)} if {conditions}"
    yield f"default_backend {UNMATCHED}"


def _rank(host: str, path: str) -> tuple[int, int, int]:
    kind = 2 if not host else 1 if host.startswith("*.") else 0
    return (kind, -len(host), -len(path.rstrip("/")))


def _host_condition(host: str) -> Iterator[str]:
    name = "req.hdr(host),field(1,:),lower"
    if host.startswith("*."):
        yield f"{{ {name} -m end {quote(host[1:].lower())} }}"
    elif host:
        yield f"{{ {name} -m str {quote(host.lower())} }}"


def _path_condition(path: str) -> Iterator[str]:
    """`/api` takes /api and /api/x, and leaves /apix."""
    if path.rstrip("/"):
        yield f"{{ path,concat(/) -m beg {quote(path.rstrip('/') + '/')} }}"
