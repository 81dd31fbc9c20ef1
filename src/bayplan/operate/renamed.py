"""An app that goes by another name than before: its volumes, called after it, begin empty, as with docker compose."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bayplan.errors import BayplanError
from bayplan.facts import Facts
from bayplan.ports import Releases
from bayplan.spec.model import App, Service
from bayplan.spec.pinned import written_volumes


@dataclass(frozen=True, slots=True)
class _Like:
    """A volume that there is, called as one of the app's would be if the app were called otherwise."""

    service: str
    key: str
    name: str
    other: str
    there: str
    host: str


async def notes(app: App, facts: Facts, releases: Releases) -> list[str]:
    """A sentence for each volume of an app that is brought up for the first time, where another app of the fleet has
    one of that name. None while a host does not answer: then no empty one is begun.
    """
    if not all(host.reachable for host in facts.hosts.values()):
        return []
    found = list(_likes(app, facts))
    apps = {name for name in sorted({like.other for like in found}) if await _is_released(releases, name)}
    return [_told(app.name, like) for like in found if like.other in apps]


async def _is_released(releases: Releases, app: str) -> bool:
    """False where nobody can tell: nothing hangs on it."""
    try:
        return bool(await releases.numbers(app))
    except BayplanError:
        return False


def _likes(app: App, facts: Facts) -> Iterator[_Like]:
    begun = {name for host in facts.reachable() for name in host.engine.volumes}
    begun |= {name for replica in facts.replicas() for name in replica.volumes}
    for service in app.services.values():
        for key, volume in app.volumes.items():
            is_new = volume.name in written_volumes(app, service) - begun and not volume.external
            if is_new and volume.name == f"{app.name}_{key}":
                yield from _of_others(service, key, volume.name, facts)


def _of_others(service: Service, key: str, name: str, facts: Facts) -> Iterator[_Like]:
    """One that a service of another name lives on is that one's."""
    for host in facts.reachable():
        for there in sorted(host.engine.volumes):
            users = {replica.service for replica in host.engine.replicas if there in replica.volumes}
            if there.endswith(f"_{key}") and users <= {service.name}:
                yield _Like(service.name, key, name, there.removesuffix(f"_{key}"), there, host.name)


def _told(app: str, like: _Like) -> str:
    return (
        f"{like.service} begins on an empty volume, {like.name}; {like.there} of the app {like.other} is on "
        f"{like.host}. If {app} is that app by another name: bayplan down -p {like.other} (its volumes stay), "
        f"write volumes: {{{like.key}: {{name: {like.there}}}}}, and bayplan up"
    )
