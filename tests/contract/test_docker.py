"""What only a real engine has: limits that the kernel enforces, terminals, streams, builders."""

from __future__ import annotations

import asyncio
import fcntl
import io
import json
import os
import platform
import pty
import shutil
import struct
import subprocess
import sys
import tarfile
import termios
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bayplan import labels
from bayplan.container import Container
from bayplan.engines import hold
from bayplan.engines.docker import DockerEngine
from bayplan.errors import CommandError, DeadlineError, EngineError, ImageError, NotFoundError
from bayplan.facts import Binding
from bayplan.hosts import reach_for
from bayplan.lab import Lab, cgroups
from bayplan.ports import BuildRequest, Transfer
from bayplan.spec.model import Host, Ssh
from bayplan.spec.options import Ulimit

IMAGE = "debian:bookworm-slim"
STAYS = ("sleep", "1000")
FEW = 30.0  # seconds for a condition to come true

ATTACH = """
import asyncio, sys
from bayplan.engines.docker import DockerEngine
from bayplan.hosts import reach_for
from bayplan.ports import How
from bayplan.spec.model import Host, Ssh

async def main(address, config, name, mode, *argv):
    engine = DockerEngine(reach_for(Host(name="h", address=address, private_ip="10.0.0.1"), Ssh(config_file=config)))
    try:
        return await engine.attach_exec(name, argv, tty="t" in mode, stdin="i" in mode, how=How(workdir="/tmp"))
    finally:
        await engine.close()

sys.exit(asyncio.run(main(*sys.argv[1:])))
"""


class Site:
    """One engine, the host that it is on, and containers that go when the test ends."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.member = lab.hosts[0]
        self.address = f"ssh://deploy@{self.member.private_ip}"
        host = Host(name=self.member.name, address=self.address, private_ip=self.member.private_ip)
        self.engine = DockerEngine(reach_for(host, Ssh(config_file=str(lab.ssh_config))))
        self.made: list[str] = []

    def container(self, command: tuple[str, ...] = STAYS, **more: Any) -> Container:
        name = f"x{uuid.uuid4().hex[:8]}"
        self.made.append(name)
        return Container(name, IMAGE, command, **{"init": True, "network": "none", **more})

    async def run(self, command: tuple[str, ...] = STAYS, **more: Any) -> str:
        container = self.container(command, **more)
        await self.engine.run(container)
        return container.name

    def attach(self, name: str, mode: str, *argv: str) -> list[str]:
        return [sys.executable, "-c", ATTACH, self.address, str(self.lab.ssh_config), name, mode, *argv]


@pytest.fixture
def docker_cli(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Docker CLI that drives BuildKit, alone on PATH with what it needs: the one that Debian 12's hosts have."""
    program = tmp_path / "bin/docker"
    program.parent.mkdir()
    inside = cgroups.init_process(lab.host("h1").group)
    shutil.copy(f"/proc/{inside}/root/usr/bin/docker", program)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")


@pytest.fixture(params=["20.10", "26.1"])
async def site(request: pytest.FixtureRequest) -> AsyncIterator[Site]:
    site = Site(request.getfixturevalue("modern" if request.param == "26.1" else "lab"))
    await site.engine.pull(IMAGE, gone)
    yield site
    for name in site.made:
        await site.engine.remove(name, 0)
    await site.engine.close()


def gone(_: Transfer) -> None:
    """Progress that nobody watches."""


async def until(ask: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + FEW
    while not await ask():
        assert time.monotonic() < deadline, what
        await asyncio.sleep(0.05)


async def test_limits_are_the_kernels(site: Site) -> None:
    """What the engine recorded, and what the container's own control group says; either version of them."""
    name = await site.run(limit_cpus=0.5, limit_memory=48 << 20, limit_pids=33)
    config = (await site.engine.inspect(name))["HostConfig"]
    assert (config["NanoCpus"], config["Memory"], config["PidsLimit"]) == (500_000_000, 48 << 20, 33)
    assert config["MemorySwap"] == 48 << 20
    assert config["LogConfig"] == {"Type": "json-file", "Config": {"max-size": "10m", "max-file": "3"}}
    script = (
        "cd /sys/fs/cgroup; if [ -e cgroup.controllers ]; then set -- $(cat cpu.max memory.max pids.max); else "
        "set -- $(cat cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us memory/memory.limit_in_bytes pids/pids.max); fi; echo $*"
    )
    quota, period, memory, processes = (await site.engine.exec(name, ["sh", "-c", script])).output.split()
    assert int(quota) / int(period) == 0.5
    assert (int(memory), int(processes)) == (48 << 20, 33)


async def test_a_limit_above_the_hosts_cores_is_no_mistake(site: Site) -> None:
    name = await site.run(limit_cpus=512)
    cores = (await site.engine.observe("none")).cpus
    assert (await site.engine.inspect(name))["HostConfig"]["NanoCpus"] == cores * 1e9


async def test_too_much_memory_is_killed(site: Site) -> None:
    hog = ("sh", "-c", "x=$(head -c 200000000 /dev/zero | tr '\\0' x); echo survived")
    name = await site.run(hog, limit_memory=32 << 20)

    async def ended() -> bool:
        return not (await site.engine.inspect(name))["State"]["Running"]

    await until(ended, "it was never killed")
    assert (await site.engine.inspect(name))["State"]["ExitCode"] != 0
    assert [line.text async for line in site.engine.logs(name)] in ([], ["Killed"])


async def test_the_rest_of_what_a_container_is(site: Site) -> None:
    name = await site.run(
        ("sh", "-c", "exec sleep 1000"),
        entrypoint=("env", "EXTRA=1"),
        environment={"GREETING": "a = b\nc"},
        hostname="web-3",
        user="daemon",
        working_dir="/var",
        stop_signal="SIGKILL",
        stop_grace=7.2,
        restart="on-failure:4",
        binds={"/etc/hostname": "/mnt/name:ro"},
        cap_drop=("ALL",),
        cap_add=("NET_BIND_SERVICE",),
    )
    seen = await site.engine.inspect(name)
    assert seen["Config"]["StopSignal"] == "SIGKILL"
    assert seen["Config"]["StopTimeout"] == 8
    assert seen["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 4}
    assert seen["HostConfig"]["CapDrop"] == ["ALL"]
    script = 'echo "$GREETING|$(hostname)|$(id -un)|$(pwd)|$(cat /mnt/name)"; echo x 2>&- > /mnt/name'
    done = await site.engine.exec(name, ["sh", "-c", script])
    assert done.output.decode().startswith(f"a = b\nc|web-3|daemon|/var|{site.member.name}\n")
    assert done.status != 0, "a read-only bind was written to"


async def test_a_paused_container_starts(site: Site) -> None:
    name = await site.run()
    assert site.lab.on(site.member.name, ["docker", "pause", name]).returncode == 0
    await site.engine.start(name)
    assert (await site.engine.inspect(name))["State"]["Status"] == "running"


async def test_cancelled_anywhere_a_run_leaves_nothing(site: Site) -> None:
    """Some of these are cancelled before the engine heard of them, some while it creates, some while it starts."""
    for delay in (0.0, 0.005, 0.02, 0.05, 0.1, 0.2):
        container = site.container()
        running = asyncio.create_task(site.engine.run(container))
        await asyncio.sleep(delay)
        if running.done():
            continue
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        with pytest.raises(NotFoundError):
            await site.engine.inspect(container.name)


@pytest.mark.parametrize(("hung", "stays"), [(False, False), (True, True)])
async def test_a_run_that_hung_leaves_what_runs_to_whoever_has_the_fleet_by_now(
    site: Site, monkeypatch: pytest.MonkeyPatch, hung: bool, stays: bool
) -> None:
    start, started = site.engine._start, asyncio.Event()

    async def unanswered(name: str) -> None:
        await start(name)
        started.set()
        await asyncio.sleep(FEW)

    monkeypatch.setattr(site.engine, "_start", unanswered)
    monkeypatch.setattr(hold, "ANSWER", 0.0 if hung else FEW)
    container = site.container()
    running = asyncio.create_task(site.engine.run(container))
    await started.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    found = site.lab.on(site.member.name, ["docker", "ps", "-qf", f"name={container.name}"])
    assert bool(found.stdout.strip()) is stays


async def test_what_cannot_start_leaves_nothing(site: Site) -> None:
    container = site.container(("/no/such/program",), init=False, ports=(Binding(80, 28090, site.member.private_ip),))
    with pytest.raises(EngineError, match="the command /no/such/program is not in the image, or not in its PATH"):
        await site.engine.run(container)
    with pytest.raises(NotFoundError):
        await site.engine.inspect(container.name)


async def test_logs_are_followed_to_the_end(site: Site) -> None:
    name = await site.run(("sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.3; done; printf 'no end'"))
    seen: list[str] = []
    async with asyncio.timeout(FEW):
        async for line in site.engine.logs(name, follow=True):
            seen.append(line.text)
            assert len(seen) < 3 or (await site.engine.inspect(name))["Id"]
    assert seen[:3] == ["1", "2", "3"]  # an engine of 20.10 may end the stream before a last line without an end
    assert [line.text async for line in site.engine.logs(name)] == ["1", "2", "3", "no end"]


async def test_logs_that_nobody_reads_on(site: Site) -> None:
    name = await site.run(("sh", "-c", "while :; do echo x; done"))
    async with asyncio.timeout(FEW):
        async for _ in site.engine.logs(name, follow=True, tail=1):
            break
        await site.engine.remove(name, 0)


async def test_a_long_line_and_odd_bytes(site: Site) -> None:
    name = await site.run(("sh", "-c", r"head -c 300000 /dev/zero | tr '\0' y; echo; printf '\377\n'; exec sleep 1000"))

    async def both() -> bool:
        return sum([1 async for line in site.engine.logs(name) if not set(line.text) <= {"y"}]) == 1

    await until(both, "the last line never came")
    lines = [line.text async for line in site.engine.logs(name)]
    assert sum(text.count("y") for text in lines) == 300_000
    assert lines[-1] == "\ufffd"


async def test_an_exec_that_does_not_end(site: Site) -> None:
    name = await site.run()
    with pytest.raises(DeadlineError, match=r"within 0\.5 s"):
        await site.engine.exec(name, ["sleep", "100"], deadline=0.5)


@pytest.mark.parametrize(
    ("argv", "status"), [(("nosuch",), 127), (("/etc/passwd",), 126), (("sh", "-c", "exit 127"), 127)]
)
async def test_a_command_that_cannot_be_started_is_told_from_one_that_ends_so(
    argv: tuple[str, ...], status: int, site: Site
) -> None:
    name = await site.run()
    if argv[0] == "sh":
        assert (await site.engine.exec(name, argv)).status == status
        return
    with pytest.raises(CommandError, match=f"the command {argv[0]} ") as told:
        await site.engine.exec(name, argv)
    assert told.value.exit_status == status
    for mode in ("i", "it"):
        words = site.attach(name, mode, *argv)
        done = await asyncio.to_thread(
            subprocess.run, words, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert (done.stdout, b"CommandError: h: the command" in done.stderr) == (b"", True)


async def test_usage_counts_cores(site: Site) -> None:
    name = await site.run(("sh", "-c", "while :; do :; done"), limit_cpus=0.2)

    async def busy() -> bool:
        return 0.02 < (await site.engine.usage(name)).cpus < 0.4

    await until(busy, "a loop that uses a fifth of a core is not seen to")


async def test_a_command_with_standard_streams(site: Site) -> None:
    name = await site.run()
    script = "pwd; cat; echo err >&2; exit 5"
    process = await asyncio.create_subprocess_exec(
        *site.attach(name, "i", "sh", "-c", script),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(FEW):
        out, err = await process.communicate(b"a\0b\n" * 20_000)
    assert process.returncode == 5, err
    assert out == b"/tmp\n" + b"a\0b\n" * 20_000
    assert err == b"err\n"


async def test_a_command_on_a_terminal(site: Site) -> None:
    """Keys go through raw, the window's size follows, and the terminal is as it was afterwards."""
    name = await site.run()
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)
    resize(ours, 41, 101)
    script = """size() { until stty size | grep "$1"; do sleep 0.1; done; }
        size "41 101"; read x; size "42 102"; echo "got $x"; exit 6"""
    process = await asyncio.create_subprocess_exec(
        *site.attach(name, "it", "sh", "-c", script), stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    screen = Screen(ours)
    await screen.shows(b"41 101")
    assert not termios.tcgetattr(theirs)[3] & termios.ICANON
    resize(ours, 42, 102)
    process.send_signal(28)  # SIGWINCH: the terminal is not the controlling one of a test's child
    os.write(ours, b"hello\n")
    await screen.shows(b"42 102")
    await screen.shows(b"got hello")
    async with asyncio.timeout(FEW):
        assert await process.wait() == 6
    assert termios.tcgetattr(theirs) == before
    screen.close()
    os.close(theirs)


class Screen:
    """What was written to a terminal."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self.text = b""
        os.set_blocking(descriptor, False)

    async def shows(self, text: bytes) -> None:
        async def there() -> bool:
            with suppress(BlockingIOError):
                self.text += os.read(self.descriptor, 4096)
            return text in self.text

        try:
            await until(there, "")
        except AssertionError:
            raise AssertionError(f"{text!r} is not in {self.text!r}") from None

    def close(self) -> None:
        os.close(self.descriptor)


def resize(descriptor: int, rows: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


async def test_a_build_that_fails_shows_its_output(site: Site) -> None:
    with pytest.raises(ImageError) as failed:
        await site.engine.build(asking(f"FROM {IMAGE}\nRUN echo so far; exit 4\n", "x:1"), gone)
    assert "so far" in failed.value.what
    assert "non-zero code: 4" in failed.value.what


async def test_what_a_build_is_told(site: Site) -> None:
    dockerfile = f"FROM {IMAGE} AS one\nARG WORD\nRUN echo $WORD > /word\nFROM one\nRUN false\n"
    request = BuildRequest(
        (context(dockerfile, "sub/My.dockerfile"),),
        "told:1",
        dockerfile="sub/My.dockerfile",
        args={"WORD": "hello"},
        labels={"of": "us"},
        target="one",
    )
    lines: list[str] = []
    image = await site.engine.build(request, lambda t: lines.append(t.text))
    assert any("ARG WORD" in line for line in lines)
    container = site.container(("cat", "/word"))
    await site.engine.run(Container(container.name, image, ("sh", "-c", "cat /word; sleep 1000"), network="none"))

    async def said() -> bool:
        return [line.text async for line in site.engine.logs(container.name)] == ["hello"]

    await until(said, "the build's argument did not get there")
    assert (await site.engine.inspect(container.name))["Config"]["Labels"]["of"] == "us"


@pytest.mark.parametrize("builder", ["classic", "BuildKit"])
async def test_where_a_builds_steps_run(site: Site, builder: str, request: pytest.FixtureRequest) -> None:
    """By the builder that every engine has, and, in the same words, by BuildKit where a CLI is that drives it."""
    steps = (
        f"FROM {IMAGE}\nRUN grep '192.0.2.1.*one' /etc/hosts && grep '192.0.2.2.*two' /etc/hosts\n"
        "RUN df -k /dev/shm | grep 8192 && [ $(ulimit -Sn) = 333 ] && [ $(ulimit -Hn) = 444 ]\n"
        "RUN ls /sys/class/net && ! ls /sys/class/net | grep -v lo\n"
    )
    if builder == "BuildKit":
        request.getfixturevalue("docker_cli")
        steps += "RUN --mount=type=cache,target=/c true\n"
    asked = BuildRequest(
        (context(steps),),
        "where:1",
        instructions=steps,
        extra_hosts=("one=192.0.2.1", "two=192.0.2.2"),
        network="none",
        shm_size=8 << 20,
        ulimits={"nofile": Ulimit(soft=333, hard=444)},
        cache_from=("where:0",),
    )
    if builder == "BuildKit" and (await site.engine.info())["ServerVersion"].startswith("20.10"):
        with pytest.raises(ImageError, match=r"that of Docker 20\.10\S* heeds no shm_size and no ulimits"):
            await site.engine.build(asked, gone)
        without = steps.replace("RUN df", "# RUN df")
        asked = replace(asked, context=(context(without),), instructions=without, shm_size=0, ulimits={})
    image = await site.engine.build(asked, gone)
    assert await site.engine.image_id("where:1") == image


@pytest.mark.usefixtures("docker_cli")
async def test_a_build_that_needs_buildkit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    request = asking(f"FROM {IMAGE}\nRUN --mount=type=cache,target=/c echo mounted > /c/x\n", "kit:1")
    lines: list[str] = []
    image = await site.engine.build(request, lambda t: lines.append(t.text))
    assert await site.engine.image_id("kit:1") == image
    assert any("RUN --mount" in line for line in lines)
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ImageError, match=r"needs BuildKit \(line 2: --mount\)"):
        await site.engine.build(request, gone)


async def test_a_build_for_the_hosts_own_platform_needs_no_buildkit(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    own, other = (
        ("linux/arm64/v8", "linux/amd64") if platform.machine() == "aarch64" else ("linux/amd64", "linux/arm64")
    )
    request = asking(f"FROM {IMAGE}\n", "own:1", platform=own)
    image = await site.engine.build(request, gone)
    assert await site.engine.image_id("own:1") == image
    with pytest.raises(ImageError, match=r"needs BuildKit \(build: platform\)"):
        await site.engine.build(replace(request, platform=other), gone)


@pytest.mark.usefixtures("docker_cli")
async def test_a_build_has_secrets_and_an_agent_and_keeps_neither(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The secret's file and the agent are there while its step runs, and in no layer."""
    agent = tmp_path / "agent"
    monkeypatch.setenv("SSH_AUTH_SOCK", str(agent))
    steps = (
        f"FROM {IMAGE}\nRUN --mount=type=secret,id=token,required=true cut -c 1-3 /run/secrets/token > /three\n"
        'RUN --mount=type=ssh,required=true test -S "$SSH_AUTH_SOCK"\n'
        'CMD ["sh", "-c", "cat /three; ls -A /run/secrets 2>/dev/null; sleep 1000"]\n'
    )
    known = {"x86_64": "amd64", "aarch64": "arm64"}
    arch = (await site.engine.info())["Architecture"]
    request = BuildRequest(
        (context(steps),),
        "kept:1",
        instructions=steps,
        secrets={"token": b"abc\0def"},
        ssh=("default",),
        platform=f"linux/{known.get(arch, arch)}",
        no_cache=True,
    )
    running = await asyncio.create_subprocess_exec("ssh-agent", "-D", "-a", str(agent), stdout=subprocess.DEVNULL)
    try:
        await until(lambda: asyncio.to_thread(agent.is_socket), "no agent")
        image = await site.engine.build(request, gone)
    finally:
        running.terminate()
        await running.wait()
    container = site.container(("x",))
    await site.engine.run(Container(container.name, image, network="none"))

    async def said() -> bool:
        return [line.text async for line in site.engine.logs(container.name)] == ["abc"]

    await until(said, "another thing was kept")


async def test_pull_tells_of_each_layer(site: Site) -> None:
    seen: list[Transfer] = []
    assert site.lab.on(site.member.name, ["docker", "rmi", "-f", "haproxy:3.0"]).returncode == 0
    await site.engine.pull("haproxy:3.0", seen.append)
    layers = {t.layer for t in seen if t.layer}
    assert layers
    assert all(len(layer) == 12 for layer in layers)
    assert any(0 < t.done <= t.total for t in seen if t.layer)


async def test_networks_carry_names(site: Site) -> None:
    await site.engine.ensure_network("named", "bpnamed", {labels.FLEET: "named"})
    try:
        web = await site.run(network="named", aliases=("web",))
        asks = await site.run(network="named")
        done = await site.engine.exec(asks, ["getent", "hosts", "web"])
        address = (await site.engine.inspect(web))["NetworkSettings"]["Networks"]["named"]["IPAddress"]
        assert done.output.decode().split()[0] == address
        links = json.loads(site.lab.on(site.member.name, ["ip", "-j", "link"]).stdout)
        assert "bpnamed" in {link["ifname"] for link in links}
    finally:
        for name in site.made:
            await site.engine.remove(name, 0)
        await site.engine.remove_network("named")


async def test_a_host_has_room_for_more_networks_than_its_engine_has_address_pools(site: Site) -> None:
    """Of the pools, the host's routes leave it one."""
    names = [f"crowd{i}" for i in range(3)]
    elsewhere = ("172.19.0.0/16", "172.20.0.0/14", "172.24.0.0/14", "172.28.0.0/14", "192.168.0.0/16")
    routes = lambda verb: "; ".join(f"ip route {verb} {net} dev lo" for net in elsewhere)  # noqa: E731
    assert site.lab.on(site.member.name, ["sh", "-ec", routes("add")]).returncode == 0
    try:
        for name in names:
            await site.engine.ensure_network(name, f"bp{name}", {labels.FLEET: "crowd"})
        assert (await site.engine.observe("crowd")).networks == set(names)
        told = json.loads(site.lab.on(site.member.name, ["docker", "network", "inspect", *names]).stdout)
        subnets = [n["IPAM"]["Config"][0]["Subnet"] for n in told]
        assert subnets == ["172.18.0.0/22", "172.18.4.0/22", "172.18.8.0/22"]
        found = [await site.run(network=names[2], aliases=("web",)) for _ in range(2)]
        done = await site.engine.exec(found[0], ["getent", "hosts", "web"])
        assert done.output.startswith(b"172.18.8."), done
    finally:
        site.lab.on(site.member.name, ["sh", "-c", routes("del")])
        for made in site.made:
            await site.engine.remove(made, 0)
        for name in names:
            await site.engine.remove_network(name)


def asking(dockerfile: str, tag: str, **more: Any) -> BuildRequest:
    return BuildRequest((context(dockerfile),), tag, instructions=dockerfile, **more)


def context(dockerfile: str, path: str = "Dockerfile") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo(path)
        info.size = len(dockerfile)
        tar.addfile(info, io.BytesIO(dockerfile.encode()))
    return buffer.getvalue()
