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
    ("service", "key", "proxy", "port", "http"),
    [
        (f"expose: ['3000'], labels: {{{RULE}}}", "labels", "Traefik", 3000, "host: app.example.org, path: /x"),
        (
            ("deploy: {labels: {traefik.http.routers.x.rule: 'Path(`/`)', "
            "traefik.http.services.x.loadbalancer.server.port: '8000'}}"),
            "deploy.labels", "Traefik", 8000, "host: shop.example.com",
        ),
        ("labels: {traefik.http.routers.x.rule: PathPrefix(`/api`)}", "labels", "Traefik", 80, "path: /api"),
        (
            "labels: {traefik.http.routers.x.rule: 'Host(`a.org`, `b.org`) || (Host(`c.org`) && !Host(`d.org`))'}",
            "labels", "Traefik", 80, "host: [a.org, b.org, c.org]",
        ),
        ("environment: {VIRTUAL_HOST: a.b.org, VIRTUAL_PORT: 9000}", "environment", "nginx-proxy", 9000, "host: a.b.org"),
        ("environment: {VIRTUAL_HOST: '*.b.org, b.org,c.d.org'}", "environment", "nginx-proxy", 80, "host: [b.org, c.d.org]"),
        (
            "labels: {caddy: 'https://api.example.org', caddy.reverse_proxy: '{{upstreams 8080}}'}",
            "labels", "Caddy", 8080, "host: api.example.org",
        ),
        ("labels: {caddy_0: 'api.example.org, b.org'}", "labels", "Caddy", 80, "host: [api.example.org, b.org]"),
    ],
)  # fmt: skip
def test_the_way_to_say_it_here_is_told(folder, service: str, key: str, proxy: str, port: int, http: str) -> None:
    assert warned(folder, service) == [
        (
            f"services.web.{key}: no gateway reads what is said to {proxy}, and nobody is led there; "
            f"say ports: ['80:{port}'] and x-bayplan: {{http: {{{http}}}}}"
        )
    ]


@pytest.mark.parametrize(("names", "port"), [("b", 3002), ("a", 3001), ("c", 3001)])
def test_a_router_leads_to_the_port_of_the_service_that_it_names(folder, names: str, port: int) -> None:
    ports = {"a": 3001, "b": 3002}
    served = ", ".join(f"traefik.http.services.{n}.loadbalancer.server.port: {p}" for n, p in ports.items())
    for router in (
        f"traefik.http.routers.{names}.rule: x",
        f"traefik.http.routers.r.rule: x, traefik.http.routers.r.service: {names}",
    ):
        [told] = warned(folder, f"labels: {{{router}, {served}}}")
        assert f"'80:{port}'" in told


@pytest.mark.parametrize(
    "service",
    [
        "labels: {traefik.enable: 'true'}",
        f"labels: {{traefik.enable: 'false', {RULE}}}",
        "ports: ['80:80'], environment: {VIRTUAL_HOST: a.b}",
        "network_mode: none, labels: {caddy: a.b}",
    ],
)
def test_who_is_led_to_anyway_or_asks_for_nothing_is_not_warned_of(folder, service: str) -> None:
    assert warned(folder, service) == []


def test_a_proxy_of_the_app_itself_finds_its_containers_on_one_host(folder) -> None:
    proxy = "  edge: {image: traefik, ports: ['80:80'], volumes: ['/var/run/docker.sock:/var/run/docker.sock']}\n"
    assert warned(folder, "labels: {caddy: a.b}", proxy) == []
