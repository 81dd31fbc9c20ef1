"""What every keeper of releases gives: the same suite on a registry, a directory, and a registry in memory."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from tests.given import latest

from bayplan.errors import RegistryError, UnreadableError
from bayplan.images.memory import MemoryRegistry
from bayplan.images.registry import HttpRegistry
from bayplan.images.transport import Answer, Transport
from bayplan.ports import Registry, Release, Releases
from bayplan.spec.model import App, Healthcheck, Port, Service
from bayplan.store import DirectoryReleases, OciReleases
from bayplan.store.document import MEDIA_TYPE, read

MakeRegistry = Callable[..., int]

WEB = Service(
    name="web",
    image="localhost:5000/shop/web@sha256:" + "0" * 64,
    environment={"NAME": "Ünal \U0001f6a2", "QUOTE": '"\n'},
    ports=(Port(target=80, published=80),),
    healthcheck=Healthcheck(test=("CMD", "true"), interval=0.5),
)


def release(number: int, app: str = "shop", **changes: object) -> Release:
    spec = App(name=app, services={"web": WEB.model_copy(update=changes)})
    return Release(number, app, spec.model_dump_json(), "ann@laptop", 1700000000.25, f"why {number}")


@pytest.fixture(scope="session")
def server(make_registry: MakeRegistry) -> int:
    return make_registry()


@pytest.fixture(params=["directory", "registry", "memory"])
async def releases(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Releases]:
    if request.param == "directory":
        yield DirectoryReleases(tmp_path / "not" / "there yet")
        return
    registry = _registry(request, tmp_path.name)
    yield OciReleases(registry)
    await registry.close()


def _registry(request: pytest.FixtureRequest, name: str) -> Registry:
    if request.param == "memory":
        return MemoryRegistry()
    return HttpRegistry(f"localhost:{request.getfixturevalue('server')}/{name.lower().replace('_', '-').strip('-')}")


async def test_nothing_was_ever_released(releases: Releases) -> None:
    assert await latest(releases, "shop") is None
    assert await releases.get("shop", 1) is None
    assert await releases.numbers("shop") == ()


async def test_a_release_comes_back_as_it_was(releases: Releases) -> None:
    await releases.put(release(1))
    assert await releases.get("shop", 1) == release(1)
    assert await latest(releases, "shop") == release(1)


async def test_the_latest_is_the_highest_number_not_the_last_word(releases: Releases) -> None:
    for number in (2, 10, 9):
        await releases.put(release(number))
    assert await releases.numbers("shop") == (2, 9, 10)
    found = await latest(releases, "shop")
    assert found is not None
    assert found.number == 10


async def test_a_release_never_changes(releases: Releases) -> None:
    await releases.put(release(1))
    with pytest.raises(RegistryError, match="there already"):
        await releases.put(release(1, replicas=7))
    assert await releases.get("shop", 1) == release(1)


async def test_an_app_taken_down_is_a_release_of_nothing(releases: Releases) -> None:
    await releases.put(release(1))
    nothing = Release(2, "shop", App(name="shop").model_dump_json(), "ann", 1.0, "down")
    await releases.put(nothing)
    assert await latest(releases, "shop") == nothing


async def test_apps_are_told_apart(releases: Releases) -> None:
    for app in ("shop", "shop2", "a_", "back-end"):
        await releases.put(release(1, app))
    assert await releases.get("a_", 1) == release(1, "a_")
    assert await releases.numbers("shop2") == (1,)


async def test_more_releases_than_a_page(releases: Releases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayplan.images.registry._PAGE", 3)
    for number in range(1, 9):
        await releases.put(release(number))
    assert await releases.numbers("shop") == tuple(range(1, 9))


async def test_a_newer_bayplans_release_is_refused_in_a_registry() -> None:
    registry = MemoryRegistry()
    await registry.put_document("bayplan/shop", "release-1", MEDIA_TYPE, b'{"format": 2, "what": "ever"}')
    with pytest.raises(RegistryError, match="newer bayplan") as told:
        await latest(OciReleases(registry), "shop")
    assert told.value.where == "localhost:5000/bayplan/shop:release-1"
    assert "update bayplan" in told.value.todo


async def test_and_in_a_directory(tmp_path: Path) -> None:
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "release-1.json").write_text('{"format": 2}')
    with pytest.raises(RegistryError, match="newer bayplan"):
        await latest(DirectoryReleases(tmp_path), "shop")


async def test_two_fleets_in_one_registry_do_not_see_each_other() -> None:
    registry = MemoryRegistry()
    await OciReleases(registry, "bayplan/one").put(release(1))
    assert await latest(OciReleases(registry, "bayplan/two"), "shop") is None
    assert await OciReleases(registry, "bayplan/one").numbers("shop") == (1,)


async def test_of_two_that_race_for_a_number_in_a_directory_one_wins(tmp_path: Path) -> None:
    import asyncio

    both = [DirectoryReleases(tmp_path).put(release(1, replicas=n)) for n in range(10)]
    done = await asyncio.gather(*both, return_exceptions=True)
    assert sorted(type(d).__name__ for d in done) == ["NoneType"] + ["RegistryError"] * 9
    assert [p.name for p in (tmp_path / "shop").iterdir()] == ["release-1.json"]


async def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match="cannot be kept") as told:
        await DirectoryReleases(tmp_path / "file").put(release(1))
    assert "BAYPLAN_STATE" in told.value.todo


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": "x"}', b"\xff", b"null", b"[" * 99_999])
def test_what_is_no_release_is_told_apart(content: bytes) -> None:
    with pytest.raises(UnreadableError, match="not a release") as told:
        read(content, "here")
    assert told.value.where == "here"


def test_a_field_that_this_version_does_not_know_is_not_dropped() -> None:
    fields = {"format": 1, "app": "shop", "number": 1, "by": "", "at": 0, "why": "", "spec": {"name": "shop", "new": 1}}
    with pytest.raises(RegistryError, match="does not know"):
        read(json.dumps(fields).encode(), "here")


@pytest.mark.parametrize("wrong", [{"stopped": 3}, {"number": "x"}, {"by": None}, {"app": ["shop"]}, {"at": "today"}])
def test_what_others_wrote_there_is_no_traceback_later_on(wrong: dict[str, object]) -> None:
    fields = {"format": 1, "app": "shop", "number": 1, "by": "", "at": 0, "why": "", "spec": {"name": "shop"}}
    with pytest.raises(RegistryError, match="does not know"):
        read(json.dumps(fields | wrong).encode(), "here")


@pytest.mark.parametrize("layers", ['{"digest": 1}', '["x"]', "[]", "7", '[{"digest": "sha256:ab"}]'])
async def test_a_manifest_that_is_not_ours_is_told(layers: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(_: Transport, __: str, path: str, **___: object) -> Answer:
        return Answer(200, {}, f'{{"layers": {layers}}}'.encode() if "manifests" in path else b"something")

    monkeypatch.setattr(Transport, "send", send)
    with pytest.raises(UnreadableError, match="came damaged"):
        await HttpRegistry("registry.example.com").get_document("bayplan/shop", "release-1")


async def test_what_the_registry_fails_to_read_is_that_and_no_registry_that_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def send(*_: object) -> Answer:
        return Answer(500, {}, b'{"errors": [{"message": "unknown error"}]}')

    monkeypatch.setattr(Transport, "_authorized", send)
    with pytest.raises(UnreadableError, match="500: unknown error"):
        await HttpRegistry("registry.example.com").get_document("bayplan/shop", "release-1")


async def test_a_document_whose_manifest_alone_is_left_is_lost_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    async def send(_: Transport, __: str, path: str, **___: object) -> Answer | None:
        return Answer(200, {}, b'{"layers": [{"digest": "sha256:ab"}]}') if "manifests" in path else None

    monkeypatch.setattr(Transport, "send", send)
    with pytest.raises(UnreadableError, match="in part lost"):
        await HttpRegistry("registry.example.com").get_document("bayplan/shop", "release-1")
