"""What an app is called: all that a verb needs of the files which asks what runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bayplan.spec.document import read_documents
from bayplan.spec.find import project_directory
from bayplan.spec.interpolate import Told, substitute
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Node, Place
from bayplan.spec.variables import files_of, variables_of

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NAMES = "use lower-case letters, digits, - and _, a letter or digit first, 63 at most"


def app_name(files: Sequence[Path] | None, *, project: str | None, environment: Mapping[str, str]) -> str:
    """The app's name alone, for verbs that ask what runs; with -p no file is read. Raises SpecError."""
    mistakes = Mistakes()
    paths = () if project else files_of(files, environment, mistakes)
    directory = project_directory(paths) if paths else Path.cwd()
    documents = [d for p in paths for d in read_documents(p, mistakes)]
    name = name_of(documents, project, variables_of(directory, environment, mistakes), directory, mistakes)
    mistakes.raise_any()
    return name


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
