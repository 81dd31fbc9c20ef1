"""A folder to stand in, and files written into it as tests need them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from bayplan.errors import SpecError
from bayplan.spec import load_app, load_fleet, local_fleet
from bayplan.spec.model import App, Fleet, Service


class Folder:
    """The folder that a user runs bayplan in."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environment: dict[str, str] = {}

    def write(self, name: str, text: str | bytes) -> Path:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    def app(self, text: str | None = None, *more: str, project: str | None = None, fleet: Fleet | None = None) -> App:
        """The app of compose.yaml, with overrides laid over it."""
        files = None
        if text is not None:
            files = [self.write(f"{i}.yaml" if i else "compose.yaml", t) for i, t in enumerate((text, *more))]
        return load_app(files, project=project, environment=self.environment, fleet=fleet or local_fleet({}))

    def web(self, keys: str, *more: str) -> Service:
        """The service `web` with these lines under it; each override's lines are under `web` too."""
        texts = [f"services:\n  web:\n    image: x\n{_indented(keys)}"]
        texts += [f"services:\n  web:\n{_indented(lines)}" for lines in more]
        return self.app(*texts).services["web"]

    def fleet(self, text: str) -> Fleet:
        return load_fleet(self.write("fleet.yaml", text), self.environment)

    def mistakes(self, read: Callable[[], object]) -> list[str]:
        """What is told of files that are wrong: `line: what | what to do`."""
        with pytest.raises(SpecError) as caught:
            read()
        assert caught.value.exit_status == 2
        return [f"{m.line}: {m.what}" + (f" | {m.todo}" if m.todo else "") for m in caught.value.mistakes]


def _indented(lines: str) -> str:
    return "".join(f"    {line}\n" for line in lines.strip("\n").split("\n"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    here = tmp_path / "shop"
    here.mkdir()
    monkeypatch.chdir(here)
    return Folder(here)
