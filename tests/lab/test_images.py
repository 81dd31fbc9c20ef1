"""Images on real hosts: built, pushed to the fleet's registry, pulled by every host from its own loopback."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.given import latest

from bayplan.errors import ImageError, RegistryError
from bayplan.images.login import Login
from bayplan.images.pin import known_pins, prepare
from bayplan.images.registry import HttpRegistry
from bayplan.lab import Lab
from bayplan.operate.bring import ready_hosts
from bayplan.operate.kept_images import list_images
from bayplan.plan.names import system_name
from bayplan.ports import Engine, FleetPorts, Release, Transfer
from bayplan.spec import load_fleet
from bayplan.spec.model import App, Build, Service
from bayplan.wiring import open_fleet

pytestmark = pytest.mark.shares_lab

HTPASSWD = "ann:$2b$05$QdowZXCGzm9DCQIc1SYT9efg2zJ6mLoJgE3kzbROwvk6er8WvBjJ.\n"  # secret
SITE = "FROM debian:bookworm-slim\nCOPY . /site\nRUN ls -A /site > /listing\n"


@pytest.fixture
async def fleet(lab: Lab) -> AsyncIterator[FleetPorts]:
    """Gateways and the registry are up."""
    async with open_fleet(load_fleet(lab.fleet_file, {})) as ports:
        await _ready(ports)
        yield ports


async def _ready(ports: FleetPorts) -> None:
    """As `up` does before anything else; on a busy machine a host may be silent for a moment."""
    async with asyncio.timeout(120):
        while True:
            outcome = await ready_hosts(ports, lambda _event: None)
            if outcome.is_whole:
                return


@pytest.fixture
def context(tmp_path: Path) -> Path:
    made = tmp_path / "context"
    made.mkdir()
    (made / "Dockerfile").write_text(SITE)
    (made / "page").write_text(f"made by {tmp_path.name} at {time.time()}")  # no two tests build the same
    return made


def app(name: str, **services: str | Build) -> App:
    made = {
        n: Service(name=n, image=w) if isinstance(w, str) else Service(name=n, build=w) for n, w in services.items()
    }
    return App(name=name, services=made)


class Told:
    """What was told of each service."""

    def __init__(self) -> None:
        self.events: list[tuple[str, Transfer]] = []
        self.running = asyncio.Event()

    def __call__(self, service: str, transfer: Transfer) -> None:
        self.events.append((service, transfer))
        if "Running in" in transfer.text:
            self.running.set()

    def lines(self, service: str) -> str:
        return "\n".join(t.text for s, t in self.events if s == service)


async def pinned(fleet: FleetPorts, wanted: App, told: Told | None = None, **how: bool) -> dict[str, str]:
    builder = fleet.engines["h1"]
    found = await prepare(wanted, builder, fleet.registry, told or Told(), **how)  # type: ignore[arg-type]
    return {n: s.image for n, s in found.services.items()}


def output(lab: Lab, host: str, image: str, *command: str) -> str:
    done = lab.on(host, ["docker", "run", "--rm", image, *command])
    assert done.returncode == 0, done.stderr
    return done.stdout


async def test_every_host_pulls_what_one_built_from_its_own_loopback(
    fleet: FleetPorts, lab: Lab, context: Path
) -> None:
    told = Told()
    pin = (await pinned(fleet, app("t1", web=Build(context=str(context))), told))["web"]
    assert pin.startswith("localhost:5000/t1/web@sha256:")
    assert "COPY . /site" in told.lines("web")
    layers: list[Transfer] = []
    await asyncio.gather(*(fleet.engines[h].pull(pin, layers.append) for h in ("h2", "h3")))
    assert any(t.layer and t.total for t in layers)
    for host in ("h1", "h2", "h3"):
        assert pin in await fleet.engines[host].images()
    assert output(lab, "h3", pin, "cat", "/site/page") == (context / "page").read_text()


async def test_again_nothing_is_built_or_sent_and_it_is_quick(fleet: FleetPorts, context: Path) -> None:
    wanted = app("t2", web=Build(context=str(context)), base="debian:bookworm-slim")
    first, told = await pinned(fleet, wanted), Told()
    began = time.monotonic()
    assert await pinned(fleet, wanted, told) == first
    assert time.monotonic() - began < 1
    assert told.events == []


async def test_a_build_that_is_forced_and_not_different_is_the_same_pin(fleet: FleetPorts, context: Path) -> None:
    wanted, told = app("t3", web=Build(context=str(context))), Told()
    first = await pinned(fleet, wanted)
    assert await pinned(fleet, wanted, told, force_build=True) == first
    assert "Using cache" in told.lines("web")


async def test_what_the_ignore_file_names_is_not_in_the_image_nor_is_an_inline_dockerfile(
    fleet: FleetPorts, lab: Lab, context: Path
) -> None:
    (context / ".dockerignore").write_text("*.log\n.git\n!keep.log\nDockerfile\n.dockerignore\n")
    for name in ("a.log", "keep.log"):
        (context / name).write_text("x")
    (context / ".git").mkdir()
    (context / "link").symlink_to("page")
    builds = {"file": Build(context=str(context)), "inline": Build(context=str(context), dockerfile_inline=SITE)}
    pins = await pinned(fleet, app("t4", **builds))
    for pin in pins.values():
        assert output(lab, "h1", pin, "cat", "/listing").split() == ["keep.log", "link", "page"]


async def test_arguments_target_and_labels_reach_the_build(fleet: FleetPorts, lab: Lab, context: Path) -> None:
    text = "FROM debian:bookworm-slim AS one\nARG NAME\nRUN echo $NAME > /name\nFROM one AS two\nRUN false\n"
    build = Build(context=str(context), dockerfile_inline=text, args={"NAME": "Ann"}, target="one", labels={"a": "b"})
    pin = (await pinned(fleet, app("t5", web=build)))["web"]
    assert output(lab, "h1", pin, "cat", "/name") == "Ann\n"
    shown = lab.on("h1", ["docker", "inspect", "-f", "{{.Config.Labels.a}}", pin]).stdout
    assert shown == "b\n"


async def test_a_dockerfile_that_fails_is_told_with_its_output_and_its_step(fleet: FleetPorts, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM debian:bookworm-slim\nRUN echo before; echo the cause >&2; exit 7\n")
    with pytest.raises(ImageError) as told:
        await pinned(fleet, app("t6", web=Build(context=str(context))))
    assert told.value.where == "service web"
    assert "RUN echo before; echo the cause" in str(told.value)
    assert "the cause\n" in str(told.value)
    assert "7" in told.value.what
    assert fleet.registry
    assert await fleet.registry.tags("t6/web") == ()


async def test_a_file_that_copy_does_not_find(fleet: FleetPorts, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM debian:bookworm-slim\nCOPY nosuch /\n")
    with pytest.raises(ImageError, match="nosuch"):
        await pinned(fleet, app("t7", web=Build(context=str(context))))


async def test_an_image_that_does_not_exist(fleet: FleetPorts) -> None:
    with pytest.raises(ImageError) as told:
        await pinned(fleet, app("t8", web="nosuch.invalid/never/was:1"))
    assert told.value.where == "service web"
    assert "nosuch.invalid/never/was:1" in told.value.what


async def test_a_tag_that_does_not_exist(fleet: FleetPorts) -> None:
    with pytest.raises(ImageError, match=r"debian:no-such-tag") as told:
        await pinned(fleet, app("t9", web="debian:no-such-tag"))
    assert told.value.where == "service web"


async def test_a_cancelled_build_leaves_nothing_that_is_in_the_way(fleet: FleetPorts, context: Path) -> None:
    (context / "Dockerfile").write_text("FROM debian:bookworm-slim\nCOPY page /\nRUN sleep ${SLEEP:-60}\n")
    wanted, told = app("t10", web=Build(context=str(context))), Told()
    work = asyncio.create_task(pinned(fleet, wanted, told))
    async with asyncio.timeout(30):
        await told.running.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert fleet.registry
    assert await fleet.registry.tags("t10/web") == ()
    (context / "Dockerfile").write_text("FROM debian:bookworm-slim\nCOPY page /\nRUN true\n")
    assert "@sha256:" in (await pinned(fleet, wanted))["web"]


async def test_known_pins_says_what_would_be_built(fleet: FleetPorts, context: Path) -> None:
    wanted = app("t11", web=Build(context=str(context)))
    before, making = await known_pins(wanted, fleet.engines["h1"], fleet.registry)
    assert (making, ":c-" in before.services["web"].image) == (("web",), True)
    pins = await pinned(fleet, wanted)
    after, making = await known_pins(wanted, fleet.engines["h1"], fleet.registry)
    assert (making, after.services["web"].image) == ((), pins["web"])


async def test_the_list_says_which_hosts_have_an_image(fleet: FleetPorts, context: Path) -> None:
    pin = (await pinned(fleet, app("t12", web=Build(context=str(context)))))["web"]
    await fleet.engines["h3"].pull(pin, lambda _: None)
    found = await list_images(fleet.registry, fleet.engines)
    image = next(i for i in found.images if i.repository == "t12/web")
    assert pin.endswith(image.digest)
    assert (image.hosts, image.size is not None and image.size > 1_000_000) == (("h1", "h3"), True)
    assert not any(i.repository.startswith("bayplan/") for i in found.images)
    assert found.unknown == {}


async def test_the_verbs(fleet: FleetPorts, lab: Lab, context: Path) -> None:
    """`image push` starts nothing, again does nothing; `image ls` shows what it pushed."""
    assert fleet.registry
    (context / "compose.yaml").write_text("name: t17\nservices:\n  web: {build: .}\n  other: {build: .}\n")
    first = await _bayplan(lab, context, "image", "push", "web", "--json")
    assert [i["service"] for i in first["images"]] == ["web"]
    assert await _bayplan(lab, context, "image", "push", "web", "--json") == first
    assert await fleet.registry.tags("t17/other") == ()
    listed = await _bayplan(lab, context, "image", "ls", "--json")
    ours = [i for i in listed["images"] if i["repository"].startswith("t17/")]
    assert [(i["repository"], i["hosts"]) for i in ours] == [("t17/web", ["h1"])]
    assert first["images"][0]["image"] == f"localhost:5000/t17/web@{ours[0]['digest']}"
    assert not [r for r in (await fleet.engines["h1"].observe(fleet.fleet.name)).replicas if r.app == "t17"]


async def _bayplan(lab: Lab, directory: Path, *argv: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "bayplan.cli.main", *argv, "--fleet", str(lab.fleet_file)]
    process = await asyncio.create_subprocess_exec(*command, cwd=directory, stdout=PIPE, stderr=PIPE)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return dict(json.loads(out))


async def test_releases_are_kept_beside_the_images(fleet: FleetPorts) -> None:
    spec = app("t13", web="x").model_dump_json()
    await fleet.releases.put(Release(1, "t13", spec, "ann", 1.0))
    found = await latest(fleet.releases, "t13")
    assert found == Release(1, "t13", spec, "ann", 1.0)


async def test_a_registry_that_is_down_is_named_and_the_next_run_brings_it_back(
    fleet: FleetPorts, lab: Lab, context: Path
) -> None:
    wanted = app("t14", web=Build(context=str(context)))
    lab.on("h1", ["docker", "stop", "-t", "1", system_name("registry", fleet.fleet.name)])
    with pytest.raises(RegistryError) as told:
        await pinned(fleet, wanted)
    assert told.value.where == "h1"
    await _ready(fleet)
    assert "@sha256:" in (await pinned(fleet, wanted))["web"]


async def test_one_local_engine_needs_no_registry(lab: Lab, fleet: FleetPorts, context: Path) -> None:
    engine: Engine = fleet.engines["h2"]
    wanted, told = app("t15", web=Build(context=str(context)), base="debian:bookworm-slim"), Told()
    found = await prepare(wanted, engine, None, told)
    pin = found.services["web"].image
    assert pin.startswith("sha256:")
    assert output(lab, "h2", pin, "cat", "/site/page") == (context / "page").read_text()
    told.events.clear()
    assert await prepare(wanted, engine, None, told) == found
    assert told.events == []
    listed = await list_images(None, {"h2": engine})
    assert [(i.repository, i.digest) for i in listed.images if "t15" in i.repository] == [("bayplan/t15/web", pin)]


# -- a registry that was there before ---------------------------------------------------------------------------------


@pytest.fixture
def existing(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A registry with TLS of an authority of its own and a password, on h3; its prefix."""
    address = f"{lab.hosts[2].private_ip}:5443"
    files = lab.root("h3") / "srv" / "existing"
    files.mkdir(parents=True)
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", files / "key.pem", "-out", files / "cert.pem",
         "-subj", "/CN=existing", "-addext", f"subjectAltName=IP:{lab.hosts[2].private_ip}", "-days", "2"],
        check=True, capture_output=True,
    )  # fmt: skip
    (files / "htpasswd").write_text(HTPASSWD)
    (files / "config.yml").write_text(
        "version: 0.1\nstorage: {filesystem: {rootdirectory: /var/lib/registry}}\n"
        "http: {addr: ':5443', tls: {certificate: /existing/cert.pem, key: /existing/key.pem}}\n"
        "auth: {htpasswd: {realm: there, path: /existing/htpasswd}}\n"
    )
    certificate = (files / "cert.pem").read_bytes()
    for trusted in (*(lab.root(h.name) / "etc/docker/certs.d" for h in lab.hosts), tmp_path):
        (trusted / address).mkdir(parents=True)
        (trusted / address / "ca.crt").write_bytes(certificate)
    monkeypatch.setattr("bayplan.images.way._CERTIFICATES", tmp_path)
    run = ["docker", "run", "-d", "--name", "existing", "--network", "host", "-v", "/srv/existing:/existing"]
    lab.on("h3", [*run, "registry:2", "serve", "/existing/config.yml"])
    yield f"{address}/team"
    lab.on("h3", ["docker", "rm", "-fv", "existing"])


async def test_an_existing_registry_with_a_password(lab: Lab, fleet: FleetPorts, context: Path, existing: str) -> None:
    registry = HttpRegistry(existing, login=Login(existing.partition("/")[0], "ann", "echo secret"))
    await _answers(registry)
    wanted = app("t16", web=Build(context=str(context)))
    found = await prepare(wanted, fleet.engines["h1"], registry, Told())
    pin = found.services["web"].image
    assert pin.startswith(f"{existing}/t16/web@sha256:")
    with pytest.raises(ImageError, match=r"cannot be pulled|no image"):
        await fleet.engines["h2"].pull(pin, lambda _: None)
    await fleet.engines["h2"].pull(pin, lambda _: None, registry.login)
    assert output(lab, "h2", pin, "cat", "/site/page") == (context / "page").read_text()
    wrong = HttpRegistry(existing, login=Login(existing.partition("/")[0], "ann", "echo hunter2"))
    with pytest.raises(RegistryError, match="does not let us in") as told:
        await prepare(wanted, fleet.engines["h1"], wrong, Told())
    assert "hunter2" not in str(told.value)
    await registry.close()
    await wrong.close()


async def _answers(registry: HttpRegistry) -> None:
    async with asyncio.timeout(20):
        while True:
            try:
                return await registry.ping()
            except RegistryError:
                await asyncio.sleep(0.05)
