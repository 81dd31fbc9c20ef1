"""Values of what a replica finds in its file system beside its image: volumes, binds, memory, secrets, configs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from bayplan.spec.options import Value

MountKind = Literal["volume", "bind", "tmpfs", "image"]

SECRETS: Final = "/run/secrets/"  # where in a replica they are, unless their target says otherwise
CONFIGS: Final = "/"


class Mount(Value):
    """One entry of a service's `volumes:`.

    source: of a volume a key of `App.volumes`, "" for one that lives and goes with its replica; of a bind an absolute
    path of the host; of an image its name. target: an absolute path in the replica. size, mode: of a tmpfs, bytes and
    permission bits.
    """

    kind: MountKind
    target: str
    source: str = ""
    read_only: bool = False
    nocopy: bool = False
    subpath: str = ""
    labels: Mapping[str, str] = {}
    propagation: str = ""
    create_host_path: bool = True
    recursive: str = ""
    selinux: str = ""
    size: int = 0
    mode: int | None = None


class Volume(Value):
    """One entry of the top-level `volumes:`. name: what engines call it (`APP_KEY` unless it is written).

    external: it is there already and is neither made nor removed.
    """

    name: str
    driver: str = "local"
    driver_opts: Mapping[str, str] = {}
    labels: Mapping[str, str] = {}
    external: bool = False


class Grant(Value):
    """One entry of a service's `secrets:` or `configs:`. source: the top-level key; target: an absolute path, or, of a
    build's secrets, the id that its steps mount it by.
    """

    source: str
    target: str
    uid: int = 0
    gid: int = 0
    mode: int = 0o444


class Secret(Value):
    """One entry of the top-level `secrets:`: where its value is found, never the value.

    One of them is set. file: an absolute path on the operator's machine; environment: a variable of theirs; external:
    it is kept elsewhere under `name`. In a release also version, at random, which changes with the value, and check, a
    salted hash that tells whether it did (`operate/secrets.py`).
    """

    name: str
    file: str = ""
    environment: str = ""
    external: bool = False
    labels: Mapping[str, str] = {}
    version: str = ""
    check: str = ""


class Config(Value):
    """One entry of the top-level `configs:`, with its content: a release keeps what it was started with.

    encoding base64: the content is not UTF-8 text. external: it is kept elsewhere under `name`, and has no content.
    """

    name: str
    content: str = ""
    encoding: Literal["utf-8", "base64"] = "utf-8"
    external: bool = False
    labels: Mapping[str, str] = {}
