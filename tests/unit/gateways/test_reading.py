"""What HAProxy 3.0 printed, read."""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import asdict

import pytest

from bayplan.errors import GatewayError
from bayplan.facts import ServerFacts
from bayplan.gateways.reading import old_workers, read_look, read_sessions, with_sessions
from bayplan.gateways.reload import new_addresses, reload_fault, taken
from bayplan.haproxy.state import SAVED, pack, state_digest, unpack
from bayplan.routing import Listener, Names, Pool, Route, Server, Spoken, Table

POOL = "a.b.80"
TABLE = Table((), (Pool(POOL, "a", "b"), Pool("a.c.80", "a", "c")))
STATES = """\
1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port
4 a.b.80 1 n1.h1 127.0.0.1 2 0 0 0 7 15 3 2 6 0 0 0 - 21001 - 0 0 - - 0
4 a.b.80 2 n2.h1 127.0.0.1 0 5 1 1 0 1 0 0 14 0 0 0 - 21002 - 0 0 - - 0
4 a.b.80 3 n3.h1 127.0.0.1 2 4 1 1 3 15 0 2 6 0 0 0 - 21003 - 0 0 - - 0
4 a.b.80 4 n4.h1 127.0.0.1 2 8 1 1 0 1 0 0 6 0 0 0 - 21004 - 0 0 - - 0
5 bayplan:registry 1 registry 10.0.0.1 2 0 1 1 0 1 0 0 0 0 0 0 - 25000 - 0 0 - - 0"""
STAT = """\
# pxname,svname,scur,check_status,-
a.b.80,n1.h1,3,L7OK,-
a.b.80,n2.h1,0,,-
a.b.80,n3.h1,0,* L4CON,-
a.b.80,n4.h1,0,INI,-"""
INFO = "Name: HAProxy\nUptime: 0d 0h01m40s\nUptime_sec: 100.250000\nMemmax_MB: 0"


def look(kept: str = "", drained: str = "") -> list[str]:
    variables = {"PATH": "/bin", **pack(TABLE), SAVED: "4:feed"}
    return [STATES, STAT, "\n".join(f"{k}={v}" for k, v in variables.items()), kept, drained, INFO]


def test_states_checks_sessions_and_times_are_told_apart() -> None:
    seen = read_look(look())
    assert seen.table == TABLE
    assert seen.pools == {
        POOL: (
            ServerFacts(Server("n1.h1", "127.0.0.1", 21001), "drain", True, "L7OK", 3, 7.0),  # by its weight
            ServerFacts(Server("n2.h1", "127.0.0.1", 21002), "maint", None, "", 0, 0.0),
            ServerFacts(Server("n3.h1", "127.0.0.1", 21003), "ready", False, "L4CON", 0, 3.0),  # the file said disabled
            ServerFacts(Server("n4.h1", "127.0.0.1", 21004), "drain", None, "INI", 0, 0.0),
        ),
        "a.c.80": (),
    }


def test_where_a_managed_service_is_is_no_server_of_the_pool_and_told_beside_it() -> None:
    states = "4 a.b.80 5 bayplan:away 192.0.2.7 0 0 1 1 5 7 0 0 7 0 0 0 - 80 - 0 0 - - 0"
    unnamed = "5 a.c.80 1 bayplan:away - 0 32 1 1 6 1 0 0 14 0 0 0 db.example.com 80 - 0 0 - - 0"
    told = look()
    told[0], told[1] = (
        f"{STATES}\n{states}\n{unnamed}",
        f"{STAT}\na.b.80,bayplan:away,0,* L4TOUT,-\na.c.80,bayplan:away,0,,-",
    )
    seen = read_look(told).facts
    assert len(seen.pools[POOL]) == 4
    assert seen.pools["a.c.80"] == ()
    assert {pool: (s.state, s.up, s.check) for pool, s in seen.away.items()} == {
        POOL: ("ready", False, "L4TOUT"),
        "a.c.80": ("maint", None, ""),
    }


def test_how_long_a_server_drains_is_counted_from_when_it_was_told_to() -> None:
    told = "0x1 a.b.80/n4.h1 7.0\n0x2 a.b.80/n4.h1 98.25\n0x3 a.b.80/n1.h1 100.500\n0x4 a.b.80/n3.h1 1.0"
    seen = read_look(look(drained=told))
    assert {s.server.name: s.since for s in seen.pools[POOL]} == {"n1.h1": 0, "n2.h1": 0, "n3.h1": 3, "n4.h1": 2}
    assert seen.uptime == 100.25
    older = "Unknown map identifier. Please use #<id> or <file>."
    assert [s.since for s in read_look(look(drained=older)).pools[POOL]] == [7, 0, 3, 0]


def test_the_map_tells_of_a_later_file_than_the_one_that_was_read() -> None:
    assert (read_look(look()).generation, read_look(look("0x7f saved 9:beef")).generation) == (4, 9)
    assert not read_look(look()).facts.in_step
    digest = state_digest(TABLE, read_look(look()).pools)
    assert read_look(look(f"0x7f saved 9:{digest}")).facts.in_step


def test_another_haproxy_is_not_taken_for_ours() -> None:
    with pytest.raises(GatewayError, match="not one that bayplan configured"):
        read_look([STATES, STAT, "PATH=/bin", "", "", INFO])


def test_a_draining_worker_adds_its_sessions() -> None:
    show_proc = """\
#<PID>          <type>          <reloads>       <uptime>        <version>
1               master          5 [failed: 0]   0d00h11m29s     3.0.11
# workers
57              worker          0               0d00h00m00s     3.0.11
# old workers
53              worker          1               0d00h00m00s     3.0.11
51              worker          2               0d00h00m00s     3.0.11
# programs"""
    assert old_workers(show_proc) == ("53", "51")
    assert old_workers(show_proc.partition("# old")[0]) == ()
    more = read_sessions(STAT)
    assert [s.sessions for s in with_sessions(read_look(look()).pools, more)[POOL]] == [6, 0, 0, 0]


def test_why_a_reload_was_refused() -> None:
    bind = (
        "Success=0\n--\n[NOTICE]   (1) : path\n[ALERT]    (1) : Binding [/etc/haproxy.cfg:19] for frontend listener: "
        "protocol tcpv4: cannot bind socket (Address already in use) for [0.0.0.0:80]."
    )
    assert reload_fault("Success=1\n--\n[NOTICE] (1) : fine") == ""
    assert reload_fault(bind) == "0.0.0.0:80 cannot be listened on: address already in use"
    assert "unknown keyword 'x'" in reload_fault("Success=0\n--\n[ALERT]    (25438) : config : unknown keyword 'x'")


PROC = """\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0B014D0A:4E70 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   1: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1
   2: 0B014D0A:1F90 0C014D0A:1F90 01 00000000:00000000 00:00000000 00000000     0        0 1
  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:01BB 00000000000000000000000000000000:0000 0A 00000000:00000000
   1: 00000000000000000000000001000000:0051 00000000000000000000000000000000:0000 0A 00000000:00000000"""


@pytest.mark.parametrize(
    ("address", "port", "is_taken"),
    [
        ("0.0.0.0", 22, True),
        ("127.0.0.1", 22, True),
        ("0.0.0.0", 20080, True),
        ("10.77.1.11", 20080, True),
        ("127.0.0.1", 20080, False),
        ("0.0.0.0", 443, True),
        ("0.0.0.0", 8080, False),  # a connection, not a listener
        ("0.0.0.0", 81, False),  # [::1] is in nobody's way
    ],
)
def test_ports_that_something_listens_on(address: str, port: int, is_taken: bool) -> None:
    assert bool(taken([(address, port)], PROC)) == is_taken


def test_a_port_that_the_gateway_has_at_another_address_is_its_own() -> None:
    old, new = Table((Listener(80),)), Table((Listener(80, "10.0.0.1"), Listener(81)), (), (5000, "a", 1))
    assert new_addresses(old, new) == (("0.0.0.0", 81), ("127.0.0.1", 5000))


def test_what_a_gateway_carries_is_as_its_values_are() -> None:
    """An older process's digest of the same must be the same, or its file is written again."""
    former = (("web-1-r1", Spoken("http /health", proxy_protocol=True)),)
    pool = Pool("shop.web.80", "shop", "web", "http", "http /", former=former)
    front = Listener(80, "", "http", (Route("shop.web.80", ("a.test", "b.test"), "/x"),))
    table = Table((front,), (pool,), (5000, "10.0.0.1", 5000), (Names("shop", "web", "127.0.0.1 localhost\n"),))
    assert unpack(pack(table)) == table
    told = zlib.decompress(base64.b64decode(pack(table)["BAYPLAN_TABLE_0"])).decode()
    assert told == json.dumps(asdict(table), sort_keys=True, separators=(",", ":"))


def test_a_newer_bayplans_words_are_passed_over() -> None:
    """One that did not know of networks took such a gateway for a stranger's, and waited for it in vain."""
    pool = Pool("shop.web.80", "shop", "web", former=(("web-1-r1", Spoken("http /health")),))
    table = Table((Listener(80, routes=(Route("shop.web.80"),)),), (pool,), None, (Names("shop", "web", "x\n"),))
    told = asdict(table)
    told["newer"] = told["listeners"][0]["newer"] = told["listeners"][0]["routes"][0]["newer"] = 1
    told["pools"][0]["newer"] = told["pools"][0]["former"][0][1]["newer"] = told["names"][0]["newer"] = [1]
    text = base64.b64encode(zlib.compress(json.dumps(told).encode())).decode()
    assert unpack({"BAYPLAN_TABLE": "1", "BAYPLAN_TABLE_0": text}) == table
