"""What the operator's environment and `.env` say: the variables of the files, and which files those are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from bayplan.spec.dotenv import read_dotenv
from bayplan.spec.find import COMPOSE_NAMES, compose_files
from bayplan.spec.interpolate import SET
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Place
from bayplan.spec.reading import copying_example, is_there, read_text, shown

_REMOTE = ("http:/", "https:/", "oci:/", "git@")  # as a path, which has lost one of its slashes


def files_of(files: Sequence[Path] | None, environment: Mapping[str, str], mistakes: Mistakes) -> tuple[Path, ...]:
    """The Compose files. With nothing named, `.env` here may say COMPOSE_FILE. Raises SpecError when there are none."""
    here = {} if files or "COMPOSE_FILE" in environment else _dotenv(Path.cwd() / ".env", environment, Mistakes())
    paths = compose_files(files, {**here, **environment})
    if not paths:
        name = COMPOSE_NAMES[0]
        others = ", ".join(sorted(path.name for path in Path.cwd().glob("*compose*.y*ml")))
        todo = f"name one with -f: {others}" if others else "write one (bayplan init helps), or name it with -f"
        mistakes.add(f"there is no {name} here or in a parent directory", Place(name), todo)
        mistakes.raise_any()
    for path in (p for p in map(str, paths) if p.startswith(_REMOTE)):
        remote = path if "@" in path else path.replace(":/", "://", 1)
        mistakes.add(f"{remote} is not on this machine, and is not fetched", Place("-f"), "fetch it, and name the file")
    mistakes.raise_any()
    return paths


def variables_of(directory: Path, environment: Mapping[str, str], mistakes: Mistakes) -> dict[str, str]:
    """The operator's environment, over `.env`, or over the files that COMPOSE_ENV_FILES names."""
    named = environment.get("COMPOSE_ENV_FILES", "")
    found: dict[str, str] = {}
    for name in (n for n in named.split(",") if n):
        text = read_text(Path(name), Place("COMPOSE_ENV_FILES"), mistakes)
        found |= read_dotenv(text or "", name, environment, mistakes)
    return {**(found if named else _dotenv(directory / ".env", environment, mistakes)), **environment}


def to_set_one(directory: Path) -> str:
    """What to do about a variable that is not set."""
    path = directory / ".env"
    copying = "" if is_there(path) else copying_example(path)
    return f"{copying}, or set it in the environment" if copying else SET


def _dotenv(path: Path, environment: Mapping[str, str], mistakes: Mistakes) -> dict[str, str]:
    if not path.is_file():
        return {}
    text = read_text(path, Place(shown(path)), mistakes)
    return read_dotenv(text or "", shown(path), environment, mistakes)
