"""Compose files to an App: find, read, interpolate, merge, check, resolve."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from bayplan.spec.checks import check
from bayplan.spec.compose_file import ComposeFile, ServiceFile
from bayplan.spec.document import read_document
from bayplan.spec.dotenv import read_dotenv
from bayplan.spec.find import COMPOSE_NAMES, compose_files, project_directory
from bayplan.spec.interpolate import interpolate, substitute
from bayplan.spec.merge import merge, settled
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.model import App, Fleet, Service
from bayplan.spec.node import Node, Place
from bayplan.spec.reading import read_text, shown
from bayplan.spec.resolve import Surroundings, resolve
from bayplan.spec.validate import validate

_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_NAMES = "use lower-case letters, digits, - and _, a letter or digit first, 63 at most"


def load_app(
    files: Sequence[Path] | None, *, project: str | None, environment: Mapping[str, str], fleet: Fleet | None
) -> App:
    """The app that Compose files describe, resolved.

    files: as given with -f, later ones over earlier ones; None looks for them as Compose does. project: -p.
    environment: the operator's; `.env` beside the first file fills in. fleet None: it is not known, and what the app
    wants of it is not checked. Raises SpecError with every mistake.
    """
    mistakes = Mistakes()
    paths = _found(files, environment, mistakes)
    directory = project_directory(paths)
    documents = [d for p in paths if (d := _document(p, mistakes)) is not None]
    variables = _variables(directory, environment, mistakes)
    name = _name(documents, project, variables, directory, mistakes)
    variables = {**variables, "COMPOSE_PROJECT_NAME": name}
    root = _merged([interpolate(d, variables, mistakes) for d in documents])
    services = {}
    if root is not None:
        services = _services(root, Surroundings(directory, variables, root, mistakes), fleet)
    mistakes.raise_any()
    return App(name=name, services=services)


def app_name(files: Sequence[Path] | None, *, project: str | None, environment: Mapping[str, str]) -> str:
    """The app's name alone, for verbs that ask what runs; with -p no file is read. Raises SpecError."""
    mistakes = Mistakes()
    paths = () if project else _found(files, environment, mistakes)
    directory = project_directory(paths) if paths else Path.cwd()
    documents = [d for p in paths if (d := _document(p, mistakes)) is not None]
    name = _name(documents, project, _variables(directory, environment, mistakes), directory, mistakes)
    mistakes.raise_any()
    return name


def _found(files: Sequence[Path] | None, environment: Mapping[str, str], mistakes: Mistakes) -> tuple[Path, ...]:
    paths = compose_files(files, environment)
    if not paths:
        name = COMPOSE_NAMES[0]
        todo = "write one (bayplan init helps), or name it with -f"
        mistakes.add(f"there is no {name} here or in a parent directory", Place(name), todo)
        mistakes.raise_any()
    return paths


def _document(path: Path, mistakes: Mistakes) -> Node | None:
    name = "standard input" if str(path) == "-" else shown(path)
    text = read_text(path, Place(name), mistakes)
    return None if text is None else read_document(text, name, mistakes)


def _variables(directory: Path, environment: Mapping[str, str], mistakes: Mistakes) -> dict[str, str]:
    """The operator's environment, over `.env`."""
    path = directory / ".env"
    if not path.is_file():
        return dict(environment)
    text = read_text(path, Place(shown(path)), mistakes)
    return {**read_dotenv(text or "", shown(path), environment, mistakes), **environment}


def _merged(documents: Sequence[Node]) -> Node | None:
    if not documents:
        return None
    root = documents[0]
    for over in documents[1:]:
        root = merge(root, over)
    return settled(root)


def _name(
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
            given, place = substitute(node.value, variables, lambda *_: None), node.place
    if not given:
        return re.sub(r"[^a-z0-9_-]", "", directory.name.lower()).lstrip("_-")[:63] or "app"
    if not _NAME.fullmatch(given):
        mistakes.add(f"{given!r} cannot be an app's name", place, _NAMES)
    return given


def _services(root: Node, around: Surroundings, fleet: Fleet | None) -> dict[str, Service]:
    """Each service that is written well; the mistakes of all."""
    written = _well_written(root, around.mistakes)
    pairs = [(resolve(name, service, around), service) for name, service in written.items()]
    check(pairs, fleet, around)
    return {service.name: service for service, _ in pairs}


def _well_written(root: Node, mistakes: Mistakes) -> Mapping[str, ServiceFile]:
    """Services that are valid by themselves: one that is not hides no mistake of another."""
    whole = validate(ComposeFile, root, mistakes)
    services = root.value.get("services") if isinstance(root.value, dict) else None
    if services is None or not isinstance(services.value, dict):
        return {}
    _check_names(services, mistakes)
    if whole is not None:
        return whole.services
    quiet = Mistakes()  # told already
    each = {name: validate(ServiceFile, node, quiet) for name, node in services.value.items()}
    return {name: service for name, service in each.items() if service is not None}


def _check_names(services: Node, mistakes: Mistakes) -> None:
    names = services.value if isinstance(services.value, dict) else {}
    if not names:
        mistakes.add("services: there is none", services.place, "write one: services: {web: {image: nginx}}")
    for name, node in names.items():
        if not _NAME.fullmatch(name):
            mistakes.add(f"services: {name!r} cannot be a service's name", node.place, _NAMES)
