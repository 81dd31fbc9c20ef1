"""What networks say that engines choose by themselves."""

from __future__ import annotations

import pytest

from bayplan.spec import load_app, local_fleet

_TWO = "name: f\nprivate_net: 10.0.0.0/24\nhosts: {a: ssh://10.0.0.1, b: ssh://10.0.0.2}\nbalancer: {hosts: [a]}\nregistry: {host: a}\n"


@pytest.mark.parametrize(
    ("written", "what"),
    [
        (
            "ipam: {driver: default, config: [{subnet: 10.9.0.0/16, gateway: 10.9.0.1}]}",
            "ipam: addresses are each engine's own, other ones on each host",
        ),
        ("ipam: {options: {a: b}}", "ipam: addresses are each engine's own, other ones on each host"),
        (
            "enable_ipv6: true",
            "enable_ipv6: replicas have no IPv6 addresses of their own, and find each other by IPv4",
        ),
        (
            "driver_opts: {com.docker.network.bridge.name: br-x}",
            "driver_opts: com.docker.network.bridge.name changes nothing: an app's bridge is made by bayplan",
        ),
        (
            "driver_opts: {encrypted: 'yes'}",
            "driver_opts: encrypted changes nothing: an app's bridge is made by bayplan",
        ),
        ("ipam: {config: []}", ""),
        ("enable_ipv6: false", ""),
    ],
)
def test_what_changes_nothing_is_warned_of(folder, written: str, what: str) -> None:
    text = f"services: {{web: {{image: x, networks: [n]}}}}\nnetworks:\n  n:\n    {written}\n"
    path = folder.write("compose.yaml", text)
    warned: list[tuple[int, str]] = []
    app = load_app(
        [path], project=None, environment={}, fleet=local_fleet({}), warn=lambda m: warned.append((m.line, m.what))
    )
    assert set(app.networks) == {"n"}
    assert warned == ([(4, f"networks.n.{what}")] if what else [])


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (
            "encrypted: 'yes'",
            (
                "nothing encrypts what hosts send each other | "
                "remove it, and encrypt private_net where others could listen (WireGuard)"
            ),
        ),
        (
            "com.docker.network.bridge.enable_icc: 'false'",
            "com.docker.network.bridge.enable_icc: a network's driver takes no options | remove it",
        ),
    ],
)
def test_what_would_keep_others_out_is_refused(folder, written: str, told: str) -> None:
    text = f"services: {{web: {{image: x, networks: [n]}}}}\nnetworks:\n  n:\n    driver_opts: {{{written}}}\n"
    fleet = folder.fleet(_TWO)
    assert folder.mistakes(lambda: folder.app(text, fleet=fleet)) == [f"4: networks.n.driver_opts: {told}"]
