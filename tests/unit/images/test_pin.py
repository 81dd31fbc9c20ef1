"""What is built, fetched and pushed, and what is not; on a scripted engine and a registry in memory.

The same on real engines is in tests/lab/test_images.py.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import pytest

from bayplan.errors import HostUnreachableError, ImageError, RegistryError
from bayplan.image_config import ImageConfig
from bayplan.images.memory import MemoryRegistry
from bayplan.images.pin import AT_ONCE, described, known_pins, prepare
from bayplan.ports import BuildRequest, Credentials, Engine, OnTransfer, Transfer
from bayplan.spec.model import App, Build, Healthcheck, Service
from bayplan.spec.storage import Grant, Secret

PUBLIC = {"postgres:16": "pg-16.1", "nginx:1": "nginx-1.0", "localhost:5000/other/x:1": "x"}


@dataclass
class ScriptedEngine:
    """An engine's image store, without layers: an image is its content. did: what was asked of it."""

    registry: MemoryRegistry | None = None
    host: str = "h1"
    here: dict[str, str] = field(default_factory=dict)
    did: list[str] = field(default_factory=list)
    asked: list[BuildRequest] = field(default_factory=list)
    logins: list[Credentials | None] = field(default_factory=list)
    fails: dict[str, Exception] = field(default_factory=dict)
    busy: int = 0
    busiest: int = 0
    full: int = 0  # builds wait for each other until there were so many
    is_full: asyncio.Event = field(default_factory=asyncio.Event)

    async def image_id(self, image: str) -> str | None:
        return f"sha256:{self.here[image]}" if image in self.here else None

    async def build(self, request: BuildRequest, on: OnTransfer) -> str:
        self.busy += 1
        self.busiest = max(self.busy, self.busiest)
        if self.busy == self.full:
            self.is_full.set()
        if self.full:
            await asyncio.wait_for(self.is_full.wait(), 30)
        self.busy -= 1
        self.asked.append(request)
        self._do("build", request.tag)
        on(Transfer(status="build", text="Step 1/1 : FROM scratch"))
        self.here[request.tag] = f"built-{request.tag.rpartition(':')[2]}"
        return "sha256:x"

    async def pull(self, image: str, on: OnTransfer, credentials: Credentials | None = None) -> None:
        del on
        self.logins.append(credentials)
        self._do("pull", image)
        if image not in PUBLIC:
            raise ImageError(f"there is no image {image}", where=self.host, todo="check its name")
        self.here[image] = PUBLIC[image]

    async def tag(self, image: str, name: str) -> None:
        self.here[name] = self.here[image]

    async def push(self, image: str, on: OnTransfer, credentials: Credentials | None = None) -> str:
        del on
        self.logins.append(credentials)
        self._do("push", image)
        assert self.registry
        return self.registry.receive(image, self.here[image])

    def _do(self, what: str, image: str) -> None:
        self.did.append(f"{what} {image}")
        if what in self.fails:
            raise self.fails[what]


@dataclass
class Fleet:
    """A registry, an engine, and what was told."""

    registry: MemoryRegistry | None
    engine: ScriptedEngine
    told: list[tuple[str, Transfer]] = field(default_factory=list)

    async def prepare(self, app: App, **how: object) -> dict[str, str]:
        self.engine.did.clear()
        on = lambda service, transfer: self.told.append((service, transfer))  # noqa: E731
        found = await prepare(app, cast("Engine", self.engine), self.registry, on, **how)  # type: ignore[arg-type]
        assert all(s.build is None for s in found.services.values() if s.image.count(":") > 1)
        return {name: s.image for name, s in found.services.items()}

    def did(self, what: str) -> list[str]:
        return [d.removeprefix(f"{what} ") for d in self.engine.did if d.startswith(f"{what} ")]


@pytest.fixture
def fleet() -> Fleet:
    registry = MemoryRegistry()
    return Fleet(registry, ScriptedEngine(registry))


@pytest.fixture
def local() -> Fleet:
    return Fleet(None, ScriptedEngine())


@pytest.fixture
def context(tmp_path: Path) -> Path:
    (tmp_path / "Dockerfile").write_text("FROM scratch\n")
    return tmp_path


def app(**services: str | Path | Service) -> App:
    """name=image, name=context, or the service itself."""
    made = {
        name: what
        if isinstance(what, Service)
        else Service(name=name, image=what)
        if isinstance(what, str)
        else Service(name=name, build=Build(context=str(what)))
        for name, what in services.items()
    }
    return App(name="shop", services=made)


async def test_a_build_is_pushed_and_pinned_by_digest(fleet: Fleet, context: Path) -> None:
    pins = await fleet.prepare(app(web=context))
    assert pins["web"].startswith("localhost:5000/shop/web@sha256:")
    assert len(fleet.did("build")) == len(fleet.did("push")) == 1
    assert fleet.told[-1] == ("web", Transfer(status="pinned", text=pins["web"]))


async def test_a_build_has_the_values_of_its_secrets_and_more_names(fleet: Fleet, context: Path) -> None:
    granted = (Grant(source="npm", target="token"),)
    build = Build(context=str(context), secrets=granted, ssh=("default",), platforms=("linux/amd64",), tags=("mine:1",))
    secrets = {
        "npm": Secret(name="shop_npm", environment="NPM"),
        "other": Secret(name="shop_other", environment="OTHER"),
    }
    whole = App(name="shop", services={"web": Service(name="web", build=build)}, secrets=secrets)
    with pytest.raises(ImageError, match="needs the secret npm, and its value is not known here"):
        await fleet.prepare(whole)
    assert not fleet.engine.did
    pins = await fleet.prepare(whole, secrets={"npm": b"t0ken", "other": b"0ther"})
    asked = fleet.engine.asked[-1]
    assert (asked.secrets, asked.ssh, asked.platform) == ({"token": b"t0ken"}, ("default",), "linux/amd64")
    assert "mine:1" in fleet.engine.here
    assert await fleet.prepare(whole) == pins  # nothing is built: no value is asked for


async def test_what_only_a_build_has_is_not_the_releases(fleet: Fleet, context: Path) -> None:
    build = Build(context=str(context), secrets=(Grant(source="npm", target="npm"),))
    web = Service(name="web", build=build, secrets=(Grant(source="key", target="/run/secrets/key"),))
    whole = App(name="shop", services={"web": web}, secrets={n: Secret(name=n, environment=n) for n in ("npm", "key")})
    values = {"npm": b"x", "key": b"y"}
    pinned = await prepare(whole, cast("Engine", fleet.engine), fleet.registry, lambda *_: None, secrets=values)
    assert set(pinned.secrets) == {"key"}


async def test_again_nothing_is_done(fleet: Fleet, context: Path) -> None:
    whole = app(web=context, db="postgres:16")
    before = await fleet.prepare(whole)
    assert await fleet.prepare(whole) == before
    assert fleet.engine.did == []


async def test_other_content_is_another_image(fleet: Fleet, context: Path) -> None:
    before = await fleet.prepare(app(web=context))
    (context / "index.html").write_text("new")
    after = await fleet.prepare(app(web=context))
    assert after != before
    (context / "index.html").unlink()
    assert await fleet.prepare(app(web=context)) == before
    assert fleet.engine.did == []


async def test_a_forced_build_is_built_and_if_it_is_the_same_pinned_the_same(fleet: Fleet, context: Path) -> None:
    before = await fleet.prepare(app(web=context))
    assert await fleet.prepare(app(web=context), force_build=True) == before
    assert len(fleet.did("build")) == 1


async def test_services_that_share_a_build_share_the_work_and_keep_their_own_names(fleet: Fleet, context: Path) -> None:
    pins = await fleet.prepare(app(web=context, worker=context))
    assert len(fleet.did("build")) == 1
    assert {p.partition("@")[0] for p in pins.values()} == {"localhost:5000/shop/web", "localhost:5000/shop/worker"}
    assert {s for s, t in fleet.told if t.status == "pinned"} == {"web", "worker"}


async def test_an_image_is_copied_once_for_all_its_services(fleet: Fleet) -> None:
    pins = await fleet.prepare(app(a="postgres:16", b="postgres:16"))
    assert pins["a"] == pins["b"]
    assert pins["a"].startswith("localhost:5000/shop/library/postgres@sha256:")
    assert (len(fleet.did("pull")), len(fleet.did("push"))) == (1, 1)


async def test_a_tag_that_moves_stays_what_it_was_until_it_is_pulled(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = await fleet.prepare(app(db="postgres:16"))
    monkeypatch.setitem(PUBLIC, "postgres:16", "pg-16.2")
    assert await fleet.prepare(app(db="postgres:16")) == before
    after = await fleet.prepare(app(db="postgres:16"), pull=True)
    assert after != before
    assert await fleet.prepare(app(db="postgres:16")) == after


async def test_a_service_may_ask_for_it_each_time(fleet: Fleet, context: Path) -> None:
    build = Service(name="web", build=Build(context=str(context)), pull_policy="build")
    image = Service(name="db", image="postgres:16", pull_policy="always")
    other = Service(name="lb", image="nginx:1", pull_policy="missing")
    asked = app(web=build, db=image, lb=other)
    await fleet.prepare(asked)
    await fleet.prepare(asked)
    assert sorted(did.split()[0] for did in fleet.engine.did) == ["build", "pull", "push", "push"]
    assert "pull postgres:16" in fleet.engine.did


async def test_what_the_builder_has_is_not_fetched(fleet: Fleet) -> None:
    fleet.engine.here["mine:1"] = "made by hand"
    await fleet.prepare(app(web="mine:1"))
    assert fleet.did("pull") == []
    assert fleet.did("push") == ["localhost:5000/shop/library/mine:1"]


async def test_an_image_of_the_fleets_registry_is_pinned_where_it_is(fleet: Fleet) -> None:
    assert fleet.registry
    digest = fleet.registry.receive("localhost:5000/tools/x:1", "x")
    pins = await fleet.prepare(app(a="localhost:5000/tools/x:1", b=f"localhost:5000/tools/x@{digest}"))
    assert set(pins.values()) == {f"localhost:5000/tools/x@{digest}"}
    assert fleet.engine.did == []


async def test_one_that_is_not_there_is_named_with_its_service(fleet: Fleet) -> None:
    with pytest.raises(ImageError, match="no image localhost:5000/tools/x:1 in the fleet's registry") as told:
        await fleet.prepare(app(web="localhost:5000/tools/x:1"))
    assert told.value.where == "service web"


async def test_an_image_that_does_not_exist_is_named_with_its_service(fleet: Fleet) -> None:
    with pytest.raises(ImageError, match="there is no image nosuch:1") as told:
        await fleet.prepare(app(web="nosuch:1"))
    assert (told.value.where, told.value.todo) == ("service web", "check its name")


@pytest.mark.parametrize("image", ["Nginx", "a b", "nginx@sha256:1"])
async def test_a_name_that_is_none_is_told_before_anything_is_done(image: str, fleet: Fleet, context: Path) -> None:
    with pytest.raises(ImageError, match="is not") as told:
        await fleet.prepare(app(web=image, other=context))
    assert told.value.where == "service web"
    assert fleet.engine.did == []


async def test_every_failure_is_told(fleet: Fleet, context: Path) -> None:
    fleet.engine.fails["build"] = ImageError("the build failed:\n  | RUN false")
    with pytest.raises(ImageError) as told:
        await fleet.prepare(app(web=context, db="nosuch:1"))
    assert "service web: the build failed:\n  | RUN false" in str(told.value)
    assert "service db: there is no image nosuch:1" in str(told.value)


async def test_a_host_that_is_gone_stays_what_it_is(fleet: Fleet, context: Path) -> None:
    fleet.engine.fails["build"] = HostUnreachableError("h1 does not answer")
    with pytest.raises(HostUnreachableError):
        await fleet.prepare(app(web=context))


async def test_a_registry_that_is_down_is_told_once(
    fleet: Fleet, context: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*_: object) -> None:
        raise RegistryError("the registry does not answer", where="h1")

    monkeypatch.setattr(fleet.registry, "digest", down)
    with pytest.raises(RegistryError, match="does not answer"):
        await fleet.prepare(app(web=context, db="postgres:16"))
    assert fleet.engine.did == []


async def test_only_the_services_that_are_asked_for(fleet: Fleet, context: Path) -> None:
    whole = app(web=context, db="localhost:5000/shop/library/postgres@sha256:" + "0" * 64)
    pins = await fleet.prepare(whole, only=frozenset({"web"}))
    assert pins["db"].endswith("0" * 64)
    assert len(fleet.did("build")) == 1


async def test_the_fleets_login_goes_to_its_own_server_only(fleet: Fleet) -> None:
    assert fleet.registry
    login = fleet.registry.login = Credentials("localhost:5000", "ann", "secret")
    fleet.registry.prefix = "localhost:5000/shop"
    await fleet.prepare(app(a="postgres:16"))
    assert fleet.engine.logins == [None, login]
    fleet.engine.logins.clear()
    await fleet.prepare(app(b="localhost:5000/other/x:1"))
    assert fleet.engine.logins == [login, login]


async def test_few_builds_at_once(fleet: Fleet, tmp_path: Path) -> None:
    contexts = {}
    for number in range(8):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "Dockerfile").write_text(f"FROM scratch\nLABEL a={number}\n")
        contexts[f"s{number}"] = tmp_path / str(number)
    fleet.engine.full = AT_ONCE
    await fleet.prepare(app(**contexts))
    assert len(fleet.did("build")) == 8
    assert fleet.engine.busiest == AT_ONCE


async def test_without_a_registry_images_stay_and_are_pinned_by_id(local: Fleet, context: Path) -> None:
    pins = await local.prepare(app(web=context, db="postgres:16"))
    assert pins == {"web": f"sha256:{local.engine.here[local.did('build')[0]]}", "db": "sha256:pg-16.1"}
    assert local.did("build")[0].startswith("bayplan/shop/web:c-")
    assert await local.prepare(app(web=context, db="postgres:16")) == pins
    assert local.engine.did == []


async def test_what_images_say_of_themselves_is_asked_once(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    check = Healthcheck(test=("CMD", "true"), interval=300)
    configs = {"shop/a": ImageConfig((80,), check, ("x86_64",)), "shop/b": ImageConfig()}
    asked: list[str] = []

    async def config(repository: str, _tag: str) -> ImageConfig:
        asked.append(repository)
        return configs[repository]

    monkeypatch.setattr(fleet.registry, "image_config", config)
    pinned, engine = app(a="localhost:5000/shop/a@sha256:1", b="localhost:5000/shop/b@sha256:2"), cast("Engine", None)
    told = await described(pinned, None, engine, fleet.registry)
    assert [(s.listens, s.image_healthcheck, s.image_architectures) for s in told.services.values()] == [
        ((80,), check, ("x86_64",)),
        ((), Healthcheck(test=("NONE",)), ()),
    ]
    assert await described(pinned, told, engine, fleet.registry) == told
    assert asked == ["shop/a", "shop/b"]
    await described(pinned, pinned, engine, fleet.registry)  # a release that does not tell
    assert asked == ["shop/a", "shop/b"] * 2


async def test_known_pins_makes_nothing_and_tells_what_would_be_made(fleet: Fleet, context: Path) -> None:
    engine = cast("Engine", fleet.engine)
    found, making = await known_pins(app(web=context, db="postgres:16"), engine, fleet.registry)
    assert making == ("web", "db")
    assert found.services["web"].image.startswith("localhost:5000/shop/web:c-")
    assert fleet.engine.did == []
    pins = await fleet.prepare(app(web=context, db="postgres:16"))
    found, making = await known_pins(app(web=context, db="postgres:16"), engine, fleet.registry)
    assert {n: s.image for n, s in found.services.items()} == pins
    assert making == ()


async def test_known_pins_asks_no_registry_that_is_not_there_yet(fleet: Fleet, context: Path) -> None:
    await fleet.prepare(app(web=context))
    found, making = await known_pins(app(web=context), cast("Engine", fleet.engine), fleet.registry, is_empty=True)
    assert making == ("web",)
    assert found.services["web"].image.startswith("localhost:5000/shop/web:c-")
