"""What a definition refers to, and short words that resolving uses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Node, Place, along, plain

T = TypeVar("T")


@dataclass(frozen=True)
class Surroundings:
    """What a service's definition refers to. directory: the project's, which relative paths start from.

    only_read: the app is shown and not run, so that what only a run needs may be missing. one_host: all of the fleet.
    both_files: how to name the files, where the only one that is named may be meant to be laid over another.
    """

    directory: Path
    variables: Mapping[str, str]
    root: Node
    mistakes: Mistakes
    only_read: bool = False
    one_host: bool = False
    both_files: str = ""

    def place(self, *path: str | int) -> Place:
        """Where something is written, or where it would be."""
        *_, last = along(self.root, path)
        return last.place

    def has(self, *path: str | int) -> bool:
        """Whether something is written there."""
        return len(list(along(self.root, path))) == len(path) + 1

    def written(self, *path: str | int) -> object:
        """What is written there; None if nothing is."""
        return plain([*along(self.root, path)][-1]) if self.has(*path) else None

    def wrong(self, what: str, *path: str | int, todo: str = "") -> None:
        """Tell a mistake; the first words say which service."""
        self.mistakes.add(what, self.place(*path), todo)

    def not_there(self, what: str, *path: str | int, todo: str) -> None:
        """Tell a mistake that another file may well mend: what is named is not in this one."""
        self.wrong(what, *path, todo=f"{todo}; or name both files: {self.both_files}" if self.both_files else todo)

    def is_broken(self, *path: str | int) -> bool:
        """Whether something is wrong with what stands there that is told already."""
        return any(node.broken for node in along(self.root, path))

    def missing(self, what: str, *path: str | int, todo: str = "") -> None:
        """Tell what is in the way of a run alone: a mistake, or, of an app that is only read, a warning."""
        if self.only_read:
            self.mistakes.warn(f"{what}; up refuses it", self.place(*path), todo)
        else:
            self.wrong(what, *path, todo=todo)


def given(value: T | None, default: T) -> T:
    """The value, or the default when it is not written."""
    return default if value is None else value


def blank(pairs: Mapping[str, str | None] | None) -> dict[str, str]:
    """Labels and the like: without a value they are empty (Compose Specification, "labels")."""
    return {key: value or "" for key, value in (pairs or {}).items()}


def known(pairs: Mapping[str, str | None] | None, variables: Mapping[str, str]) -> dict[str, str]:
    """Names without a value take it from the operator's environment; unset there, they are left out."""
    found = {key: variables.get(key) if value is None else value for key, value in (pairs or {}).items()}
    return {key: value for key, value in found.items() if value is not None}
