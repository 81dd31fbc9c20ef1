"""What others run on the hosts that an app cannot live beside: most often what docker compose still runs of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bayplan.errors import BayplanError
from bayplan.facts import Facts, HostFacts, Stranger
from bayplan.spec.fleet import LOCAL
from bayplan.spec.model import App
from bayplan.spec.pinned import pinned


@dataclass(frozen=True, slots=True)
class Shared:
    """A volume that a service is to live on, and that somebody else's container may write to."""

    host: str
    service: str
    volume: str
    stranger: Stranger

    @property
    def todo(self) -> str:
        if self.stranger.project or self.stranger.fleet:
            return how_to_stop(self.stranger)
        return f"{how_to_stop(self.stranger)}; or, if it only reads, have it mount the volume read-only"

    @property
    def why(self) -> str:
        return f"{told(self.stranger)} writes to the volume {self.volume}, on which {self.service} is to live"


def check(app: App, facts: Facts) -> None:
    """Two would write to one volume. Raises BayplanError."""
    for shared in writers(app, facts):
        raise BayplanError(f"{shared.why}; nothing of the app was changed", where=shared.host, todo=shared.todo)


def writers(app: App, facts: Facts) -> Iterator[Shared]:
    """On every host that answers, as writers_on."""
    for host in facts.reachable():
        yield from writers_on(app, host)


def writers_on(app: App, host: HostFacts) -> Iterator[Shared]:
    """Who writes to the app's volumes where none of ours has begun to. An external one is shared on purpose."""
    begun = {name for replica in host.engine.replicas for name in replica.volumes}
    for service, volume in _begins(app, begun):
        for stranger in host.engine.strangers:
            if volume in stranger.writes:
                yield Shared(host.name, service, volume, stranger)


def _begins(app: App, begun: set[str]) -> Iterator[tuple[str, str]]:
    for service in app.services.values():
        mounts = () if service.external else pinned(app, service)
        for mount, volume in mounts:
            if not (mount.read_only or volume.external or volume.name in begun):
                yield service.name, volume.name


def told(stranger: Stranger) -> str:
    """Who it is."""
    if stranger.fleet:
        return f"{stranger.name} of the fleet {stranger.fleet}"
    return f"{stranger.name}, which docker compose runs," if stranger.project else f"the container {stranger.name}"


def how_to_stop(stranger: Stranger) -> str:
    """What to do about it."""
    if stranger.fleet:
        of = ", with fleet.yaml out of the way: without one the fleet is this machine" * (stranger.fleet == LOCAL)
        return f"take the app down in that fleet first (bayplan down; its volumes stay){of}"
    if stranger.project:
        return (
            f"take over from docker compose: docker compose -p {stranger.project} down (its volumes stay, and are "
            "found; not with -v), then bayplan up"
        )
    return f"stop it: docker stop {stranger.name}"
