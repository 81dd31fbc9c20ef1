"""A service gets another port, and its callers call that one: released, and gone back from, under requests."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.lab.site import DOCKERFILE, Load, bayplan, operator

from bayplan.lab import Lab

pytestmark = pytest.mark.shares_lab

LISTENER = 18090

# Answers one request a connection, on PORT, LATE seconds after its start; what has CALL (HOST:PORT) asks there first.
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
    local $/ = "\r\n\r\n";
    my $asked = <$one> // exit;
    my $status = $asked =~ m{^GET /probe } || !$ENV{CALL} || is_answered($ENV{CALL}) ? '200 OK' : '502 Bad Gateway';
    my $length = length($ENV{VERSION}) + 1;
    print $one "HTTP/1.1 $status\r\nContent-Length: $length\r\nConnection: close\r\n\r\n$ENV{VERSION}\n";
    exit;
}
"""


def write(directory: Path, version: str, port: int) -> None:
    def service(**environment: str) -> dict[str, object]:
        told = {"VERSION": version, **environment}
        extra = {"drain": "2s", "probe": {"path": "/probe", "interval": "300ms"}}
        return {
            "build": ".", "environment": told, "stop_grace_period": "1s", "deploy": {"replicas": 2}, "x-bayplan": extra,
        }  # fmt: skip

    web = {"ports": [{"target": 80, "published": LISTENER, "app_protocol": "http"}]}
    services = {
        "web": service(PORT="80", CALL=f"api:{port}") | web,
        "api": service(PORT=f"{port}", LATE="2") | {"expose": [f"{port}"]},
    }
    (directory / "compose.yaml").write_text(json.dumps({"name": "ports", "services": services}))


def test_a_port_that_changes_together_with_its_callers_costs_no_request_and_neither_does_going_back(
    lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "web.pl").write_text(SERVER)
    write(tmp_path, "one", 8080)
    bayplan(tmp_path, operator(lab), "up")
    try:
        with Load(lab.hosts[0].private_ip, LISTENER) as load:
            write(tmp_path, "two", 9090)
            bayplan(tmp_path, operator(lab), "up")
            bayplan(tmp_path, operator(lab), "rollback")
        assert load.was_answered()
        assert load.versions() == {"one", "two"}
    finally:
        bayplan(tmp_path, operator(lab), "down")
