"""Secrets and configs of a service: files in the memory of its host, which its replicas mount read-only.

A file's name tells its version: for a secret at random, for a config a digest of its content. So the old and the new
replica of a service each keep theirs, and another value is another definition.
"""

from __future__ import annotations

from collections.abc import Iterator

from bayplan.container import Mounted, digest
from bayplan.facts import HostFacts
from bayplan.plan.names import grants_directory
from bayplan.plan.steps import Deliver, Item
from bayplan.spec.model import App, Service
from bayplan.spec.storage import Grant, Mount


def items(fleet: str, app: App, service: Service) -> tuple[Item, ...]:
    """The files that the service's replicas need on their host."""
    return tuple(item for item, _ in _granted(fleet, app, service))


def granted_mounts(fleet: str, app: App, service: Service) -> tuple[Mounted, ...]:
    """What a replica's container mounts of them."""
    return tuple(
        Mounted(Mount(kind="bind", source=item.path, target=grant.target, read_only=True))
        for item, grant in _granted(fleet, app, service)
    )


def grants_definition(app: App | None, service: Service) -> list[tuple[str, str]]:
    """What of them makes another container: where each is, and which."""
    if app is None:
        return []
    return sorted((grant.target, item.path.rpartition("/")[2]) for item, grant in _granted("", app, service))


def delivery(fleet: str, app: App, service: Service, host: HostFacts) -> Deliver | None:
    """What is to be put there before a replica can start; None: nothing."""
    lacking = tuple(item for item in items(fleet, app, service) if item.path not in host.delivered)
    return Deliver(host.name, service.name, lacking, f"{service.name} is to start here") if lacking else None


def _granted(fleet: str, app: App, service: Service) -> Iterator[tuple[Item, Grant]]:
    directory = grants_directory(fleet, app.name)
    for grant in service.secrets:
        path = f"{directory}/{_file(app.secrets[grant.source].version, grant)}"
        yield Item("secret", grant.source, path, grant.uid, grant.gid, grant.mode), grant
    for grant in service.configs:
        config = app.configs[grant.source]
        path = f"{directory}/{_file(digest([config.encoding, config.content]), grant)}"
        yield Item("config", grant.source, path, grant.uid, grant.gid, grant.mode), grant


def _file(version: str, grant: Grant) -> str:
    """One value may be granted to several users."""
    return f"{version}.{grant.uid}.{grant.gid}.{grant.mode:o}"
