"""`volumes_from:`: what a service mounts because another one does (Compose Specification, "volumes_from")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bayplan.spec.model import Dependency, Service
from bayplan.spec.resolve.around import Surroundings
from bayplan.spec.storage import Mount
from bayplan.spec.written.service import ServiceFile

Pair = tuple[Service, ServiceFile]


def with_volumes_from(pairs: Sequence[Pair], around: Surroundings) -> list[Pair]:
    """The services with the mounts of those that they name, for which they wait (compose-go's `Normalize`)."""
    taking = _Taking({pair[0].name: pair for pair in pairs}, around)
    return [(_waiting(service, written, taking), written) for service, written in pairs]


def _waiting(service: Service, written: ServiceFile, taking: _Taking) -> Service:
    if not written.volumes_from:
        return service
    implied = {_split(entry)[0]: Dependency() for entry in written.volumes_from}
    mounts = taking.mounts(service.name) or service.mounts
    return service.model_copy(update={"mounts": mounts, "depends_on": {**implied, **service.depends_on}})


@dataclass(frozen=True)
class _Taking:
    """done: the mounts of services that were asked for; None while that goes on, to which a circle comes back."""

    pairs: Mapping[str, Pair]
    around: Surroundings
    done: dict[str, tuple[Mount, ...] | None] = field(default_factory=dict)

    def mounts(self, name: str) -> tuple[Mount, ...] | None:
        """All that a service mounts; None: not known, which is told with what waits for what."""
        if name in self.pairs and name not in self.done:
            self.done[name] = None
            service, written = self.pairs[name]
            named = [self.mounts(_split(entry)[0]) for entry in written.volumes_from or ()]
            self.done[name] = None if None in named else self._all(service, written)
        return self.done.get(name)

    def _all(self, service: Service, written: ServiceFile) -> tuple[Mount, ...]:
        """At one place its own, else that of the last which it names (moby's `registerMountPoints`)."""
        found: dict[str, Mount] = {}
        for index, entry in enumerate(written.volumes_from or ()):
            found |= {_where(mount.target): mount for mount in self._of(service.name, index, entry)}
        covered = {_where(mount.target) for mount in service.mounts}
        covered |= {_where(entry.partition(":")[0]) for entry in service.options.tmpfs}
        taken = tuple(mount for where, mount in found.items() if where not in covered)
        for mount in taken:
            self._check_named(service.name, mount)
        return taken + service.mounts

    def _of(self, name: str, index: int, entry: str) -> Iterator[Mount]:
        """What an entry brings. What a volume holds of its image the one that it is from has put there."""
        other, mode = _split(entry)
        there = self.mounts(other)
        if there == ():
            self.around.mistakes.warn(
                f"services.{name}: volumes_from names {other}, which mounts nothing: what its image calls a VOLUME is "
                "not shared",
                self.around.place("services", name, "volumes_from", index),
                f"to share it, write NAME:/its/path under volumes of {other}, and NAME under volumes",
            )
        for mount in there or ():
            update = {"read_only": mount.read_only or mode == "ro", "nocopy": mount.kind == "volume"}
            yield mount.model_copy(update=update)

    def _check_named(self, name: str, mount: Mount) -> None:
        if mount.kind == "volume" and not mount.source:
            self.around.missing(
                f"services.{name}: volumes_from brings a volume without a name at {mount.target}, and each replica "
                "has its own of these",
                "services", name, "volumes_from",
                todo=f"write NAME:{mount.target} where it is, and NAME under volumes",
            )  # fmt: skip


def _split(entry: str) -> tuple[str, str]:
    """The service's name, and `ro`, `rw` or nothing."""
    name, _, mode = entry.partition(":")
    return name, mode


def _where(target: str) -> str:
    return target.rstrip("/") or "/"
