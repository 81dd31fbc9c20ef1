"""Reading the files that a spec is made of, and naming them as a person would."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from bayplan.spec.example import example_of
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Place


def shown(path: Path) -> str:
    """A path as short as it can be said from here."""
    full = Path(os.path.normpath(Path.cwd() / path))
    return str(full.relative_to(Path.cwd())) if full.is_relative_to(Path.cwd()) else str(full)


def copying_example(path: Path) -> str:
    """What to do about a file that is not there, if an example of it is; else nothing."""
    example = example_of(path)
    return f"copy {shown(example)} to {shown(path)} and fill it in" if example else ""


def expanded(path: str) -> Path:
    """A path with the operator's home in the place of a `~` at its start.

    `~x` is x in it, and nobody else's home, as docker compose has it (compose-go's `ExpandUser`).
    """
    home = os.path.expanduser("~")  # noqa: PTH111  that of Path raises where there is none
    return Path(home, path[1:].lstrip("/")) if path.startswith("~") else Path(path)


def is_there(path: Path) -> bool:
    """Whether anything is: by a name that nothing can have, nothing is."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def is_file(path: Path) -> bool:
    """As `is_there`."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_directory(path: Path) -> bool:
    """As `is_there`."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def read_text(path: Path, place: Place, mistakes: Mistakes, prefix: str = "") -> str | None:
    """The text of a file ("-" is standard input), or None and a mistake at `place`, which names the file."""
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        mistakes.add(f"{prefix}{shown(path)} is not UTF-8 text", place, "save it as UTF-8")
    except FileNotFoundError:
        mistakes.add(f"{prefix}there is no {shown(path)}", place, copying_example(path) or "check the name")
    except OSError as error:
        mistakes.add(f"{prefix}{shown(path)} cannot be read: {error.strerror}", place)
    except ValueError as error:
        mistakes.add(f"{prefix}{str(path)!r} cannot be read: {error}", place, "check the name")
    return None
