"""Volumes in a plan: where they are, what a replica mounts, and which hosts cannot give it.

A volume of one host is never left behind: where it is, its service lives. Nobody knows what is on a host that does not
answer; so while one does not, and no other has the volume, a service that was released before begins no empty one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from bayplan import labels
from bayplan.container import Mounted
from bayplan.facts import Facts, HostFacts
from bayplan.plan.constraints import unmet
from bayplan.plan.goal import Goal, Memory
from bayplan.plan.names import half_name
from bayplan.spec.model import App, Fleet, Host, Service
from bayplan.spec.pinned import pinned
from bayplan.spec.storage import Mount, Volume
from bayplan.units import parse_api

_REMOVE: Final = "remove the wrong one (bayplan volume rm)"
_SUBPATH: Final = (1, 45)  # the API that has it (Docker Engine API, "ContainerCreate", version history)
_RECURSIVE: Final = (1, 44)
NO_VOLUME: Final = "which is external"  # the end of the reason of a host that lacks one


@dataclass
class Homes:
    """Where the volumes of one host are. at: hosts by volume; used: those of them where a replica mounts it.

    half: hosts where a copy of one was begun and is not whole. silent: hosts that do not answer. hosts: those that do.
    lived: hosts where this run saw a service: one that is replaced stop-first stands nowhere for a moment.
    outside: by service, a host that is not of the fleet any more, where one of it still answers.
    """

    app: App
    hosts: Mapping[str, tuple[Host, str]]  # and what its engine tells of its architecture
    silent: tuple[str, ...]
    before: Mapping[str, int]
    lived: Mapping[str, frozenset[str]]
    outside: Mapping[str, str]
    at: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    used: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    half: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))

    def take(self, host: str, service: Service) -> None:
        """The service is put there."""
        for _, volume in pinned(self.app, service):
            self.at[volume.name].add(host)
            self.used[volume.name].add(host)

    def rejection(self, host: str, service: Service) -> str | None:
        """Why the service cannot live there with its volumes."""
        if service.is_global:
            return None  # a volume on each host
        found = pinned(self.app, service)
        return next((why for mount, volume in found if (why := self._why_not(host, service, volume, mount))), None)

    def _why_not(self, host: str, service: Service, volume: Volume, mount: Mount) -> str | None:
        name = volume.name
        if volume.external and mount.read_only:  # whoever put it on several hosts meant each of them
            return None if host in self.at[name] else f"has no volume {name}, {NO_VOLUME}"
        lived = self.lived.get(service.name, frozenset())
        homes = self.at[name]
        if len(homes) > 1:
            homes = self.used[name] or homes & lived or homes
        if len(homes) > 1 and volume.external:
            homes = {h for h in homes if unmet(service, *self.hosts[h]) is None} or homes
        if len(homes) > 1:
            way = "say which it is to live on (deploy.placement.constraints)" if volume.external else _REMOVE
            return f"its volume {name} is on {' and on '.join(sorted(homes))}: {way}"
        if host in homes:
            return None
        if homes:
            return f"its volume {name} is on {next(iter(homes))} (bayplan volume move)"
        if self.half[name]:
            where = " and ".join(sorted(self.half[name]))
            return (
                f"what {where} has of its volume {name} is a copy that was not finished: begin it again "
                "(bayplan volume restore), or remove it (bayplan volume rm)"
            )
        if volume.external:
            return f"has no volume {name}, {NO_VOLUME}"
        return self._may_be(service, name)

    def _may_be(self, service: Service, name: str) -> str | None:
        """Where a volume may be that no host has."""
        if where := self.outside.get(service.name):
            return (
                f"its volume {name} may be on {where}, which fleet.yaml has no more, and where {service.name} still "
                "answers: name the host there again, restore a backup here (bayplan volume restore), or stop it there"
            )
        lived = self.lived.get(service.name, frozenset())
        if self.silent and (service.name in self.before or lived & set(self.silent)):
            return (
                f"its volume {name} may be on {' or '.join(self.silent)}, which does not answer: bring it back, or "
                "restore a backup here (bayplan volume restore)"
            )
        return None


def homes_of(goal: Goal, facts: Facts, run: Memory, outside: Mapping[str, str]) -> Homes:
    """As the facts tell it. outside: as in Homes."""
    silent = tuple(h.name for h in facts.hosts.values() if not h.reachable)
    lived: dict[str, frozenset[str]] = defaultdict(frozenset)
    for name, there in run.stood.items():
        for service in {service for app, service, _ in there if app == goal.app.name}:
            lived[service] |= {name}
    answering = [h for h in facts.reachable() if h.name in goal.fleet.hosts]
    hosts = {h.name: (goal.fleet.hosts[h.name], h.engine.arch) for h in answering}
    homes = Homes(goal.app, hosts, silent, goal.before, lived, outside)
    for host in answering:
        for name in host.engine.volumes:
            (homes.half if half_name(name) in host.engine.volumes else homes.at)[name].add(host.name)
        for replica in host.engine.replicas:
            for name in replica.volumes:
                homes.at[name].add(host.name)
                homes.used[name].add(host.name)
    return homes


def unmountable(service: Service, host: HostFacts) -> str | None:
    """What of the service's mounts a host, or its engine, cannot give."""
    absent = sorted({m.source for m in service.mounts if m.kind == "bind"} & host.missing)
    if absent:
        return f"has no {', '.join(absent)}, which is mounted from the host"
    for mount in service.mounts:
        wanted = _SUBPATH if mount.subpath else _RECURSIVE if mount.recursive in ("writable", "readonly") else None
        if wanted and parse_api(host.engine.api) < wanted:
            what = "subpath" if mount.subpath else f"recursive: {mount.recursive}"
            return f"its engine speaks API {host.engine.api}, and {what} needs {wanted[0]}.{wanted[1]}"
    return None


def mounted(fleet: Fleet, app: App, service: Service) -> tuple[Mounted, ...]:
    """What a replica's container mounts."""
    return tuple(_mounted(fleet, app, mount) for mount in service.mounts)


def _mounted(fleet: Fleet, app: App, mount: Mount) -> Mounted:
    volume = app.volumes.get(mount.source) if mount.kind == "volume" else None
    if volume is None:
        is_made = mount.kind == "bind" and fleet.local and mount.create_host_path
        return Mounted(mount, labels=mount.labels, create=is_made)
    if volume.external:
        return Mounted(mount, name=volume.name)
    told = {**volume.labels, labels.FLEET: fleet.name, labels.APP: app.name, labels.VOLUME: mount.source}
    return Mounted(mount, volume.name, volume.driver, volume.driver_opts, told)


def volumes_label(app: App, service: Service) -> Mapping[str, str]:
    """The label that tells which volumes of its host a replica mounts; none for none."""
    names = dict.fromkeys(volume.name for _, volume in pinned(app, service))
    return {labels.VOLUMES: ",".join(names)} if names else {}


def mounts_definition(app: App | None, mounts: Iterable[Mount]) -> Iterator[dict[str, object]]:
    """What of mounts makes another container."""
    for mount in sorted(mounts, key=lambda m: m.target):
        volume = app.volumes.get(mount.source) if app and mount.kind == "volume" else None
        made_of = mount.model_dump(mode="json", exclude_defaults=True, exclude={"labels", "create_host_path"})
        yield made_of | ({"name": volume.name} if volume else {})
