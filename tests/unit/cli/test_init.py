"""`init` on a terminal: what it asks, and what becomes of the answers."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest

from bayplan.spec import load_app, local_fleet

BAYPLAN = [sys.executable, "-m", "bayplan.cli.main"]
PATIENCE = 60.0  # seconds


def typed(directory: Path, *answers: tuple[bytes, str]) -> str:
    """What a terminal shows when each question is answered so."""
    master, slave = pty.openpty()
    process = subprocess.Popen([*BAYPLAN, "init"], cwd=directory, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    said = b""
    try:
        for question, answer in answers:
            said += _until(master, question)
            os.write(master, f"{answer}\n".encode())
        said += _until(master, b"Next:")
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    return said.decode()


def _until(terminal: int, wanted: bytes) -> bytes:
    said = b""
    while wanted not in said:
        assert select.select([terminal], [], [], PATIENCE)[0], said
        said += os.read(terminal, 1024)
    return said


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "My Shop"
    path.mkdir()
    return path


def test_answers_are_written_and_what_is_proposed_is_taken(folder: Path) -> None:
    said = typed(
        folder, (b"Hosts", ""), (b"Name of the app [my-shop]", ""), (b"Image", "caddy:2"), (b"listens on", "8080"),
        (b"clients dial [80]", "8000"),
    )  # fmt: skip
    assert "bayplan up" in said
    assert "looked for" not in said
    assert not (folder / "fleet.yaml").exists()
    app = load_app([folder / "compose.yaml"], project=None, environment={}, fleet=local_fleet({}))
    web = app.services["web"]
    assert (app.name, web.image) == ("my-shop", "caddy:2")
    assert [(p.published, p.target) for p in web.ports] == [(8000, 8080)]


def test_a_dockerfile_answers_by_itself(folder: Path) -> None:
    (folder / "Dockerfile").write_text("FROM a\nEXPOSE 3000\n")
    typed(folder, (b"Hosts", ""), (b"Name of the app", "shop"), (b"clients dial [80]", ""))
    text = (folder / "compose.yaml").read_text()
    assert '"80:3000"' in text
    assert "build: ." in text
    assert "name: shop" in text


@pytest.mark.parametrize(
    ("there", "told"),
    [
        ([], ["looked for a Dockerfile here and found none", "your own image into compose.yaml"]),
        (["package.json"], ["looked for a Dockerfile here and found none", "package.json does not say how"]),
        (["package.json", "Dockerfile"], []),
    ],
)
def test_an_image_that_nobody_asked_for_is_told(folder: Path, there: list[str], told: list[str]) -> None:
    for name in there:
        (folder / name).touch()
    done = subprocess.run([*BAYPLAN, "init", "-y"], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    said = " ".join(done.stdout.split())
    assert all(words in said for words in told)
    assert ("looked for" in said) == bool(told)


@pytest.mark.parametrize(
    ("here", "named", "told"),
    [
        (False, "", "No fleet.yaml: this machine's own Docker is used"),
        (False, "lab.yaml", "The fleet is lab.yaml."),
        (True, "lab.yaml", "the fleet is lab.yaml, by BAYPLAN_FLEET, and not the fleet.yaml here"),
        (True, "fleet.yaml", ""),
        (True, "", ""),
    ],
)
def test_which_fleet_the_next_command_goes_to_is_told(folder: Path, here: bool, named: str, told: str) -> None:
    """The README has its reader export BAYPLAN_FLEET for the lab, and write a fleet.yaml a page further down."""
    if here:
        (folder / "fleet.yaml").touch()
    for _ in range(2):  # a compose.yaml is written, and is there
        done = subprocess.run([*BAYPLAN, "init", "-y"], cwd=folder, capture_output=True, text=True, timeout=60, check=True,
                              env={**os.environ, "BAYPLAN_FLEET": named})  # fmt: skip
        said = " ".join(done.stdout.split())
        assert ("leet is" in said or "No fleet" in said or "Without a fleet" in said) == bool(told)
        assert told in said or "Without a fleet.yaml this machine's Docker runs it" in said


def test_editors_find_the_schema_that_the_first_line_names(folder: Path) -> None:
    done = subprocess.run([*BAYPLAN, "init", "-y"], cwd=folder, capture_output=True, text=True, timeout=60, check=True)
    first = (folder / "compose.yaml").read_text().splitlines()[0]
    assert (folder / first.partition("$schema=")[2]).is_file()
    assert "wrote compose.yaml" in done.stdout
    again = subprocess.run([*BAYPLAN, "init"], cwd=folder, capture_output=True, text=True, timeout=60, check=True,
                           stdin=subprocess.DEVNULL)  # fmt: skip
    assert "stays as it is" in again.stdout
