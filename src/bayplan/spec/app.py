"""Compose files to an App: find, read, interpolate, merge, check, resolve."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from bayplan.errors import Mistake
from bayplan.spec.asked import asked_for, entries, with_entries
from bayplan.spec.checks import check
from bayplan.spec.checks_listeners import without_taken
from bayplan.spec.checks_names import check_aliases
from bayplan.spec.checks_volumes import check_volumes
from bayplan.spec.document import read_documents
from bayplan.spec.find import file_below, project_directory
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.model import App, Fleet
from bayplan.spec.name import name_of
from bayplan.spec.node import Node, Place
from bayplan.spec.pending import check_pending
from bayplan.spec.project import merged
from bayplan.spec.reading import shown
from bayplan.spec.resolve import Surroundings, attached, resolve, resolve_top, with_volumes_from
from bayplan.spec.validate import validate
from bayplan.spec.variables import files_of, variables_of
from bayplan.spec.written import ComposeFile, ServiceFile

_RUNS = {"build", "image"}
_NAMING = {"networks", "network_mode", "container_name"}
_SERVICE = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}")
_SERVICES = "use letters, digits, -, _ and dots, a letter or digit first, 63 at most"

OnWarning = Callable[[Mistake], None]


def load_app(
    files: Sequence[Path] | None,
    *,
    project: str | None,
    environment: Mapping[str, str],
    fleet: Fleet | None,
    profiles: Sequence[str] = (),
    named: Collection[str] = (),
    only_read: bool = False,
    warn: OnWarning = lambda _: None,
) -> App:
    """The app that Compose files describe, resolved.

    files: as given with -f, later ones over earlier ones; None looks for them as Compose does. project: -p.
    environment: the operator's; `.env` beside the first file fills in. fleet None: it is not known, and what the app
    wants of it is not checked. profiles: those that are asked for beside COMPOSE_PROFILES; named: services that are,
    whatever their profiles (Compose Specification, "Implicitly starting profiles"). only_read: what is read and
    cannot be run yet (`pending`) is warned of, and no mistake. warn: is told what may well be meant.

    Raises SpecError with every mistake.
    """
    mistakes = Mistakes()
    paths = files_of(files, environment, mistakes)
    directory = project_directory(paths)
    documents = [d for p in paths for d in read_documents(p, mistakes)]
    variables = variables_of(directory, environment, mistakes)
    name = name_of(documents, project, variables, directory, mistakes)
    variables = {**variables, "COMPOSE_PROJECT_NAME": name}
    root = merged(documents, directory, variables, mistakes)
    app = App(name=name)
    if root is not None:
        asked = frozenset((*profiles, *re.split(r"[,\s]+", variables.get("COMPOSE_PROFILES", ""))))
        alone = fleet is not None and len(fleet.hosts) == 1
        below = file_below(paths)
        both = f"-f {shown(below)} -f {shown(paths[0])}" if below else ""
        around = Surroundings(directory, variables, root, mistakes, only_read, alone, both)
        app = _resolved(name, asked, frozenset(named), fleet, around)
        check_pending(app, around)
    for warning in mistakes.warnings:
        warn(warning)
    mistakes.raise_any()
    return app


def secret_values(app: App, files: Sequence[Path] | None, environment: Mapping[str, str]) -> dict[str, bytes]:
    """The values of the app's secrets, by their keys. files, environment: as `load_app` got them.

    Raises SpecError for a file that cannot be read (any more).
    """
    mistakes = Mistakes()
    variables = variables_of(project_directory(files_of(files, environment, mistakes)), environment, mistakes)
    values: dict[str, bytes] = {}
    for key, secret in app.secrets.items():
        if secret.environment:
            values[key] = variables.get(secret.environment, "").encode()
        elif secret.file:
            try:
                values[key] = Path(secret.file).read_bytes()
            except OSError as error:
                mistakes.add(f"secrets.{key}: {error.strerror}", Place(secret.file), "write it, or correct the name")
    mistakes.raise_any()
    return values


def _resolved(
    name: str, asked: frozenset[str], named: frozenset[str], fleet: Fleet | None, around: Surroundings
) -> App:
    """What is written well of it; the mistakes of all."""
    wanted = asked_for(around.root, asked, named, around.mistakes)
    whole, services = _well_written(around.root, wanted, around.mistakes)
    left_out = entries(around.root, "services").keys() - entries(wanted, "services").keys()
    awaited = _awaited(services.values())
    pairs = [(resolve(key, service, around, awaited=key in awaited), service) for key, service in services.items()]
    pairs = without_taken(with_volumes_from(pairs, around), around)
    check(pairs, services.keys() | left_out, fleet, around)
    check_aliases(_names(wanted), around)
    top = resolve_top(name, whole, [service for service, _ in pairs], around) if whole is not None else None
    made = {service.name: service for service, _ in pairs}
    if top is None:
        return App(name=name, services=made)
    app = App(
        name=name,
        services=made,
        networks=top.networks,
        volumes=top.volumes,
        secrets=top.secrets,
        configs=top.configs,
    )
    check_volumes(app, fleet, around)
    return app


def _names(wanted: Node) -> Iterator[tuple[str, Mapping[str, tuple[str, ...]]]]:
    """What services are called on their networks, those with mistakes in other keys as well."""
    for name, node in entries(wanted, "services").items():
        if isinstance(node.value, dict):
            named = replace(node, value={key: child for key, child in node.value.items() if key in _NAMING})
            written = validate(ServiceFile, named, Mistakes())  # told already
            if written is not None:
                yield name, attached(written)


def _awaited(services: Iterable[ServiceFile]) -> frozenset[str]:
    """Services for whose end others wait."""
    return frozenset(
        name
        for service in services
        for name, dependency in (service.depends_on or {}).items()
        if dependency.condition == "service_completed_successfully"
    )


def _well_written(root: Node, wanted: Node, mistakes: Mistakes) -> tuple[ComposeFile | None, Mapping[str, ServiceFile]]:
    """What stands beside services, and the services that are valid by themselves: one that is not hides no mistake of
    another. wanted: what of the root is asked for.
    """
    if _is_version_1(root):
        todo = "put them under services:, two spaces further in"
        mistakes.add("this is a Compose file of version 1, whose services stand at the top", root.place, todo)
        return None, {}
    whole = validate(ComposeFile, wanted, mistakes)
    services = root.value.get("services") if isinstance(root.value, dict) else None
    if services is None or not isinstance(services.value, dict):
        return whole, {}
    _check_names(services, mistakes)
    if whole is not None:
        return whole, whole.services
    quiet = Mistakes()  # told already
    each = {name: validate(ServiceFile, node, quiet) for name, node in entries(wanted, "services").items()}
    beside = validate(ComposeFile, with_entries(wanted, "services", {}), quiet)
    return beside, {name: service for name, service in each.items() if service is not None}


def _is_version_1(root: Node) -> bool:
    """The form of 2014, which Compose itself no longer reads: no `services:`, and each key one."""
    found = root.value.values() if isinstance(root.value, dict) else ()
    return bool(found) and all(isinstance(n.value, dict) and not n.value.keys().isdisjoint(_RUNS) for n in found)


def _check_names(services: Node, mistakes: Mistakes) -> None:
    names = services.value if isinstance(services.value, dict) else {}
    if not names:
        mistakes.add("services: there is none", services.place, "write one: services: {web: {image: nginx}}")
    small: dict[str, str] = {}
    for name, node in names.items():
        if not _SERVICE.fullmatch(name):
            mistakes.add(f"services: {name!r} cannot be a service's name", node.place, _SERVICES)
        elif (other := small.setdefault(name.lower(), name)) != name:
            mistakes.add(f"services: {name!r} and {other!r} are one name to who looks it up", node.place, "rename one")
