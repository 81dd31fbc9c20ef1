"""What a file tells a proxy that looks for containers on its own engine: Traefik, nginx-proxy, Caddy's docker plugin.

A fleet has gateways, which look at none of it: a service that publishes nothing besides is up, and nobody reaches it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bayplan.spec.model import Service
from bayplan.spec.resolve import Surroundings

_RULE: Final = re.compile(r"traefik\.http\.routers\.(.+)\.rule")
_PORT: Final = re.compile(r"traefik\.http\.services\.(.+)\.loadbalancer\.server\.port")
_HOSTS: Final = re.compile(r"(?<![!\w])Host\(([^)]*)\)")  # Traefik 2 and 3
_PATH: Final = re.compile(r"(?<![!\w])Path(?:Prefix)?\(\s*[`'\"](/[^`'\"]+)")
_QUOTED: Final = re.compile(r"[`'\"]([^`'\"]+)")
_OFF: Final = frozenset({"false", "0", "f"})  # as Traefik reads them
_CADDY: Final = re.compile(r"caddy(_\d+)?")
_UPSTREAMS: Final = re.compile(r"\{\{\s*upstreams\b[^}]*?(\d+)\s*\}\}")
_NAME: Final = re.compile(r"[A-Za-z0-9.-]+\.[A-Za-z0-9-]+")
_WEB: Final = "80"


@dataclass(frozen=True, slots=True)
class _Said:
    """To which proxy, under which keys of the service; which requests it is to lead, and to which port."""

    proxy: str
    where: tuple[str, ...]
    port: str
    hosts: tuple[str, ...]
    path: str = ""

    @property
    def here(self) -> str:
        """The same in words of this file. Without a name or a path, with one to put another in the place of."""
        host = f"[{', '.join(self.hosts)}]" if len(self.hosts) > 1 else next(iter(self.hosts), "")
        told = {"host": host, "path": self.path} if host or self.path else {"host": "shop.example.com"}
        http = ", ".join(f"{key}: {value}" for key, value in told.items() if value)
        return f"ports: ['80:{self.port}'] and x-bayplan: {{http: {{{http}}}}}"


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
    said = _traefik(service) or _nginx(service) or _caddy(service)
    if said is None:
        return
    around.mistakes.warn(
        f"services.{service.name}.{'.'.join(said.where)}: no gateway reads what is said to {said.proxy}, and nobody is "
        f"led there; say {said.here}",
        around.place("services", service.name, *said.where),
        f"say {said.here}",
    )


def _traefik(service: Service) -> _Said | None:
    for where, labels in ((("labels",), service.labels), (("deploy", "labels"), service.service_labels)):
        if labels.get("traefik.enable", "").lower() in _OFF:
            continue
        if found := next(((match[1], rule) for name, rule in labels.items() if (match := _RULE.fullmatch(name))), None):
            router, rule = found
            port = _port_of(router, labels) or _port(service)
            hosts = (host for hosts in _HOSTS.findall(rule) for host in _QUOTED.findall(hosts))
            return _Said("Traefik", where, port, _names(hosts), next(iter(_PATH.findall(rule)), ""))
    return None


def _port_of(router: str, labels: Mapping[str, str]) -> str:
    """Of the service that it leads to: the one that it names, else of its own name, else the first."""
    ports = {match[1]: port for name, port in labels.items() if (match := _PORT.fullmatch(name))}
    named = labels.get(f"traefik.http.routers.{router}.service", router)
    return ports.get(named) or next(iter(ports.values()), "")


def _nginx(service: Service) -> _Said | None:
    hosts = service.environment.get("VIRTUAL_HOST")
    if hosts is None:
        return None
    port = service.environment.get("VIRTUAL_PORT") or _port(service)
    return _Said("nginx-proxy", ("environment",), port, _names(hosts.split(",")))


def _caddy(service: Service) -> _Said | None:
    for name, value in service.labels.items():
        if _CADDY.fullmatch(name):
            ports = (port for told in service.labels.values() for port in _UPSTREAMS.findall(told))
            hosts = _names(value.replace(",", " ").split())
            return _Said("Caddy", ("labels",), next(ports, "") or _port(service), hosts)
    return None


def _names(told: Iterable[str]) -> tuple[str, ...]:
    """Those that a gateway can be told: no patterns."""
    hosts = (name.strip().rstrip("/").partition("://")[2] or name.strip() for name in told)
    return tuple(dict.fromkeys(host for host in hosts if _NAME.fullmatch(host)))


def _port(service: Service) -> str:
    """The first that it listens on, as far as the file tells."""
    return next((str(exposed.port) for exposed in service.expose if exposed.protocol == "tcp"), _WEB)
