"""Shell completion, as each shell asks for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMPOSE = "services: {web: {image: a}, worker: {image: a}, db: {image: a}}\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "compose.yaml").write_text(COMPOSE)
    return tmp_path


def ask(project: Path, **environment: str) -> str:
    run = [sys.executable, "-c", "from bayplan.cli.main import app; app(prog_name='bayplan')"]
    done = subprocess.run(
        run, cwd=project, env={**os.environ, **environment}, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.stderr == ""
    return done.stdout


def in_bash(project: Path, *words: str) -> list[str]:
    asked = {"COMP_WORDS": " ".join(words), "COMP_CWORD": str(len(words) - 1)}
    return ask(project, _BAYPLAN_COMPLETE="complete_bash", **asked).split()


@pytest.mark.parametrize("verb", ["logs", "stats", "exec"])
def test_services_are_those_of_the_compose_file(project: Path, verb: str) -> None:
    assert in_bash(project, "bayplan", verb, "w") == ["web", "worker"]


def test_what_is_named_already_is_not_offered_again(project: Path) -> None:
    assert in_bash(project, "bayplan", "logs", "web", "w") == ["worker"]


def test_verbs_are_offered(project: Path) -> None:
    assert in_bash(project, "bayplan", "bal") == ["balancer"]


def test_zsh_and_fish(project: Path) -> None:
    zsh = ask(project, _BAYPLAN_COMPLETE="complete_zsh", _TYPER_COMPLETE_ARGS="bayplan logs d")
    fish = ask(
        project, _BAYPLAN_COMPLETE="complete_fish", _TYPER_COMPLETE_ARGS="bayplan logs d",
        _TYPER_COMPLETE_FISH_ACTION="get-args",
    )  # fmt: skip
    assert '"db"' in zsh
    assert fish.split() == ["db"]


@pytest.mark.parametrize("text", ["services: [web", "- 1\n", "services: {web: !!x}", ""])
def test_a_file_that_is_wrong_is_met_with_silence(tmp_path: Path, text: str) -> None:
    (tmp_path / "compose.yaml").write_text(text)
    assert in_bash(tmp_path, "bayplan", "logs", "d") == []


def test_no_file_is_met_with_silence(tmp_path: Path) -> None:
    assert in_bash(tmp_path, "bayplan", "logs", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_can_install_it(tmp_path: Path, shell: str) -> None:
    run = [sys.executable, "-c", "from bayplan.cli.main import app; app(prog_name='bayplan')"]
    environment = {**os.environ, "HOME": str(tmp_path), "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [*run, "--install-completion", shell], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert any("bayplan" in p.read_text() for p in tmp_path.rglob("*") if p.is_file())


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (("scale", "w"), ["web=", "worker="]),
        (("explain", "d"), ["db"]),
        (("image", "push", "d"), ["db"]),
        (("up", "--assume-down", "h"), ["h1", "h2"]),
        (("run", "--host", "h"), ["h1", "h2"]),
        (("volume", "move", "d"), ["data"]),
        (("volume", "move", "data", "--to", ""), ["h1", "h2"]),
    ],
)
def test_each_name_that_the_files_hold_is_offered(project: Path, words: tuple[str, ...], offered: list[str]) -> None:
    (project / "compose.yaml").write_text(COMPOSE + "volumes: {data: {}}\n")
    hosts = "{h1: ssh://a@10.0.0.1, h2: ssh://a@10.0.0.2}"
    (project / "fleet.yaml").write_text(f"{{name: f, private_net: 10.0.0.0/24, hosts: {hosts}}}\n")
    assert in_bash(project, "bayplan", *words) == offered
