"""The files of names, as the gateway's shell lays them down."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from bayplan.gateways.naming import argv
from bayplan.routing import Names

LOCAL = "127.0.0.1 localhost\n"
WEB = Names("shop", "web", f"{LOCAL}198.18.1.2 db\n")
DB = Names("shop", "db", LOCAL)


class Shell:
    """Lays down names. place: where; programs: those that it has besides its own words."""

    def __init__(self, here: Path) -> None:
        self.place, self.way = here / "names", here / "bin"
        self.place.mkdir()
        self.way.mkdir()
        (self.way / "grep").write_text("#!/bin/sh\nexit 0\n")  # the way to services' addresses is there
        (self.way / "grep").chmod(0o755)

    def lay(self, *names: Names, programs: bool = True) -> None:
        path = f"{self.way}:{os.environ['PATH']}" if programs else str(self.way)
        argv_of = argv(str(self.place), names)
        done = subprocess.run(["/bin/sh", *argv_of[1:]], env={"PATH": path}, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr

    def there(self) -> dict[str, str]:
        found = (path for path in self.place.rglob("*") if path.is_file())
        return {str(path.relative_to(self.place)): path.read_text() for path in found}


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


def test_files_are_written_over_in_place_and_those_of_services_that_are_gone_go(shell: Shell) -> None:
    shell.lay(WEB, DB, Names("old", "web", LOCAL))
    web = (shell.place / "shop/web").stat().st_ino
    shell.lay(Names("shop", "web", LOCAL), DB)
    assert shell.there() == {"shop/web": LOCAL, "shop/db": LOCAL}
    assert (shell.place / "shop/web").stat().st_ino == web
    assert not (shell.place / "old").exists()


def test_what_is_there_as_it_is_to_be_takes_no_process(shell: Shell) -> None:
    """Of sixty apps' files, an app's first `up` changes its own."""
    shell.lay(WEB, DB)
    shell.lay(WEB, DB, programs=False)
    assert shell.there() == {"shop/web": WEB.text, "shop/db": LOCAL}


@pytest.mark.parametrize("text", ["", LOCAL.rstrip("\n"), f"{LOCAL}\n", f"{LOCAL}x\n", f"  {LOCAL}", "x\\\ny\n"])
def test_what_is_there_and_not_as_it_is_to_be_is_written(shell: Shell, text: str) -> None:
    shell.lay(DB)
    (shell.place / "shop/db").write_text(text)
    shell.lay(DB)
    assert shell.there() == {"shop/db": LOCAL}
