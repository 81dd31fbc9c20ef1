"""What a file tells a proxy that looks for containers on its own engine: Traefik, nginx-proxy, Caddy's docker plugin.

A fleet has gateways, which look at none of it: a service that publishes nothing besides is up, and nobody reaches it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from bayplan.spec.model import Service
from bayplan.spec.resolve import Surroundings

_RULE: Final = re.compile(r"traefik\.http\.routers\..+\.rule")
_PORT: Final = re.compile(r"traefik\.http\.services\..+\.loadbalancer\.server\.port")
_HOST: Final = re.compile(r"Host\(\s*[`'\"]([^`'\"]+)")  # Traefik 2 and 3; of several, the first
_CADDY: Final = re.compile(r"caddy(_\d+)?")
_UPSTREAMS: Final = re.compile(r"\{\{\s*upstreams\b[^}]*?(\d+)\s*\}\}")
_NAME: Final = re.compile(r"[A-Za-z0-9.-]+\.[A-Za-z0-9-]+")
_WEB: Final = "80"


def check_proxies(services: Sequence[Service], around: Surroundings) -> None:
    """Adds a warning for each service that only such a proxy would lead to, and that has none in its app."""
    if not (around.one_host and any(_sees_containers(service) for service in services)):
        for service in services:
            _check(service, around)


def _sees_containers(service: Service) -> bool:
    return any(mount.source.endswith("/docker.sock") for mount in service.mounts if mount.kind == "bind")


def _check(service: Service, around: Surroundings) -> None:
    if any(port.mode == "ingress" for port in service.ports) or service.options.network_mode:
        return
    found = next((seen for seen in (_traefik(service), _nginx(service), _caddy(service)) if seen), None)
    if found is None:
        return
    proxy, host, port, key = found
    led = f"ports: ['80:{port}'] and x-bayplan: {{http: {{host: {host}}}}}"
    around.mistakes.warn(
        f"services.{service.name}.{key}: no gateway reads what is said to {proxy}, and nobody is led there; say {led}",
        around.place("services", service.name, key),
        f"say {led}",
    )


def _traefik(service: Service) -> tuple[str, str, str, str] | None:
    for key, labels in (("labels", service.labels), ("deploy", service.service_labels)):
        if rule := next((value for name, value in labels.items() if _RULE.fullmatch(name)), None):
            ports = (value for name, value in labels.items() if _PORT.fullmatch(name))
            return "Traefik", _host(_HOST.findall(rule)), next(ports, "") or _port(service), key
    return None


def _nginx(service: Service) -> tuple[str, str, str, str] | None:
    hosts = service.environment.get("VIRTUAL_HOST")
    if hosts is None:
        return None
    return (
        "nginx-proxy",
        _host(hosts.split(",")),
        service.environment.get("VIRTUAL_PORT") or _port(service),
        "environment",
    )


def _caddy(service: Service) -> tuple[str, str, str, str] | None:
    for name, value in service.labels.items():
        if _CADDY.fullmatch(name):
            ports = (port for told in service.labels.values() for port in _UPSTREAMS.findall(told))
            return "Caddy", _host(value.split()), next(ports, "") or _port(service), "labels"
    return None


def _host(named: list[str]) -> str:
    hosts = (name.strip().rstrip("/").partition("://")[2] or name.strip() for name in named)
    return next((host for host in hosts if _NAME.fullmatch(host)), "shop.example.com")


def _port(service: Service) -> str:
    """The first that it listens on, as far as the file tells."""
    return next(_exposed(service), _WEB)


def _exposed(service: Service) -> Iterator[str]:
    yield from (str(exposed.port) for exposed in service.expose if exposed.protocol == "tcp")
