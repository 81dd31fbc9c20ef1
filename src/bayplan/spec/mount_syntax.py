"""The short syntax of a service's `volumes:` (Compose Specification, "Volumes"): `[source:]target[:options]`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from bayplan.spec.shapes import TEXT_OR_MAP, either, wrong

_PROPAGATION = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})
_OF_OTHER_SYSTEMS = frozenset({"cached", "delegated", "consistent"})
_OPTIONS = frozenset({"ro", "rw", "nocopy", "z", "Z"}) | _PROPAGATION | _OF_OTHER_SYSTEMS
_WINDOWS = re.compile(r"(?:^|:)[A-Za-z]:\\|:[A-Za-z]:/|^[A-Za-z]:/[^:]*:/")  # a:/data is a volume of that name
_EXAMPLES = "write 'name:/data', '/of/the/host:/data:ro' or '/data'"


def long_mount(entry: Any) -> Any:
    """The long form of an entry; what is no short form is given back. Raises ValueError."""
    if isinstance(either(entry, TEXT_OR_MAP, str, dict), dict):
        return entry
    source, target, options = _parts(entry)
    if not target.startswith("/"):
        raise wrong(f"{entry!r} is not a volume", _EXAMPLES)
    mount: dict[str, Any] = {"type": "bind" if is_path(source) else "volume", "target": target}
    if source:
        mount["source"] = source
    for option in options.split(",") if options else ():
        _take(option, mount)
    return mount


def unknown_options(entry: Any) -> list[str]:
    """Options of a short entry that say nothing: docker compose leaves them out (compose-go, `parseVolume`)."""
    _, _, options = _parts(entry) if isinstance(entry, str) else ("", "", "")
    return [option for option in options.split(",") if option not in {"", *_OPTIONS}]


def is_path(source: str) -> bool:
    """Whether a source is a path of a host, and not a volume's name."""
    return source.startswith((".", "/", "~"))


def is_relative(source: str) -> bool:
    """Whether a path means another place on every machine."""
    return source.startswith((".", "~"))


def binds(driver: str | None, options: Mapping[str, str]) -> bool:
    """Whether a volume is a directory of its host: `driver_opts: {type: none, o: bind, device: PATH}`."""
    return driver in {None, "", "local"} and not {"bind", "rbind"}.isdisjoint(options.get("o", "").split(","))


def mount_key(entry: Any) -> tuple[str, ...]:
    """What makes an entry unique when files are merged: where it is in the replica."""
    try:
        entry = long_mount(entry)
    except ValueError:
        return ("", str(entry))
    return (str(entry.get("target", "")).rstrip("/"),)


def _parts(entry: str) -> tuple[str, str, str]:
    """Source, target, options."""
    if _WINDOWS.search(entry):
        raise wrong(f"{entry!r} has a path of Windows, and hosts run Linux", _EXAMPLES)
    parts = entry.split(":")
    if len(parts) == 1:
        return "", parts[0], ""
    if "" in parts:
        raise wrong(f"{entry!r} is not a volume: there is nothing between two colons, or beside one", _EXAMPLES)
    if len(parts) == 2 and parts[0].startswith("/") and not parts[1].startswith("/"):  # noqa: PLR2004
        return "", parts[0], parts[1]
    if len(parts) > 3:  # noqa: PLR2004
        raise wrong(f"{entry!r} is not a volume", _EXAMPLES)
    return parts[0], parts[1], parts[2] if len(parts) == 3 else ""  # noqa: PLR2004


def _take(option: str, mount: dict[str, Any]) -> None:
    if option in {"ro", "rw"}:
        mount["read_only"] = option == "ro"
    elif option == "nocopy":
        mount["volume"] = {"nocopy": True}
    elif option in {"z", "Z"}:
        mount.setdefault("bind", {})["selinux"] = option
    elif option in _PROPAGATION:
        mount.setdefault("bind", {})["propagation"] = option
