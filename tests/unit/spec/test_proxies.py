"""What is said to a proxy that looks for containers on its own engine leads nobody on a fleet, and is warned of."""

from __future__ import annotations

import pytest

from bayplan.spec import load_app, local_fleet

RULE = "traefik.http.routers.web.rule: Host(`app.example.org`) && PathPrefix(`/x`)"


def warned(folder, service: str, more: str = "") -> list[str]:
    found: list[str] = []
    path = folder.write("compose.yaml", f"services:\n  web: {{image: x, {service}}}\n{more}")
    load_app(
        [path], project=None, environment={}, fleet=local_fleet({}), only_read=True, warn=lambda w: found.append(w.what)
    )
    return found


@pytest.mark.parametrize(
    ("service", "key", "proxy", "port", "host"),
    [
        (f"expose: ['3000'], labels: {{{RULE}}}", "labels", "Traefik", 3000, "app.example.org"),
        (
            ("deploy: {labels: {traefik.http.routers.x.rule: 'Path(`/`)', "
            "traefik.http.services.x.loadbalancer.server.port: '8000'}}"),
            "deploy", "Traefik", 8000, "shop.example.com",
        ),
        ("environment: {VIRTUAL_HOST: 'a.b.org,c.d.org', VIRTUAL_PORT: 9000}", "environment", "nginx-proxy", 9000, "a.b.org"),
        (
            "labels: {caddy: 'https://api.example.org', caddy.reverse_proxy: '{{upstreams 8080}}'}",
            "labels", "Caddy", 8080, "api.example.org",
        ),
        ("labels: {caddy_0: api.example.org}", "labels", "Caddy", 80, "api.example.org"),
    ],
)  # fmt: skip
def test_the_way_to_say_it_here_is_told(folder, service: str, key: str, proxy: str, port: int, host: str) -> None:
    assert warned(folder, service) == [
        (
            f"services.web.{key}: no gateway reads what is said to {proxy}, and nobody is led there; "
            f"say ports: ['80:{port}'] and x-bayplan: {{http: {{host: {host}}}}}"
        )
    ]


@pytest.mark.parametrize(
    "service",
    [
        "labels: {traefik.enable: 'true'}",
        "ports: ['80:80'], environment: {VIRTUAL_HOST: a.b}",
        "network_mode: none, labels: {caddy: a.b}",
    ],
)
def test_who_is_led_to_anyway_or_asks_for_nothing_is_not_warned_of(folder, service: str) -> None:
    assert warned(folder, service) == []


def test_a_proxy_of_the_app_itself_finds_its_containers_on_one_host(folder) -> None:
    proxy = "  edge: {image: traefik, ports: ['80:80'], volumes: ['/var/run/docker.sock:/var/run/docker.sock']}\n"
    assert warned(folder, "labels: {caddy: a.b}", proxy) == []
