"""What every engine gives: one suite for Docker 20.10 and 26.1, over SSH, a socket and TLS, and for the one in memory."""

from __future__ import annotations

import asyncio
import io
import tarfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from bayplan import labels
from bayplan.container import Container, File, Mounted
from bayplan.engines import archive
from bayplan.engines.docker import DockerEngine
from bayplan.engines.memory import MemoryEngine
from bayplan.engines.memory_container import Program, Talk
from bayplan.engines.memory_hub import MemoryHub
from bayplan.errors import (
    ConflictError,
    EngineError,
    ImageError,
    NotFoundError,
    PortTakenError,
)
from bayplan.facts import Binding, EngineFacts, Replica, VolumeFacts
from bayplan.hosts import reach_for
from bayplan.lab import Lab
from bayplan.ports import BuildRequest, Engine, ExecResult, Transfer
from bayplan.spec.model import Healthcheck, Host, Ssh, Tls
from bayplan.spec.storage import Mount

IMAGE = "debian:bookworm-slim"
STAYS = ("sleep", "1000")
SAYS = ("sh", "-c", "echo one; sleep 0.2; echo oops >&2; sleep 0.2; echo two; exec sleep 1000")
PARROT = ("sh", "-c", 'while read -r said; do [ "$said" != bye ] || exit 3; echo "<$said"; done; touch /tmp/ended')
EXITS = ("sh", "-c", "echo bye; exit 3")
FEW = 30.0  # seconds for a condition to come true


@dataclass
class Ground:
    """Where the suite runs: how to get at the engine, an address to bind to, a registry to push to."""

    engine: Callable[[], Engine]
    address: str
    registry: str


def _in_memory() -> Ground:
    hub = MemoryHub(IMAGE)
    engine = MemoryEngine("m1", hub, programs=_program)
    return Ground(lambda: engine, "10.0.0.1", "localhost:5000")


def _program(container: Container) -> Program:
    answer = ExecResult(4, b"out\nerr\n")
    match container.command:
        case command if command == SAYS:
            lines = (("stdout", "one"), ("stderr", "oops"), ("stdout", "two"))
            return Program(says=lines, on_exec=lambda _: answer)
        case command if command == EXITS:
            return Program(exits=3, says=(("stdout", "bye"),))
        case _:
            sick = container.healthcheck is not None and "false" in container.healthcheck.test
            return Program(on_exec=lambda _: answer, on_talk=_parrot, healthy_after=None if sick else 2)


def _parrot(argv: Sequence[str]) -> Talk:
    """PARROT's way."""
    assert tuple(argv) == PARROT
    said = b""
    while said != b"bye\n":
        said = yield said and b"<" + said
    return 3


def _over_ssh(lab: Lab) -> Ground:
    member = lab.hosts[0]
    host = Host(name=member.name, address=f"ssh://deploy@{member.private_ip}", private_ip=member.private_ip)
    ssh = Ssh(config_file=str(lab.ssh_config))
    return Ground(lambda: DockerEngine(reach_for(host, ssh)), member.private_ip, _registry(lab))


def _over_a_socket(lab: Lab) -> Ground:
    member = lab.hosts[0]
    host = Host(name=member.name, address=f"unix://{lab.socket(member.name)}", private_ip=member.private_ip)
    return Ground(lambda: DockerEngine(reach_for(host, Ssh())), member.private_ip, _registry(lab))


def _registry(lab: Lab) -> str:
    """One on the host's loopback, as a fleet has it."""
    there = lab.on(lab.hosts[0].name, ["docker", "start", "contract-registry"])
    if there.returncode:
        argv = ["docker", "run", "-d", "--name", "contract-registry", "-p", "127.0.0.1:5055:5000", "registry:2"]
        made = lab.on(lab.hosts[0].name, argv, deadline=120)
        assert made.returncode == 0, made.stderr
    return "localhost:5055"


def _over_tls(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    """A second engine on a host, listening for TLS as Docker's documentation tells people to set it up."""
    member = lab.hosts[-1]
    console = lambda script: lab.on(member.name, ["sh", "-ec", script])  # noqa: E731
    made = console(TLS_ENGINE.format(ip=member.private_ip))
    assert made.returncode == 0, made.stderr
    there, here = lab.root(member.name) / "tls", tmp_path_factory.mktemp("tls")
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (here / name).write_bytes((there / name).read_bytes())
    tls = Tls(ca=str(here / "ca.pem"), cert=str(here / "cert.pem"), key=str(here / "key.pem"))
    host = Host(name="t1", address=f"tcp://{member.private_ip}:2376", private_ip=member.private_ip, tls=tls)
    yield Ground(lambda: DockerEngine(reach_for(host, Ssh())), member.private_ip, "")
    console("kill $(cat /tls/pid); while [ -e /tls/pid ]; do sleep 0.1; done; rm -rf /tls /var/lib/docker/tls")


TLS_ENGINE = """
mkdir -p /tls; cd /tls
new() {{ openssl req -newkey rsa:2048 -nodes -keyout $1-key.pem -subj /CN=$2 -out $1.csr 2>/dev/null; }}
sign() {{ openssl x509 -req -in $1.csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile $2 -out $3; }}
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca-key.pem -subj /CN=ca -days 2 -out ca.pem 2>/dev/null
echo "subjectAltName=IP:{ip}" > server.ext; echo "extendedKeyUsage=clientAuth" > client.ext
new server {ip}; sign server server.ext server.pem 2>/dev/null
new client me; sign client client.ext cert.pem 2>/dev/null; mv client-key.pem key.pem
setsid dockerd --data-root /var/lib/docker/tls --exec-root /run/docker-tls --pidfile /tls/pid --bridge=none \
  --iptables=false --host tcp://{ip}:2376 --tlsverify --tlscacert ca.pem --tlscert server.pem --tlskey server-key.pem \
  > log 2>&1 < /dev/null &
for i in $(seq 300); do grep -qs 'API listen' log && exit 0; sleep 0.1; done; cat log >&2; exit 1
"""


@pytest.fixture(scope="module", params=["memory", "ssh-20.10", "ssh-26.1-containerd", "socket-20.10", "tls-20.10"])
def ground(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ground]:
    match request.param:
        case "memory":
            yield _in_memory()
        case "ssh-20.10":
            yield _over_ssh(request.getfixturevalue("lab"))
        case "ssh-26.1-containerd":
            yield _over_ssh(request.getfixturevalue("containerd"))
        case "socket-20.10":
            yield _over_a_socket(request.getfixturevalue("lab"))
        case _:
            yield from _over_tls(request.getfixturevalue("lab"), tmp_path_factory)


@pytest.fixture
async def engine(ground: Ground) -> AsyncIterator[Engine]:
    engine = ground.engine()
    await engine.pull(IMAGE, lambda _: None)
    yield engine
    await engine.close()


@dataclass
class Kit:
    """Containers of a fleet of this test's own, removed when it ends."""

    fleet: str
    engine: Engine
    address: str
    made: list[str]

    def replica(self, slot: int = 1, **changes: Any) -> Container:
        ports = changes.get("ports", ())
        told = {
            labels.FLEET: self.fleet,
            labels.ROLE: "replica",
            labels.APP: "shop",
            labels.SERVICE: "web",
            labels.SLOT: str(slot),
            labels.RELEASE: "7",
            labels.SPEC: "abc",
            labels.PORTS: ",".join(f"{b.target}={b.address}:{b.port}/{b.protocol}" for b in ports),
            labels.RESERVED: "0.25,1048576",
        }
        plain = Container(
            f"{self.fleet}-web-{slot}-r7", IMAGE, STAYS, labels=told, init=True, stop_grace=1, network="none"
        )
        made = replace(plain, **changes)
        self.made.append(made.name)
        return made

    async def facts(self) -> EngineFacts:
        return await self.engine.observe(self.fleet)

    async def only(self) -> Replica:
        (replica,) = (await self.facts()).replicas
        return replica


@pytest.fixture
async def kit(engine: Engine, ground: Ground) -> AsyncIterator[Kit]:
    kit = Kit(f"f{uuid.uuid4().hex[:6]}", engine, ground.address, [])
    yield kit
    for name in kit.made:
        await engine.remove(name, 0)


async def until(ask: Callable[[], Awaitable[Any]], holds: Callable[[Any], bool], what: str) -> Any:
    deadline = time.monotonic() + FEW
    while not holds(seen := await ask()):
        assert time.monotonic() < deadline, f"{what}: {seen}"
        await asyncio.sleep(0.05)
    return seen


def gone(_: Transfer) -> None:
    """Progress that nobody watches."""


async def test_an_engine_says_what_it_is(kit: Kit) -> None:
    facts = await kit.facts()
    assert facts.cpus >= 1
    assert facts.memory > 1 << 20
    assert tuple(int(n) for n in facts.api.split(".")) >= (1, 41)
    assert (facts.replicas, facts.system, facts.networks) == ((), (), frozenset())


async def test_a_replica_is_told_by_its_labels(kit: Kit, engine: Engine) -> None:
    ports = (Binding(80, 28080, kit.address),)
    made = await engine.run(kit.replica(3, ports=ports))
    seen = await kit.only()
    assert seen.made == 0.0 or abs(seen.made - time.time()) < 60  # the engine in memory has no clock
    assert replace(seen, made=0.0, young=False) == Replica(
        id=made,
        name=f"{kit.fleet}-web-3-r7",
        host=engine.host,
        app="shop",
        service="web",
        slot=3,
        release=7,
        spec="abc",
        state="running",
        image=IMAGE,
        ports=ports,
        cpus=0.25,
        memory=1 << 20,
    )
    assert ("tcp", 28080) not in (await kit.facts()).taken
    assert ("tcp", 28080) in (await engine.observe("another-fleet")).taken


async def test_a_replica_is_young_for_a_second_and_one_that_exits_and_is_restarted_for_ever(
    kit: Kit, engine: Engine
) -> None:
    await engine.run(kit.replica(1, command=STAYS))
    await asyncio.sleep(1.5)
    assert not (await kit.only()).young
    await engine.remove((await kit.only()).name, 0)
    await engine.run(kit.replica(1, command=("false",), restart="always"))
    for _ in range(40):
        seen = await kit.only()
        assert seen.young or seen.state != "running" or isinstance(engine, MemoryEngine)
        await asyncio.sleep(0.05)


async def test_a_system_container_is_told_by_its_role(kit: Kit, engine: Engine) -> None:
    told = {labels.FLEET: kit.fleet, labels.ROLE: "guard", labels.SPEC: "x"}
    made = await engine.run(kit.replica(labels=told))
    (guard,) = (await kit.facts()).system
    assert (guard.id, guard.role, guard.spec, guard.state) == (made, "guard", "x", "running")


@pytest.mark.parametrize(
    "broken", [{labels.SLOT: "one"}, {labels.RESERVED: "1"}, {labels.ROLE: "?"}, {labels.PORTS: "80"}]
)
async def test_broken_labels_make_a_foreign_container(kit: Kit, engine: Engine, broken: dict[str, str]) -> None:
    container = kit.replica()
    await engine.run(replace(container, labels={**container.labels, **broken}))
    facts = await kit.facts()
    assert (facts.replicas, facts.system) == ((), ())


async def test_a_container_takes_another_name_and_goes_on(kit: Kit, engine: Engine) -> None:
    one, two = kit.replica(1), kit.replica(2)
    made = [await engine.run(one), await engine.run(two)]
    with pytest.raises(ConflictError):
        await engine.rename(one.name, two.name)
    await engine.rename(one.name, f"{one.name}.old")
    assert {r.name: r.id for r in (await kit.facts()).replicas} == {f"{one.name}.old": made[0], two.name: made[1]}
    with pytest.raises(NotFoundError):
        await engine.rename(one.name, "another")
    await engine.remove(f"{one.name}.old", 0)


async def test_a_name_is_given_once(kit: Kit, engine: Engine) -> None:
    first = await engine.run(kit.replica())
    with pytest.raises(ConflictError):
        await engine.run(kit.replica())
    assert (await kit.only()).id == first


async def test_a_port_is_given_once_and_nothing_is_left_of_the_second(kit: Kit, engine: Engine, ground: Ground) -> None:
    if not ground.registry:
        pytest.skip("this engine has no bridge, and so no ports")
    ports = (Binding(80, 28081, kit.address),)
    await engine.run(kit.replica(1, ports=ports, network=""))
    with pytest.raises(PortTakenError, match="28081"):
        await engine.run(kit.replica(2, ports=ports, network=""))
    assert (await kit.only()).slot == 1


async def test_an_image_that_is_not_there(kit: Kit, engine: Engine) -> None:
    with pytest.raises(NotFoundError, match="nosuch"):
        await engine.run(kit.replica(image="nosuch:1"))


async def test_a_network_that_is_not_there(kit: Kit, engine: Engine) -> None:
    with pytest.raises(NotFoundError, match="nosuch"):
        await engine.run(kit.replica(network="nosuch"))
    assert (await kit.facts()).replicas == ()


async def test_one_that_exits(kit: Kit, engine: Engine) -> None:
    await engine.run(kit.replica(command=EXITS))
    seen = await until(kit.only, lambda r: r.state == "exited", "it never exited")
    assert seen.exit_code == 3
    assert [line.text async for line in engine.logs(seen.name)] == ["bye"]


async def test_one_that_exits_and_is_to_stay(kit: Kit, engine: Engine) -> None:
    await engine.run(kit.replica(command=EXITS, restart="always"))
    seen = await until(kit.only, lambda r: r.state == "restarting", "it was never restarted")
    assert seen.exit_code == 3


@pytest.mark.parametrize(("test", "end"), [("true", "healthy"), ("false", "unhealthy")])
async def test_health(kit: Kit, engine: Engine, test: str, end: str) -> None:
    check = Healthcheck(test=("CMD", test), interval=0.2, timeout=5, retries=2)
    await engine.run(kit.replica(healthcheck=check))
    assert (await kit.only()).health == "starting"
    seen = await until(kit.only, lambda r: r.health != "starting", "its health is never told")
    assert (seen.health, seen.alive) == (end, end == "healthy")


async def test_without_a_time_of_its_callers_a_stop_takes_the_containers_own(kit: Kit, engine: Engine) -> None:
    """Of a replica whose service is gone from the file nobody else knows it."""
    deaf = kit.replica(command=("sh", "-c", "trap '' TERM; sleep 1000"), init=False, stop_grace=1)
    await engine.run(deaf)
    began = time.monotonic()
    await engine.stop(deaf.name, None)
    assert time.monotonic() - began < 8, "Docker's ten seconds, not its own one"
    await engine.remove(deaf.name, None)
    assert (await kit.facts()).replicas == ()


async def test_stop_and_start(kit: Kit, engine: Engine) -> None:
    name = kit.replica().name
    await engine.run(kit.replica(restart="always"))
    await engine.stop(name, 1)
    await engine.stop(name, 1)
    assert (await kit.only()).state == "exited"
    await engine.start(name)
    await engine.start(name)
    assert (await kit.only()).state == "running"


async def test_what_is_gone(engine: Engine) -> None:
    await engine.stop("nosuch", 1)
    await engine.remove("nosuch", 1)
    await engine.remove_network("nosuch")
    for ask in (engine.start, engine.inspect, engine.usage):
        with pytest.raises(NotFoundError):
            await ask("nosuch")
    with pytest.raises(NotFoundError):
        await engine.exec("nosuch", ["true"])
    with pytest.raises(NotFoundError):
        [line async for line in engine.logs("nosuch")]


async def test_a_removed_name_and_port_are_free(kit: Kit, engine: Engine, ground: Ground) -> None:
    container = kit.replica(ports=(Binding(80, 28082, kit.address),), network="" if ground.registry else "none")
    first = await engine.run(container)
    await engine.remove(first, 0)
    second = await engine.run(container)
    assert (await kit.only()).id == second
    await engine.remove(container.name, 1)
    assert (await kit.facts()).replicas == ()


async def test_two_may_remove_the_same(kit: Kit, engine: Engine) -> None:
    container = kit.replica()
    await engine.run(container)
    await asyncio.gather(*(engine.remove(container.name, 0) for _ in range(3)))
    await engine.run(container)


async def test_logs_tell_the_streams_apart(kit: Kit, engine: Engine) -> None:
    name = kit.replica().name
    await engine.run(kit.replica(command=SAYS))

    async def said() -> list[tuple[str, str]]:
        return [(line.stream, line.text) async for line in engine.logs(name)]

    everything = [("stdout", "one"), ("stderr", "oops"), ("stdout", "two")]
    await until(said, lambda lines: lines == everything, "not what it said")
    assert [line.text async for line in engine.logs(name, tail=2)] == ["oops", "two"]
    assert [line.text async for line in engine.logs(name, tail=0)] == []
    (last,) = [line async for line in engine.logs(name, tail=1)]
    assert last.time.endswith("Z")
    assert [line async for line in engine.logs(name, since="2099-01-01T00:00:00Z")] == []


async def test_exec(kit: Kit, engine: Engine) -> None:
    container = kit.replica()
    await engine.run(container)
    done = await engine.exec(container.name, ["sh", "-c", "echo out; sleep 0.5; echo err >&2; exit 4"])
    assert (done.status, done.output) == (4, b"out\nerr\n")
    await engine.stop(container.name, 0)
    with pytest.raises(EngineError, match="not running"):
        await engine.exec(container.name, ["true"])


async def test_a_command_is_spoken_with(kit: Kit, engine: Engine) -> None:
    await engine.run(container := kit.replica())
    async with asyncio.timeout(FEW):
        stream = await engine.exec_stream(container.name, PARROT)
        for said in (b"one\n", b"two\n"):
            await stream.write(said)
            assert await stream.read() == b"<" + said
        await stream.write(b"bye\n")
        assert await stream.read() == b""
        assert (await stream.ended()).status == 3
        await stream.close()


async def test_one_that_is_spoken_with_ends_as_it_is_closed(kit: Kit, engine: Engine) -> None:
    """It has begun: of 2,568 that were closed before that, an engine (26.1) never began one."""
    await engine.run(container := kit.replica())
    stream = await engine.exec_stream(container.name, PARROT)
    await stream.write(b"one\n")
    assert await stream.read() == b"<one\n"
    await stream.close()
    await stream.close()
    assert await stream.read() == b""
    if not isinstance(engine, MemoryEngine):
        await until(lambda: engine.is_directory(container.name, "/tmp/ended"), lambda seen: seen is False, "its end")


async def test_it_is_heard_when_the_container_ends_of_one_that_is_spoken_with(kit: Kit, engine: Engine) -> None:
    await engine.run(container := kit.replica())
    stream = await engine.exec_stream(container.name, PARROT)
    await stream.write(b"begun\n")
    assert await stream.read() == b"<begun\n"
    reading = asyncio.create_task(stream.read())
    await engine.remove(container.name, 0)
    async with asyncio.timeout(FEW):
        assert await reading == b""
    await stream.close()
    with pytest.raises(NotFoundError):
        await engine.exec_stream(container.name, PARROT)


async def test_files_are_there_before_it_starts(kit: Kit, engine: Engine) -> None:
    container = kit.replica(files=(File("/etc/new/dir/a.conf", b"first\n"), File("/etc/b.conf", b"\0\xff", 0o600)))
    await engine.run(container)
    assert await engine.read_file(container.name, "/etc/new/dir/a.conf") == b"first\n"
    assert await engine.read_file(container.name, "/etc/b.conf") == b"\0\xff"
    await engine.lay(container.name, (File("/etc/new/dir/a.conf", b"second\n"),))
    await engine.stop(container.name, 0)
    assert await engine.read_file(container.name, "/etc/new/dir/a.conf") == b"second\n"
    with pytest.raises(NotFoundError):
        await engine.read_file(container.name, "/etc/nosuch")


async def test_files_laid_into_one_that_runs_have_their_owners(kit: Kit, engine: Engine) -> None:
    made = kit.replica(command=STAYS)
    await engine.run(made)
    await engine.lay(made.name, (File("/new/a", b"one", 0o640, 7, 8), File("/new/b", b"two")))
    assert await engine.read_file(made.name, "/new/a") == b"one"
    assert await engine.read_file(made.name, "/new/b") == b"two"


async def test_a_named_volume_is_made_with_its_container_and_outlives_it(kit: Kit, engine: Engine) -> None:
    name = f"v-{uuid.uuid4().hex[:8]}"
    mount = Mount(kind="volume", target="/data", source="data")
    options = {"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
    made = replace(kit.replica(command=STAYS), mounts=(Mounted(mount, name, "local", options, {"a": "b"}),))
    await engine.run(made)
    try:
        assert (await engine.observe(kit.fleet)).volumes[name] == VolumeFacts("local", options)
        await engine.remove(made.name, 0)
        assert name in (await engine.observe(kit.fleet)).volumes
    finally:
        await engine.remove_volume(name)
    assert name not in (await engine.observe(kit.fleet)).volumes


async def test_what_is_in_a_volume_goes_out_and_in_as_a_stream(kit: Kit, engine: Engine) -> None:
    name = f"v-{uuid.uuid4().hex[:8]}"
    mounted = Mounted(Mount(kind="volume", target="/data", source="data"), name)
    made = replace(kit.replica(command=("true",)), mounts=(mounted,))
    held = await engine.hold(made)
    try:
        await engine.write_tree(made.name, "/data", _one_file("a", b"content"))
        tar = b"".join([chunk async for chunk in engine.read_tree(made.name, "/data")])
        with tarfile.open(fileobj=io.BytesIO(tar)) as found:
            [file] = [m for m in found if m.isfile()]
            assert (file.name.removeprefix("./"), file.size, file.mode & 0o7777) == ("a", 7, 0o640)
        [entry] = [v for v in await engine.volumes() if v.name == name]
        assert entry.used_by == {made.name: False}
        with pytest.raises(EngineError):
            await engine.remove_volume(name)
    finally:
        await held.let_go()
        await engine.remove(made.name, 0)
        await engine.remove_volume(name)


async def test_a_stream_that_is_left_before_its_end_holds_nothing_up(kit: Kit, engine: Engine) -> None:
    """An engine does not remove what somebody still reads from."""
    name = f"v-{uuid.uuid4().hex[:8]}"
    mounted = Mounted(Mount(kind="volume", target="/data", source="data"), name)
    made = replace(kit.replica(), mounts=(mounted,))
    held = await engine.hold(made)
    try:
        await engine.write_tree(made.name, "/data", _one_file("big", bytes(64 << 20)))
        reading = engine.read_tree(made.name, "/data")
        assert await anext(reading)
        await reading.aclose()
        async with asyncio.timeout(FEW):
            await engine.remove(made.name, 0)
    finally:
        await held.let_go()
        await engine.remove(made.name, 0)
        await engine.remove_volume(name)


async def _one_file(name: str, content: bytes) -> AsyncIterator[bytes]:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(name)
        info.size, info.mode = len(content), 0o640
        tar.addfile(info, io.BytesIO(content))
    yield buffer.getvalue()


async def test_one_that_is_frozen_goes_on(kit: Kit, engine: Engine) -> None:
    made = kit.replica(command=STAYS)
    await engine.run(made)
    await engine.pause(made.name)
    assert (await kit.only()).state == "paused"
    await engine.start(made.name)
    assert (await kit.only()).state == "running"


async def test_networks(kit: Kit, engine: Engine, ground: Ground) -> None:
    if not ground.registry:
        pytest.skip("this engine makes no bridges: its host's other engine owns the firewall")
    name, bridge = f"{kit.fleet}-shop", f"bp{kit.fleet}"
    for _ in range(2):
        await engine.ensure_network(name, bridge, {labels.FLEET: kit.fleet})
    try:
        assert (await kit.facts()).networks == {name}
        assert name not in (await engine.observe("another-fleet")).networks
        await engine.run(kit.replica(network=name, aliases=("web",)))
        assert (await kit.only()).state == "running"
        await engine.remove(kit.made[-1], 0)
    finally:
        await engine.remove_network(name)
    assert (await kit.facts()).networks == set()


async def test_a_stopped_one_whose_network_was_made_anew_cannot_be_started(
    kit: Kit, engine: Engine, ground: Ground
) -> None:
    if not ground.registry:
        pytest.skip("this engine makes no bridges: its host's other engine owns the firewall")
    network = (f"{kit.fleet}-shop", f"bp{kit.fleet}", {labels.FLEET: kit.fleet})
    await engine.ensure_network(*network)
    made = kit.replica(network=network[0])
    try:
        await engine.run(made)
        await engine.stop(made.name, 1)
        assert not (await kit.only()).cut
        await engine.remove_network(network[0])
        await engine.ensure_network(*network)
        assert (await kit.only()).cut
        with pytest.raises(NotFoundError, match="network"):
            await engine.start(made.name)
        await engine.remove(made.name, 0)
    finally:
        await engine.remove_network(network[0])


async def test_images_by_all_their_names(kit: Kit, engine: Engine) -> None:
    there = await engine.images()
    name = await engine.image_id(IMAGE)
    assert {IMAGE, name} <= there
    assert any(n.startswith("debian@sha256:") for n in there)
    await engine.tag(IMAGE, f"{kit.fleet}/other:2")
    assert f"{kit.fleet}/other:2" in await engine.images()
    assert await engine.image_id(f"{kit.fleet}/other:2") == name
    assert await engine.image_id("nosuch:1") is None
    with pytest.raises(NotFoundError):
        await engine.tag("nosuch:1", "other:1")


async def test_an_image_that_nobody_has(engine: Engine, ground: Ground) -> None:
    with pytest.raises(ImageError, match="nosuch"):
        await engine.pull(f"{ground.registry or 'localhost:1'}/nosuch:1", gone)


async def test_build_push_and_pull_by_digest(kit: Kit, engine: Engine, ground: Ground) -> None:
    if not ground.registry:
        pytest.skip("this engine has no registry")
    name = f"{ground.registry}/{kit.fleet}/site:1"
    seen: list[Transfer] = []
    image = await engine.build(BuildRequest((_context(f"FROM {IMAGE}\nLABEL of={kit.fleet}\n"),), name), seen.append)
    assert image.startswith("sha256:")
    assert await engine.image_id(name) == image
    digest = await engine.push(name, seen.append)
    assert seen
    by_digest = f"{name.rpartition(':')[0]}@{digest}"
    await engine.pull(by_digest, gone)
    assert by_digest in await engine.images()
    await engine.run(kit.replica(image=by_digest))
    assert (await kit.only()).image == by_digest


async def test_usage(kit: Kit, engine: Engine) -> None:
    container = kit.replica(limit_memory=64 << 20)
    await engine.run(container)
    used = await engine.usage(container.name)
    assert used.cpus >= 0
    assert 0 <= used.memory <= used.memory_limit == 64 << 20
    assert used.processes >= 1


def _context(dockerfile: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("Dockerfile")
        info.size = len(dockerfile)
        tar.addfile(info, io.BytesIO(dockerfile.encode()))
    return buffer.getvalue()


async def test_a_restart_policy_can_be_changed(kit: Kit) -> None:
    name = await kit.engine.run(kit.replica(restart="always"))
    assert (await kit.engine.inspect(name))["HostConfig"]["RestartPolicy"]["Name"] == "always"
    await kit.engine.set_restart(name, "no")
    assert (await kit.engine.inspect(name))["HostConfig"]["RestartPolicy"]["Name"] == "no"
    with pytest.raises(NotFoundError):
        await kit.engine.set_restart("nobody", "no")


async def test_a_command_of_its_own_leaves_its_status_and_nothing_else(kit: Kit) -> None:
    container = kit.replica(command=EXITS)
    assert await kit.engine.attach_run(container, tty=False, stdin=False) == 3
    await kit.engine.until_removed(container.name)
    assert (await kit.facts()).replicas == ()
    with pytest.raises(NotFoundError):
        await kit.engine.attach_run(kit.replica(2, image="nobody/has:this"), tty=False, stdin=False)


async def test_files_are_copied_out_and_in_and_told_from_directories(kit: Kit) -> None:
    name = kit.replica().name
    await kit.engine.run(kit.replica(files=(File("/tmp/a/b/c.txt", b"deep"),)))
    assert await kit.engine.is_directory(name, "/tmp/a/b") is True
    assert await kit.engine.is_directory(name, "/tmp/a/b/c.txt") is False
    assert await kit.engine.is_directory(name, "/tmp/nope") is None
    tar = b"".join([chunk async for chunk in kit.engine.copy_out(name, "/tmp/a")])
    with tarfile.open(fileobj=io.BytesIO(tar)) as content:
        assert [m.name for m in content if m.isfile()] == ["a/b/c.txt"]
    await kit.engine.copy_in(name, "/tmp/a", _stream(archive.pack([File("new.txt", b"n")])))
    assert await kit.engine.read_file(name, "/tmp/a/new.txt") == b"n"
    assert await kit.engine.read_file(name, "/tmp/a/b/c.txt") == b"deep"
    with pytest.raises(NotFoundError):
        await anext(aiter(kit.engine.copy_out(name, "/tmp/nope")))


async def _stream(content: bytes) -> AsyncIterator[bytes]:
    yield content
