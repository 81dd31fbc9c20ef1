"""Where a fleet's releases are kept."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from bayplan.errors import UsageError
from bayplan.images.memory import MemoryRegistry
from bayplan.ports import Release
from bayplan.spec.model import App, Balancer, Fleet, Registry
from bayplan.store import DirectoryReleases, releases_for

RELEASE = Release(1, "shop", App(name="shop").model_dump_json(), "ann", 0.0)


def fleet(registry: Registry | None) -> Fleet:
    return Fleet(
        name="eu",
        private_net=IPv4Network("10.0.0.0/8"),
        hosts={},
        balancer=Balancer(hosts=(), address=""),
        registry=registry,
    )


async def test_its_own_registry_is_all_its_own() -> None:
    registry = MemoryRegistry()
    await releases_for(fleet(Registry(host="h1")), registry).put(RELEASE)
    assert await registry.tags("bayplan/shop") == ("release-1",)


async def test_one_that_was_there_before_may_be_other_fleets_too() -> None:
    registry = MemoryRegistry()
    await releases_for(fleet(Registry(address="registry.example.com")), registry).put(RELEASE)
    assert await registry.tags("bayplan/eu/shop") == ("release-1",)


async def test_without_a_registry_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BAYPLAN_STATE", str(tmp_path))
    await releases_for(fleet(None), None).put(RELEASE)
    assert (tmp_path / "eu" / "shop" / "release-1.json").exists()


def test_a_user_without_a_home_is_told_what_to_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As in a container, by a number that no name goes with."""

    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("BAYPLAN_STATE", str(tmp_path))
    assert isinstance(releases_for(fleet(None), None), DirectoryReleases)
    monkeypatch.delenv("BAYPLAN_STATE")
    with pytest.raises(UsageError, match="no home directory"):
        releases_for(fleet(None), None)
