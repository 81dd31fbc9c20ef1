"""A changed recipe is another root, an unchanged one the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bayplan.lab import recipes
from bayplan.lab.recipes import DEBIAN, HOSTS, IMAGES


def test_key_follows_the_recipe(monkeypatch: pytest.MonkeyPatch) -> None:
    root = HOSTS["debian12"]
    assert replace(root).key == root.key
    assert replace(root, packages=(*root.packages, "less")).key != root.key
    assert replace(DEBIAN, config={"Cmd": ["sh"]}).key != DEBIAN.key
    before = root.key
    monkeypatch.setenv("BAYPLAN_DEBIAN_MIRROR", "http://mirror.example/debian")
    assert root.key != before


def test_every_root_has_a_name_of_its_own() -> None:
    names = [root.name for root in (*HOSTS.values(), *(image.root for image in IMAGES))]
    assert len(set(names)) == len(names)


def test_debians_keys_are_trusted_where_apt_trusts_another_system(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    keys = tmp_path / "debian-archive-keyring.gpg"
    monkeypatch.setattr(recipes, "_KEYRINGS", (keys,))
    assert not any(word.startswith("--keyring") for word in DEBIAN.root.command("/target"))
    keys.touch()
    assert f"--keyring={keys}" in DEBIAN.root.command("/target")
