"""What comes from files of variables: `env_file` under `environment`, `label_file` under `labels`."""

from __future__ import annotations

from bayplan.spec.dotenv import read_dotenv, read_raw
from bayplan.spec.reading import read_text, shown
from bayplan.spec.resolve.around import Surroundings, blank, known
from bayplan.spec.written.service import EnvFile, ServiceFile


def environment(name: str, written: ServiceFile, around: Surroundings) -> dict[str, str]:
    """`env_file` in its order, `environment` over it."""
    found: dict[str, str] = {}
    for index, entry in enumerate(written.env_file or ()):
        found |= _file(name, "env_file", index, entry, around)
    return found | known(written.environment, around.variables)


def labels(name: str, written: ServiceFile, around: Surroundings) -> dict[str, str]:
    """`label_file` in its order, `labels` over it."""
    found: dict[str, str] = {}
    for index, path in enumerate(written.label_file or ()):
        found |= _file(name, "label_file", index, EnvFile(path=path), around)
    return found | blank(written.labels)


def _file(name: str, key: str, index: int, entry: EnvFile, around: Surroundings) -> dict[str, str]:
    path = around.directory / entry.path
    if entry.required is False and not path.exists():
        return {}
    text = read_text(path, around.place("services", name, key, index), around.mistakes, f"services.{name}.{key}: ")
    if text is None:
        return {}
    if entry.format == "raw":
        return read_raw(text, shown(path), around.mistakes)
    return read_dotenv(text, shown(path), around.variables, around.mistakes)
