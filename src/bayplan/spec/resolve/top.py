"""What stands at the top of the file beside services, as far as services use it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bayplan.spec.model import Network, Service
from bayplan.spec.mount_syntax import binds
from bayplan.spec.reading import copying_example, shown
from bayplan.spec.resolve.around import Surroundings, blank
from bayplan.spec.resolve.mounts import absolute, volume_of
from bayplan.spec.resolve.networks import check_network
from bayplan.spec.storage import Config, Secret, Volume
from bayplan.spec.variables import to_set_one
from bayplan.spec.written.app import ComposeFile
from bayplan.spec.written.networks import NetworkFile
from bayplan.spec.written.storage import ConfigFile, ExternalFile, SecretFile, VolumeFile

_RELATIVE = "write it, or correct the name; it is relative to the first Compose file"
ANYWHERE = "default"  # the network of services that name none
_ENGINES_OWN = frozenset({"host", "none"})  # Docker has networks of these names that are no networks

W = TypeVar("W")
V = TypeVar("V")


def _todo(kind: str, name: str) -> str:
    """What to do where what is named is not there; a path without a dot before it is taken for a volume's name."""
    if kind == "volume" and "/" in name:
        return f"write ./{name}: a path begins with ., / or ~"
    return f"write {kind}s: {{{name}: …}}, or correct the name"


@dataclass(frozen=True)
class Top:
    """By the keys that services name them with."""

    networks: Mapping[str, Network] = field(default_factory=dict)
    volumes: Mapping[str, Volume] = field(default_factory=dict)
    secrets: Mapping[str, Secret] = field(default_factory=dict)
    configs: Mapping[str, Config] = field(default_factory=dict)


def resolve_top(app: str, written: ComposeFile, services: Iterable[Service], around: Surroundings) -> Top:
    """What the services use; what they use and is not there is a mistake, what nobody uses is left out."""
    ours = _Definitions(app, around)
    networks = {ANYWHERE: NetworkFile(), **(written.networks or {})}
    used = tuple(services)
    builds = [(s.name, s.build) for s in used if s.build]
    secrets = [(s.name, "secrets", g.source) for s in used for g in s.secrets]
    secrets += [(name, "build.secrets", g.source) for name, build in builds for g in build.secrets]
    return Top(
        ours.named("network", networks, [(s.name, "networks", key) for s in used for key in s.networks], ours.network),
        ours.named(
            "volume",
            written.volumes or {},
            [(s.name, "volumes", key) for s in used for m in s.mounts if (key := volume_of(m))],
            ours.volume,
        ),
        ours.named("secret", written.secrets or {}, secrets, ours.secret),
        ours.named(
            "config",
            written.configs or {},
            [(s.name, "configs", g.source) for s in used for g in s.configs],
            ours.config,
        ),
    )


@dataclass(frozen=True)
class _Definitions:
    app: str
    around: Surroundings

    def named(
        self, kind: str, there: Mapping[str, W], uses: list[tuple[str, str, str]], make: Callable[[str, W], V]
    ) -> dict[str, V]:
        """The definitions that (service, its key, name) use, in the file's order."""
        for service, key, name in uses:
            if name not in there:
                self._undefined(kind, service, key, name)
        wanted = {name for _, _, name in uses}
        return {name: make(name, written) for name, written in there.items() if name in wanted}

    def _undefined(self, kind: str, service: str, key: str, name: str) -> None:
        path = ("services", service, *key.split("."))
        value = [*self._children(path)]
        index = next((i for i, child in enumerate(value) if name in child), None)
        self.around.not_there(
            f"services.{service}: there is no {kind} {name!r} at the top of the file",
            *path, *(() if index is None else (index,)),
            todo=_todo(kind, name),
        )  # fmt: skip

    def _children(self, path: tuple[str, ...]) -> Iterable[str]:
        from bayplan.spec.node import along, plain

        *_, node = along(self.around.root, path)
        return (str(plain(child)) for child in node.value) if isinstance(node.value, list) else ()

    def _name(self, key: str, name: str | None, external: ExternalFile | None) -> tuple[str, bool]:
        """What engines call it, and whether somebody else made it."""
        is_external = external is not None and external.is_external
        said = name or (external.name if external else None)
        return said or (key if is_external else f"{self.app}_{key}"), is_external

    def network(self, key: str, written: NetworkFile) -> Network:
        check_network(key, written, self.around)
        name, is_external = self._name(key, written.name, written.external)
        if is_external and name in _ENGINES_OWN:
            self.around.wrong(
                f"networks.{key}: {name!r} is each engine's own, and none that services share", "networks", key,
                todo=f"remove it, and write network_mode: {name} on the service",
            )  # fmt: skip
        internal = bool(written.internal)
        return Network(name=name, external=is_external, internal=internal, labels=blank(written.labels))

    def volume(self, key: str, written: VolumeFile) -> Volume:
        name, is_external = self._name(key, written.name, written.external)
        if is_external and (written.driver or written.driver_opts):
            self.around.wrong(
                f"volumes.{key}: is external, and has a driver", "volumes", key, "driver",
                todo="remove one: what is there already is as it is",
            )  # fmt: skip
        return Volume(
            name=name,
            driver=written.driver or "local",
            driver_opts=self._driver_opts(written),
            labels=blank(written.labels),
            external=is_external,
        )

    def _driver_opts(self, written: VolumeFile) -> Mapping[str, str]:
        """An engine binds no path that starts nowhere: it starts from the project's directory, as Compose has it."""
        options = blank(written.driver_opts)
        device = options.get("device", "")
        if device and not device.startswith("/") and binds(written.driver, options):
            return {**options, "device": absolute(device, self.around)}
        return options

    def secret(self, key: str, written: SecretFile) -> Secret:
        name, is_external = self._name(key, written.name, written.external)
        if written.environment:
            self._variable("secrets", key, written.environment)
        file = absolute(written.file, self.around) if written.file else ""
        if file:
            self._content("secrets", key, file)
        return Secret(
            name=name,
            file=file,
            environment=written.environment or "",
            external=is_external,
            labels=blank(written.labels),
        )

    def config(self, key: str, written: ConfigFile) -> Config:
        name, is_external = self._name(key, written.name, written.external)
        found = (written.content or "").encode()
        if written.environment:
            found = self._variable("configs", key, written.environment).encode()
        elif written.file:
            found = self._content("configs", key, absolute(written.file, self.around))
        labels = blank(written.labels)
        try:
            return Config(name=name, content=found.decode(), external=is_external, labels=labels)
        except UnicodeDecodeError:
            text = base64.b64encode(found).decode()
            return Config(name=name, content=text, encoding="base64", external=is_external, labels=labels)

    def _variable(self, kind: str, key: str, name: str) -> str:
        if name not in self.around.variables:
            self.around.wrong(
                f"{kind}.{key}: the variable {name} is not set", kind, key, "environment",
                todo=to_set_one(self.around.directory),
            )  # fmt: skip
        return self.around.variables.get(name, "")

    def _content(self, kind: str, key: str, path: str) -> bytes:
        try:
            return Path(path).read_bytes()
        except (OSError, ValueError) as error:
            why = "there is no" if isinstance(error, FileNotFoundError) else f"{getattr(error, 'strerror', error)}:"
            self.around.wrong(
                f"{kind}.{key}: {why} {shown(Path(path))}", kind, key, "file",
                todo=copying_example(Path(path)) or _RELATIVE,
            )  # fmt: skip
            return b""
