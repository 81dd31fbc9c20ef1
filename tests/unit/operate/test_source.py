"""The commit that files are of."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bayplan.operate.operator import operator
from bayplan.operate.source import source_of
from bayplan.ports import Source


def git(directory: Path, *words: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b"]
    return subprocess.run(["git", *who, *words], cwd=directory, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "compose.yaml").write_text("services: {}")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "first")
    return tmp_path


async def test_a_work_tree_tells_its_commit(tree: Path) -> None:
    assert await source_of(tree / "app") == Source(git(tree, "rev-parse", "HEAD").strip(), dirty=False)


async def test_what_is_not_committed_there_makes_it_dirty(tree: Path) -> None:
    (tree / "elsewhere").write_text("1")
    assert not (await source_of(tree / "app")).dirty
    (tree / "app" / "new").write_text("1")
    assert (await source_of(tree / "app")).dirty


async def test_no_tree_no_commit_and_no_git_are_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert await source_of(None) == await source_of(tmp_path) == Source()
    git(tmp_path, "init", "-q")
    assert await source_of(tmp_path) == Source()
    monkeypatch.setenv("PATH", "")
    assert await source_of(tmp_path) == Source()


def test_in_a_build_the_person_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "BAYPLAN_OPERATOR"):
        monkeypatch.delenv(variable, raising=False)
    assert "@" in operator()
    monkeypatch.setenv("GITLAB_USER_LOGIN", "bob")
    assert operator() == "bob, GitLab CI"
    monkeypatch.setenv("GITHUB_ACTOR", "ann")
    assert operator() == "ann, GitHub Actions"
    monkeypatch.setenv("BAYPLAN_OPERATOR", "release team")
    assert operator() == "release team"
