"""What comes from files of variables: `env_file` under `environment`, `label_file` under `labels`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from bayplan.spec.dotenv import Variable, dotenv_variables, raw_variables
from bayplan.spec.reading import is_there, read_text, shown
from bayplan.spec.resolve.around import Surroundings, blank, known
from bayplan.spec.written.service import EnvFile, ServiceFile

# Bytes of NAME=value with which Linux starts a program (execve(2): MAX_ARG_STRLEN, 128 KiB, less the NUL at the end).
_LONGEST: Final = 128 * 1024 - 1
_AS_A_FILE: Final = "give it as a file, with configs or secrets"


def environment(name: str, written: ServiceFile, around: Surroundings) -> dict[str, str | None]:
    """`env_file` in its order, `environment` over it. None: a name without a value that the operator's has not either;
    the container is not to have it, whatever its image says (Compose Specification, "environment").

    A file's values may use the operator's variables, `environment` and the files before it, the first that has one
    (compose-go's `WithServicesEnvironmentResolved`).
    """
    own = own_environment(written.environment, around, "services", name, "environment")
    inside = replace(around, variables={**own, **around.variables})
    found: dict[str, str] = {}
    for index, entry in enumerate(written.env_file or ()):
        for variable in _file(name, "env_file", index, entry, inside, found):
            _check(f"services.{name}.env_file", variable, around)
            found[variable.name] = variable.value
    unset = dict.fromkeys(key for key in written.environment or () if key not in own)
    return found | own | unset


def own_environment(written: Mapping[str, str | None] | None, around: Surroundings, *path: str | int) -> dict[str, str]:
    """What an `environment:` says, with what the operator's has for names alone. path: where it stands."""
    found = known(written, around.variables)
    for name in written or {}:
        _check(".".join(map(str, path)), Variable(name, found.get(name, ""), around.place(*path, name)), around)
    return found


def labels(name: str, written: ServiceFile, around: Surroundings) -> dict[str, str]:
    """`label_file` in its order, `labels` over it."""
    found: dict[str, str] = {}
    for index, path in enumerate(written.label_file or ()):
        entry = EnvFile(path=path)
        found |= {variable.name: variable.value for variable in _file(name, "label_file", index, entry, around, found)}
    return found | blank(written.labels)


def _file(
    name: str, key: str, index: int, entry: EnvFile, around: Surroundings, before: Mapping[str, str]
) -> Sequence[Variable]:
    path = around.directory / entry.path
    if entry.required is False and not is_there(path):
        return ()
    text = read_text(path, around.place("services", name, key, index), around.mistakes, f"services.{name}.{key}: ")
    if text is None:
        return ()
    if entry.format == "raw":
        return raw_variables(text, shown(path), around.variables, around.mistakes)
    return dotenv_variables(text, shown(path), around.variables, around.mistakes, before)


def _check(where: str, variable: Variable, around: Surroundings) -> None:
    if why := _unfit(variable.name, variable.value):
        around.mistakes.add(f"{where}: {why[0]}", variable.place, why[1])


def _unfit(name: str, value: str) -> tuple[str, str] | None:
    """Why no program can be started with a variable, and what to do. An engine tells it only at the start."""
    if not name:
        return "a variable has no name", "write NAME: value"
    if "=" in name:
        return f"a name ends at the first =, and {name!r} has one", "write NAME: value"
    if "\0" in name or "\0" in value:
        return f"{name!r} has a NUL character, with which variables end", f"encode it (base64), or {_AS_A_FILE}"
    if (length := len(f"{name}={value}".encode(errors="replace"))) > _LONGEST:
        return f"{name} is {length:,} bytes long, its name counted, and Linux takes {_LONGEST:,}", _AS_A_FILE
    return None
