"""What an app is called, and where its files and variables are: all that a verb needs which asks what runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bayplan.spec.document import read_file
from bayplan.spec.dotenv import read_dotenv
from bayplan.spec.find import COMPOSE_NAMES, compose_files, project_directory
from bayplan.spec.interpolate import Told, substitute
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Node, Place
from bayplan.spec.reading import read_text, shown

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_REMOTE = ("http:/", "https:/", "oci:/", "git@")  # as a path, which has lost one of its slashes
_NAMES = "use lower-case letters, digits, - and _, a letter or digit first, 63 at most"


def app_name(files: Sequence[Path] | None, *, project: str | None, environment: Mapping[str, str]) -> str:
    """The app's name alone, for verbs that ask what runs; with -p no file is read. Raises SpecError."""
    mistakes = Mistakes()
    paths = () if project else found(files, environment, mistakes)
    directory = project_directory(paths) if paths else Path.cwd()
    documents = [d for p in paths if (d := read_file(p, mistakes)) is not None]
    name = name_of(documents, project, variables_of(directory, environment, mistakes), directory, mistakes)
    mistakes.raise_any()
    return name


def found(files: Sequence[Path] | None, environment: Mapping[str, str], mistakes: Mistakes) -> tuple[Path, ...]:
    """The Compose files. With nothing named, `.env` here may say COMPOSE_FILE. Raises SpecError when there are none."""
    here = {} if files or "COMPOSE_FILE" in environment else _dotenv(Path.cwd() / ".env", environment, Mistakes())
    paths = compose_files(files, {**here, **environment})
    if not paths:
        name = COMPOSE_NAMES[0]
        todo = "write one (bayplan init helps), or name it with -f"
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


def _dotenv(path: Path, environment: Mapping[str, str], mistakes: Mistakes) -> dict[str, str]:
    if not path.is_file():
        return {}
    text = read_text(path, Place(shown(path)), mistakes)
    return read_dotenv(text or "", shown(path), environment, mistakes)


def name_of(
    documents: Sequence[Node],
    project: str | None,
    variables: Mapping[str, str],
    directory: Path,
    mistakes: Mistakes,
) -> str:
    """-p, COMPOSE_PROJECT_NAME, the last file's `name:`, the directory's name (Compose's order)."""
    given = project or variables.get("COMPOSE_PROJECT_NAME")
    place = Place("-p" if project else "COMPOSE_PROJECT_NAME")
    for document in reversed(documents):
        node = document.value["name"] if isinstance(document.value, dict) and "name" in document.value else None
        if not given and node is not None and isinstance(node.value, str):
            given, place = substitute(node.value, variables, Told(wrong=lambda *_: None)), node.place
    if not given:
        return re.sub(r"[^a-z0-9_-]", "", directory.name.lower()).lstrip("_-")[:63] or "app"
    if not _NAME.fullmatch(given):
        mistakes.add(f"{given!r} cannot be an app's name", place, _NAMES)
    return given
