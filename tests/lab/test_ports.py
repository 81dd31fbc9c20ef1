"""A service gets another port, or is asked and spoken to otherwise: released, and gone back from, under requests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.site import DOCKERFILE, Load, bayplan, operator

from bayplan.lab import Lab

pytestmark = pytest.mark.shares_lab

LISTENER = 18090

# Answers one request a connection, on PORT, LATE seconds after its start; what has CALL (HOST:PORT) asks there first.
# It is well where its WELL asks, and with PROXY it answers only to who says by PROXY protocol for whom it asks.
SERVER = r"""
use strict; use IO::Socket::INET; $SIG{TERM} = sub { exit 0 }; $SIG{PIPE} = $SIG{CHLD} = 'IGNORE';
sleep $ENV{LATE} // 0;
my $door = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 256, ReuseAddr => 1) or die "cannot listen: $!\n";
sub is_answered {
    my $other = IO::Socket::INET->new(PeerAddr => shift, Timeout => 3) or return;
    print $other "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    return (<$other> // '') =~ / 200 /;
}
while (1) {
    my $one = $door->accept or next;
    if (fork) { close $one; next }
    $SIG{TERM} = 'IGNORE';
    if ($ENV{PROXY}) {
        read $one, my $head, 16;
        exit if substr($head, 0, 12) ne "\r\n\r\n\0\r\nQUIT\n";
        read $one, my $rest, unpack('n', substr($head, 14, 2));
    }
    local $/ = "\r\n\r\n";
    my ($path) = (<$one> // '') =~ m{^GET (\S+) } or exit;
    my $status = $path ne '/' ? $path eq $ENV{WELL} ? '200 OK' : '404 Not Found'
        : !$ENV{CALL} || is_answered($ENV{CALL}) ? '200 OK' : '502 Bad Gateway';
    my $body = "$ENV{BAYPLAN_REPLICA} $ENV{VERSION}\n";
    my $length = length($body);
    print $one "HTTP/1.1 $status\r\nContent-Length: $length\r\nConnection: close\r\n\r\n$body";
    exit;
}
"""


def write(
    directory: Path, version: str, port: int, well: str = "/probe", *, web_port: int = 80, proxy: bool = False
) -> None:
    def service(**environment: str) -> dict[str, Any]:
        told = {"VERSION": version, "WELL": well, **environment}
        extra = {"drain": "2s", "probe": {"path": well, "interval": "300ms"}}
        return {
            "build": ".", "environment": told, "stop_grace_period": "1s", "deploy": {"replicas": 2}, "x-bayplan": extra,
        }  # fmt: skip

    web = {"ports": [{"target": web_port, "published": LISTENER, "app_protocol": "http"}]}
    services = {
        "web": service(PORT=f"{web_port}", CALL=f"api:{port}") | web,
        "api": service(PORT=f"{port}", LATE="2") | {"expose": [f"{port}"]},
    }
    if proxy:
        services["web"]["environment"]["PROXY"] = "yes"
        services["web"]["x-bayplan"]["proxy_protocol"] = True
    (directory / "compose.yaml").write_text(json.dumps({"name": "ports", "services": services}))


@pytest.fixture
def app(lab: Lab, tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "web.pl").write_text(SERVER)
    write(tmp_path, "one", 8080)
    bayplan(tmp_path, operator(lab), "up")
    yield tmp_path
    bayplan(tmp_path, operator(lab), "down")


def check_released_and_back(lab: Lab, app: Path) -> Load:
    with Load(lab.hosts[0].private_ip, LISTENER) as load:
        bayplan(app, operator(lab), "up")
        bayplan(app, operator(lab), "rollback")
    assert load.was_answered()
    assert load.versions() == {"one", "two"}
    return load


def test_a_port_that_changes_together_with_its_callers_costs_no_request_and_neither_does_going_back(
    lab: Lab, app: Path
) -> None:
    write(app, "two", 9090)
    check_released_and_back(lab, app)


def test_a_listener_gets_another_port_and_a_probe_with_all_replicas_behind_it(lab: Lab, app: Path) -> None:
    """Two serve at every moment, so that none has all of twenty requests in a row."""
    write(app, "two", 8080, "/healthz", web_port=8081)
    asked = check_released_and_back(lab, app).in_order
    assert all(len(set(asked[i : i + 20])) > 1 for i in range(len(asked) - 20))


def test_a_probe_and_the_proxy_protocol_change_with_a_release_at_no_cost(lab: Lab, app: Path) -> None:
    write(app, "two", 8080, "/healthz", proxy=True)
    check_released_and_back(lab, app)
