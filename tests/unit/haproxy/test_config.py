"""haproxy.cfg: what is written for which table. That HAProxy takes it and does it is the contract's and the lab's."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bayplan.errors import GatewayError
from bayplan.facts import ServerFacts
from bayplan.haproxy.config import COMPLETE, render
from bayplan.haproxy.lost import FILE as LOST
from bayplan.haproxy.places import named_files
from bayplan.haproxy.state import TABLE, pack, state_digest, unpack
from bayplan.routing import Listener, Pool, Route, Server, Spoken, Table

WEB = "site.web.80"
HTTP = Pool(WEB, "site", "web", "http")


def lines(table: Table, *servers: ServerFacts) -> list[str]:
    text = render("shop", "/run/bayplan/shop", table, {WEB: servers}, 7)
    return [line.strip() for line in text.splitlines()]


def served(name: str, state: Any = "ready", port: int = 20080) -> ServerFacts:
    return ServerFacts(Server(name, "10.0.0.1", port), state, None)


def rules(*routes: Route) -> list[str]:
    found = lines(Table((Listener(80, "", "http", routes),), (HTTP,)))
    return [line for line in found if line.startswith(("use_backend", "default_backend"))]


def test_a_file_tells_its_generation_and_that_it_is_whole() -> None:
    found = lines(Table())
    assert found[0] == "# generation 7"
    assert found[-1] == COMPLETE


@pytest.mark.parametrize(
    ("state", "ending"), [("ready", "weight 1"), ("drain", "weight 0"), ("maint", "weight 1 disabled")]
)
def test_a_server_is_written_so_that_a_restart_keeps_its_state(state: str, ending: str) -> None:
    (server,) = (line for line in lines(Table((), (HTTP,)), served("web-1.h1", state)) if line.startswith("server "))
    assert server.startswith("server web-1.h1 10.0.0.1:20080 check inter 2000ms ")
    assert server.endswith(ending)


def test_servers_of_pools_that_the_table_has_not_are_left_out() -> None:
    assert not any(line.startswith("server ") for line in lines(Table(), served("web-1.h1")))


def test_exact_hosts_come_before_wildcards_before_any_and_long_paths_before_short() -> None:
    found = rules(
        Route("any"),
        Route("any-api", (), "/api"),
        Route("wild", ("*.example.com",)),
        Route("wilder", ("*.com",)),
        Route("exact", ("a.example.com",)),
        Route("exact-api", ("a.example.com",), "/api/"),
    )
    assert [line.split()[1] for line in found] == ["exact-api", "exact", "wild", "wilder", "any-api", "any"]
    assert found[-1] == "default_backend any"


def test_what_matches_nothing_has_a_page() -> None:
    assert rules(Route(WEB, ("a.example.com",)))[-1] == "default_backend bayplan:unmatched"


def test_a_port_published_both_ways_speaks_http() -> None:
    found = lines(Table((Listener(81, "", "tcp", (Route(WEB),)),), (HTTP,)))
    front = found[found.index("frontend listener:0.0.0.0:81") :]
    assert front[2] == "mode http"


def test_every_listener_has_an_explicit_address() -> None:
    table = Table((Listener(80), Listener(81, "10.0.0.1")), (), (5000, "10.0.0.2", 25000))
    assert [line for line in lines(table) if line.startswith("bind ")] == [
        "bind 0.0.0.0:80",
        "bind 10.0.0.1:81",
        "bind 127.0.0.1:5000",
    ]


@pytest.mark.parametrize("name", ["a b", "a;b", "a\nb", "a/b", ""])
def test_a_name_that_haproxy_cannot_hold_is_refused(name: str) -> None:
    with pytest.raises(GatewayError):
        lines(Table((), (HTTP,)), served(name))


def test_servers_of_before_are_asked_and_spoken_to_as_they_were() -> None:
    former = (("a.h1", Spoken("http /old")), ("b.h1", Spoken("http /new")), ("c.h1", Spoken("tcp")))
    pool = replace(HTTP, check="http /new", proxy_protocol=True, former=former)
    table = Table((), (pool,))
    _, file = named_files(table)
    assert file.content == b"^a\\.h1$ /old\n^b\\.h1$ /new\n^ /new\n"
    said = lines(table, *(served(f"{name}.h1") for name in "abcd"))
    assert any(f"uri-lf %[srv_name,map_reg({file.path})]" in line for line in said)
    written = {name: next(line for line in said if line.startswith(f"server {name}.h1 ")) for name in "abcd"}
    assert [name for name, line in written.items() if " check " not in line] == ["c"]
    assert [name for name, line in written.items() if "send-proxy-v2" in line] == ["d"]
    assert named_files(Table((), (replace(pool, former=former[1:]),))) == (LOST,)
    with pytest.raises(GatewayError):
        named_files(Table((), (replace(pool, former=(("a.h1", Spoken("http /\n^ /x")),)),)))


def test_the_cookie_is_named_by_the_pool_or_by_the_one_that_it_takes_over_from() -> None:
    for cookie, name in (("", "BAYPLAN-shop-web-8080"), ("shop.web.80", "BAYPLAN-shop-web-80")):
        pool = replace(HTTP, name="shop.web.8080", mode="http", sticky=True, cookie=cookie)
        assert f"cookie {name} insert indirect nocache httponly" in lines(Table((), (pool,)))


def test_no_path_can_end_its_line() -> None:
    with pytest.raises(GatewayError, match="cannot be told"):
        rules(Route(WEB, (), "/x\n  use_backend evil"))


def test_a_quote_in_a_path_stays_in_it() -> None:
    (rule, _) = rules(Route(WEB, (), "/it's"))
    assert rule.endswith("-m beg '/it'\\''s/' }")


_WORD = st.text(max_size=20)
_ROUTES = st.builds(Route, _WORD, st.lists(_WORD, max_size=3).map(tuple), _WORD)
_LISTENERS = st.builds(
    Listener, st.integers(1, 65535), _WORD, st.sampled_from(["tcp", "http"]), st.lists(_ROUTES, max_size=3).map(tuple)
)
_POOLS = st.builds(Pool, _WORD, _WORD, _WORD, st.sampled_from(["tcp", "http"]), _WORD, st.floats(0.1, 60))
_TABLES = st.builds(
    Table,
    st.lists(_LISTENERS, max_size=4).map(tuple),
    st.lists(_POOLS, max_size=4).map(tuple),
    st.none() | st.tuples(st.integers(1, 65535), _WORD, st.integers(1, 65535)),
)


@given(_TABLES)
def test_a_table_comes_back_from_the_environment_as_it_was(table: Table) -> None:
    assert unpack({"PATH": "/bin", **pack(table)}) == table


def test_a_large_table_is_in_parts_that_haproxy_can_print() -> None:
    table = Table(pools=tuple(Pool(f"app{n:x}{n * 7919:x}.s.{n}", f"{n * 104729:x}", "s") for n in range(2000)))
    packed = pack(table)
    assert int(packed[TABLE]) > 1
    assert max(map(len, packed.values())) < 16384
    assert unpack(packed) == table


@pytest.mark.parametrize("environment", [{}, {TABLE: "1"}, {TABLE: "1", f"{TABLE}_0": "!"}, {TABLE: "x"}])
def test_an_environment_without_a_whole_table_is_an_error(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="no table of bayplan's"):
        unpack(environment)


def _others() -> Iterator[tuple[Table, dict[str, tuple[ServerFacts, ...]]]]:
    yield Table((), (HTTP,)), {WEB: (served("a", "drain"),)}
    yield Table((), (HTTP,)), {WEB: (served("a", port=20081),)}
    yield Table((), (HTTP,)), {WEB: ()}
    yield Table((), (HTTP,), (1, "a", 2)), {WEB: (served("a"),)}


def test_the_digest_tells_states_endpoints_and_tables_apart_and_not_what_checks_say() -> None:
    table, pools = Table((), (HTTP,)), {WEB: (served("a"),)}
    of = state_digest(table, pools)
    assert all(state_digest(*other) != of for other in _others())
    checked = ServerFacts(served("a").server, "ready", True, "L7OK", 3, 9.0)
    assert state_digest(table, {WEB: (checked,)}) == of


def test_a_service_that_is_not_run_here_is_one_server_found_by_its_name() -> None:
    found = lines(Table((), (Pool("site.db.3306", "site", "db", fixed="db.example.com:3306"),)))
    [server] = [line for line in found if line.startswith("server ")]
    assert server.startswith("server bayplan:away db.example.com:3306 check ")
    assert server.endswith(" resolvers bayplan init-addr last,libc,none backup"), "what joins later serves alone, too"
    assert found.count("resolvers bayplan") == 1
    by_address = lines(Table((), (Pool("site.db.3306", "site", "db", fixed="192.0.2.7:3306"),)))
    assert not [line for line in by_address if "resolvers" in line]


def test_what_ran_before_serves_alone_while_it_stands() -> None:
    pool = Pool("site.db.3306", "site", "db", fixed="192.0.2.7:3306")
    before = ServerFacts(Server("site-db-1-r1.h1", "10.77.0.11", 23306), "ready", True)
    text = render("shop", "/run/bayplan/shop", Table((), (pool,)), {pool.name: (before,)}, 7)
    found = [line.strip() for line in text.splitlines()]
    away, stayed = (line for line in found if line.startswith("server "))
    assert (away.split()[1], away.endswith(" backup")) == ("bayplan:away", True)
    assert (stayed.split()[1], stayed.endswith(" backup")) == ("site-db-1-r1.h1", False)


def test_over_tls_the_name_is_asked_for_and_checked_also_by_the_probe() -> None:
    pool = Pool("site.db.6380", "site", "db", fixed="192.0.2.7:6380", tls="db.example.com")
    [server] = [line for line in lines(Table((), (pool,))) if line.startswith("server ")]
    for words in (
        "ssl verify required ca-file @system-ca",
        "sni str(db.example.com)",
        "verifyhost db.example.com",
        "check-sni db.example.com",
    ):
        assert words in server
    own = replace(pool, ca="-----BEGIN …")
    _, file = named_files(Table((), (own, replace(own, name="site.other.6380"), pool)))
    assert file.content == b"-----BEGIN \xe2\x80\xa6"
    assert f"ca-file {file.path} " in next(line for line in lines(Table((), (own,))) if line.startswith("server "))


def test_a_port_that_every_host_has_itself_is_answered_beside_it() -> None:
    fronts = (Listener(22, "198.18.1.1", routes=(Route(WEB),)), Listener(22, "10.77.0.11", routes=(Route(WEB),)))
    assert [line for line in lines(Table(fronts, ())) if line.startswith("bind")] == [
        "bind 198.18.1.1:65022",
        "bind 10.77.0.11:22",
    ]


def test_between_services_requests_arrive_as_they_are_sent() -> None:
    front = Listener(80, "198.18.1.1", "http", (Route(WEB),))
    found = lines(Table((front,), (HTTP,)))
    assert "bind 198.18.1.1:80" in found
    assert "timeout http-keep-alive 1h" in found
    assert not [line for line in found if "X-Forwarded" in line]
