"""What a container is to be, in no engine's own words."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields

from bayplan.facts import Binding
from bayplan.spec.model import Healthcheck
from bayplan.spec.options import Options
from bayplan.spec.storage import Mount


@dataclass(frozen=True, slots=True)
class File:
    """A file laid into the container before it starts. mode: permission bits."""

    path: str
    content: bytes
    mode: int = 0o644
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class Mounted:
    """A mount, and, of a named volume, how it is made where it is not there yet. name: what engines call it.

    create: a bind's source is made, as a directory, where it is missing.
    """

    mount: Mount
    name: str = ""
    driver: str = ""
    driver_opts: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    create: bool = False


@dataclass(frozen=True, slots=True)
class Container:
    """All that an engine needs to create and start one container.

    network: "host", or the name of a network that exists, where `aliases` resolve. binds: host path to container path
    ("…:ro" for read-only). init None: as the engine has it for all.
    environment: None is none of its image's either. limits: cores, bytes, processes; None is no
    limit. stop_grace: seconds. options: what else a service may ask of the engine; what has a field of its own here is
    taken from that field.
    """

    name: str
    image: str
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str | None] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    hostname: str = ""
    user: str = ""
    working_dir: str = ""
    init: bool | None = None
    restart: str = "no"
    stop_signal: str = ""
    stop_grace: float = 10.0
    healthcheck: Healthcheck | None = None
    ports: tuple[Binding, ...] = ()
    network: str = ""
    aliases: tuple[str, ...] = ()
    binds: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mounted, ...] = ()
    files: tuple[File, ...] = ()
    limit_cpus: float | None = None
    limit_memory: int | None = None
    limit_pids: int | None = None
    privileged: bool = False
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    pid_mode: str = ""
    options: Options = field(default_factory=Options)


_NO_OPTIONS = Options()


def digest(value: object) -> str:
    """Twelve hex digits that tell two definitions apart; the order of keys does not matter."""
    text = json.dumps(value, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return hashlib.sha256(value).hexdigest()
    if isinstance(value, Healthcheck):
        return value.model_dump()
    if isinstance(value, Options):
        return value.model_dump(exclude_defaults=True)
    if hasattr(value, "__dataclass_fields__"):
        found = {f.name: getattr(value, f.name) for f in fields(value)}  # type: ignore[arg-type]
        # None of them: as before there were any.
        return {k: v for k, v in found.items() if v != _NO_OPTIONS and (k != "mounts" or v)}
    return str(value)
