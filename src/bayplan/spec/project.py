"""The files of an app as one tree: read, variables filled in, what they include and extend brought in, merged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

from bayplan.spec.document import read_documents
from bayplan.spec.dotenv import read_dotenv
from bayplan.spec.interpolate import interpolate
from bayplan.spec.merge import merge, settled
from bayplan.spec.mistakes import Mistakes
from bayplan.spec.node import Node, Place, plain
from bayplan.spec.paths import relocated
from bayplan.spec.reading import read_text, shown
from bayplan.spec.validate import validate
from bayplan.spec.variables import to_set_one
from bayplan.spec.written.app import IncludeFile
from bayplan.spec.written.service import ExtendsFile

_SECTIONS = ("services", "networks", "volumes", "secrets", "configs")
_LONGEST = 50  # services that extend each other
_Trail = tuple[Path, ...]


def merged(documents: Sequence[Node], directory: Path, variables: Mapping[str, str], mistakes: Mistakes) -> Node | None:
    """One tree of an app's documents, in their order. directory: what relative paths start from."""
    return _Project(directory, variables, mistakes, ()).tree(documents)


@dataclass(frozen=True)
class _Project:
    """Files that share a directory and variables. trail: the files that include each other, outermost first."""

    directory: Path
    variables: Mapping[str, str]
    mistakes: Mistakes
    trail: _Trail

    def tree(self, documents: Sequence[Node]) -> Node | None:
        root: Node | None = None
        for document in documents:
            one = interpolate(document, self.variables, self.mistakes, to_set_one(self.directory))
            one = self._with_included(one)
            one = _Extending(self, one, root).applied()
            root = one if root is None else merge(root, one, self.mistakes)
        return settled(root) if root is not None else None

    def joined(self, documents: Sequence[Node]) -> Node:
        """Them laid over each other, without what they include or extend."""
        filled = [interpolate(d, self.variables, self.mistakes, to_set_one(self.directory)) for d in documents]
        return reduce(lambda base, over: merge(base, over, self.mistakes), filled)

    def _with_included(self, document: Node) -> Node:
        entries = document.value.get("include") if isinstance(document.value, dict) else None
        if entries is None or not isinstance(entries.value, list):
            return document  # what is no list is told when the whole is checked
        for index, entry in enumerate(entries.value):
            found = self._included(entry, ("include", str(index)))
            document = document if found is None else self._import(document, found)
        return _without(document, "include")

    def _included(self, entry: Node, path: tuple[str, ...]) -> Node | None:
        long = entry if isinstance(entry.value, dict) else replace(entry, value={"path": entry})
        written = None if entry.broken else validate(IncludeFile, long, self.mistakes, path)
        if written is None or _is_beyond(written.path, entry.place, self.mistakes):
            return None
        paths = [self.directory / name for name in written.path]
        inside = self.directory / written.project_directory if written.project_directory else paths[0].parent
        project = replace(
            self,
            directory=inside.absolute(),
            variables={**self._variables(inside, written, entry.place), **self.variables},
            trail=(*self.trail, *(path.resolve() for path in paths)),
        )
        if self._is_circle(paths, entry.place, "includes"):
            return None
        documents = [d for path in paths for d in read_documents(path, self.mistakes, entry.place)]
        tree = project.tree(documents)
        return None if tree is None else relocated(tree, project.directory, self.directory)

    def _variables(self, directory: Path, written: IncludeFile, place: Place) -> dict[str, str]:
        """What the included files see beneath the project's own variables."""
        default = directory / ".env"
        paths = [self.directory / name for name in written.env_file or ()]
        found: dict[str, str] = {}
        for path in paths or ([default] if default.is_file() else []):
            text = read_text(path, place, self.mistakes)
            found |= read_dotenv(text or "", shown(path), self.variables, self.mistakes)
        return found

    def _import(self, document: Node, included: Node) -> Node:
        """The document with the included entries. Each is defined once (Compose Specification, "Include")."""
        ours = dict(document.value) if isinstance(document.value, dict) else {}
        theirs = included.value if isinstance(included.value, dict) else {}
        for section in _SECTIONS:
            if section not in theirs:
                continue
            if section not in ours or ours[section].value is None:
                ours[section] = theirs[section]
                continue
            mine, more = ours[section].value, theirs[section].value
            if isinstance(mine, dict) and isinstance(more, dict):
                self._check_once(section, mine, more)
                ours[section] = replace(ours[section], value={**more, **mine})
        return replace(document, value=ours)

    def _check_once(self, section: str, mine: Mapping[str, Node], more: Mapping[str, Node]) -> None:
        for name in mine.keys() & more.keys():
            if plain(mine[name]) != plain(more[name]):
                there = more[name].place
                self.mistakes.add(
                    f"{section}.{name}: is in an included file too",
                    mine[name].place,
                    f"the other is in {there.file}:{there.line}; rename one, or change it in a file of its own with -f",
                )

    def _is_circle(self, paths: Sequence[Path], place: Place, verb: str) -> bool:
        again = next((p for p in paths if p.resolve() in self.trail), None)
        if again:
            self.mistakes.add(f"{shown(again)} {verb} itself, by way of others", place, "break the circle")
        return again is not None


@dataclass(frozen=True)
class _Extending:
    """One document's `extends:`. before: the files before it, whose services it can extend too."""

    project: _Project
    document: Node
    before: Node | None

    def applied(self) -> Node:
        services = self._services(self.document)
        if not any(_extends(service) for service in services.values()):
            return self.document
        done = {name: self.service(name, service, ()) for name, service in services.items()}
        assert isinstance(self.document.value, dict)  # noqa: S101  it has services
        node = replace(self.document.value["services"], value=done)
        return replace(self.document, value={**self.document.value, "services": node})

    def service(self, name: str, service: Node, trail: tuple[tuple[str, str], ...]) -> Node:
        """The service laid over what it extends. trail: (file, service) of those that extend each other down to it."""
        entry = _extends(service)
        if entry is None:
            return service
        own = _without(service, "extends")
        long = entry if isinstance(entry.value, dict) else replace(entry, value={"service": entry})
        here = (service.place.file, name)
        if len(trail) >= _LONGEST:
            what = f"services.{name}.extends: more than {_LONGEST} services extend each other down to here"
            self.project.mistakes.add(what, entry.place, "extend the first of them")
            return replace(own, broken=True)
        if here in trail:
            circle = " -> ".join(one for _, one in (*trail[trail.index(here) :], here))
            self.project.mistakes.add(
                f"services.{name}.extends: {circle} is a circle", entry.place, "remove one of these"
            )
            return replace(own, broken=True)
        written = validate(ExtendsFile, long, self.project.mistakes, ("services", name, "extends"))
        if written is None:
            return replace(own, broken=True)
        base = self._base(name, written, entry.place, (*trail, here))
        return (
            replace(own, broken=True) if base is None else merge(base, own, self.project.mistakes, ("services", name))
        )

    def _base(self, name: str, written: ExtendsFile, place: Place, trail: tuple[tuple[str, str], ...]) -> Node | None:
        if written.file is None:
            there = {**self._services(self.before), **self._services(self.document)}
            return self._named(written.service, there, name, place, trail)
        if _is_beyond([written.file], place, self.project.mistakes):
            return None
        path = self.project.directory / written.file
        documents = read_documents(path, self.project.mistakes, place)
        if not documents:
            return None
        inside = replace(self.project, directory=path.parent.absolute())
        elsewhere = _Extending(inside, inside.joined(documents), None)
        found = elsewhere._named(written.service, self._services(elsewhere.document), name, place, trail)
        if found is None:
            return None
        wrapped = Node({"services": Node({name: found}, place)}, place)
        return self._services(relocated(wrapped, inside.directory, self.project.directory))[name]

    def _named(
        self, wanted: str, there: Mapping[str, Node], name: str, place: Place, trail: tuple[tuple[str, str], ...]
    ) -> Node | None:
        if wanted not in there:
            todo = f"services there: {', '.join(sorted(there)) or 'none'}"
            self.project.mistakes.add(f"services.{name}.extends: there is no service {wanted!r}", place, todo)
            return None
        return self.service(wanted, there[wanted], trail)

    @staticmethod
    def _services(document: Node | None) -> Mapping[str, Node]:
        services = document.value.get("services") if document and isinstance(document.value, dict) else None
        return services.value if services is not None and isinstance(services.value, dict) else {}


def _is_beyond(paths: Sequence[str], place: Place, mistakes: Mistakes) -> bool:
    """Whether a file cannot be read from here, which is told."""
    if unfit := next((p for p in paths if "\0" in p), None):
        mistakes.add(f"{unfit!r} is no file's name: it has a NUL character", place, "check the name")
        return True
    remote = next((p for p in paths if "://" in p or p.startswith(("oci:", "git@"))), None)
    if remote:
        mistakes.add(f"{remote} is not on this machine, and is not fetched", place, "fetch it, and name the file")
    return remote is not None


def _extends(service: Node) -> Node | None:
    return service.value.get("extends") if isinstance(service.value, dict) else None


def _without(node: Node, key: str) -> Node:
    assert isinstance(node.value, dict)  # noqa: S101  it has the key
    return replace(node, value={k: v for k, v in node.value.items() if k != key})
