"""Reaching real hosts over SSH: quickly when all is well, and with a sentence that helps when it is not."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bayplan.engines.docker import DockerEngine
from bayplan.errors import EngineError, HostRefusedError, HostUnreachableError
from bayplan.hosts.ssh import SshReach
from bayplan.lab import Lab
from bayplan.spec.model import ENGINE_SOCKET, Host, Ssh

pytestmark = pytest.mark.shares_lab

SECONDS_TO_NOTICE = 10


# ruff: noqa: ASYNC221, ASYNC240  these tests set the scene with files and quick programs


@pytest.fixture(scope="module")
def lonely(make_lab: Callable[..., Lab]) -> Lab:
    """One host that may be broken."""
    return make_lab(hosts=1)


@pytest.fixture(autouse=True)
def sockets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Connections of this test's own. They end by themselves, or with their lab."""
    runtime = Path(f"/tmp/bpt-{os.getpid()}-{tmp_path.name[-8:]}")
    runtime.mkdir(mode=0o700, exist_ok=True)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(runtime))
    return runtime / "bp"


@pytest.fixture(autouse=True)
def _ends(sockets: Path) -> object:
    yield
    for control in sockets.glob("*.c"):
        argv = ["ssh", "-F", "none", "-o", f"ControlPath={control}", "-O", "exit", "it"]
        subprocess.run(argv, check=False, capture_output=True)
    for file in sockets.glob("*"):
        file.unlink(missing_ok=True)
    if sockets.exists():
        sockets.rmdir()
    sockets.parent.rmdir()


def reach(lab: Lab, *, user: str = "deploy", config: Path | None = None, port: int = 22) -> SshReach:
    member = lab.hosts[0]
    host = Host(name="h1", address=f"ssh://{user}@{member.private_ip}:{port}", private_ip=member.private_ip)
    return SshReach(host, Ssh(config_file=str(config or lab.ssh_config)))


def config(lab: Lab, directory: Path, *changes: tuple[str, str]) -> Path:
    """The lab's configuration with changes, which come first and so win."""
    path = directory / "config"
    changed = "".join(f"    {keyword} {value}\n" for keyword, value in changes)
    path.write_text(f"Host *\n{changed}\n{lab.ssh_config.read_text()}")
    return path


async def version(engine_reach: SshReach) -> str:
    engine = DockerEngine(engine_reach)
    try:
        return (await engine.observe("none")).version
    finally:
        await engine.close()


async def test_a_warm_dial_starts_no_process(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    first = await reach(lab).dial(ENGINE_SOCKET)
    with monkeypatch.context() as nothing_to_run:
        nothing_to_run.setenv("PATH", "/nonexistent")
        another = reach(lab)
        assert await another.dial(ENGINE_SOCKET) == first
        assert await version(another)
        with pytest.raises(HostUnreachableError, match="no ssh on this machine"):
            await reach(lab, user="root").dial(ENGINE_SOCKET)


async def test_many_dial_at_once_and_share_one_connection(lab: Lab, sockets: Path) -> None:
    script = (
        "import asyncio, sys\nfrom bayplan.hosts.ssh import SshReach\nfrom bayplan.spec.model import Host, Ssh\n"
        "host = Host(name='h1', address=sys.argv[1], private_ip='10.0.0.1')\n"
        "print(asyncio.run(SshReach(host, Ssh(config_file=sys.argv[2])).dial('/var/run/docker.sock')))\n"
    )
    address = f"ssh://deploy@{lab.hosts[0].private_ip}:22"
    argv = [sys.executable, "-c", script, address, str(lab.ssh_config)]
    processes = [await asyncio.create_subprocess_exec(*argv, stdout=subprocess.PIPE) for _ in range(3)]
    here = await asyncio.gather(*(reach(lab).dial(ENGINE_SOCKET) for _ in range(5)))
    there = [(await p.communicate())[0].decode().strip() for p in processes]
    assert len({*here, *there}) == 1
    assert len(list(sockets.glob("*.c"))) == 1
    assert await version(reach(lab))


async def test_any_socket_or_port_of_the_host(lab: Lab) -> None:
    there = reach(lab)
    ssh = await there.dial("127.0.0.1:22")
    reader, writer = await asyncio.open_unix_connection(ssh.removeprefix("unix:"))
    assert (await reader.readline()).startswith(b"SSH-2.0")
    writer.close()


async def test_a_command_on_the_host(lab: Lab) -> None:
    assert await reach(lab).run(["printf", "%s|", "a b", "$HOME", "it's"]) == "a b|$HOME|it's|"
    with pytest.raises(EngineError, match="status 3: oh no"):
        await reach(lab).run(["sh", "-c", "echo oh no >&2; exit 3"])
    with pytest.raises(EngineError, match="status 255"):
        await reach(lab).run(["sh", "-c", "exit 255"])


async def test_more_commands_than_a_server_has_sessions(lab: Lab) -> None:
    there = reach(lab)
    assert await asyncio.gather(*(there.run(["echo", str(n)]) for n in range(15))) == [f"{n}\n" for n in range(15)]


async def test_a_connection_that_was_killed_is_made_again(lab: Lab, sockets: Path) -> None:
    there = reach(lab)
    address = await there.dial(ENGINE_SOCKET)
    (control,) = sockets.glob("*.c")
    subprocess.run(["ssh", "-F", "none", "-o", f"ControlPath={control}", "-O", "exit", "it"], check=True)
    assert Path(address.removeprefix("unix:")).exists(), "nothing stale was left to stumble over"
    assert await version(there)


async def test_a_host_key_that_changed(lab: Lab, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    known = tmp_path / "known_hosts"
    key = (tmp_path / "other.pub").read_text().split()
    known.write_text(f"# first\n{lab.hosts[0].private_ip} {key[0]} {key[1]}\n")
    with pytest.raises(HostRefusedError) as refused:
        await reach(lab, config=config(lab, tmp_path, ("UserKnownHostsFile", str(known)))).dial(ENGINE_SOCKET)
    assert f"{known} line 2" in refused.value.what
    assert f"ssh-keygen -f {known} -R '{lab.hosts[0].private_ip}'" in refused.value.todo


@pytest.mark.parametrize("checking", ["yes", "ask", "no"])
async def test_a_host_key_that_nobody_knows(lab: Lab, tmp_path: Path, checking: str) -> None:
    """Even where the user's configuration takes any key."""
    changes = (("UserKnownHostsFile", str(tmp_path / "none")), ("StrictHostKeyChecking", checking))
    with pytest.raises(HostRefusedError, match=r"host key of .* is not known here"):
        await reach(lab, config=config(lab, tmp_path, *changes)).dial(ENGINE_SOCKET)


async def test_a_user_may_choose_to_trust_a_new_host(lab: Lab, tmp_path: Path) -> None:
    changes = (("UserKnownHostsFile", str(tmp_path / "known")), ("StrictHostKeyChecking", "accept-new"))
    assert await version(reach(lab, config=config(lab, tmp_path, *changes)))


async def test_a_wrong_key(lab: Lab, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "mine"], check=True)
    text = lab.ssh_config.read_text().replace(str(lab.directory / "id_ed25519"), str(tmp_path / "mine"))
    (tmp_path / "config").write_text(text)
    with pytest.raises(HostRefusedError, match="Permission denied") as refused:
        await reach(lab, config=tmp_path / "config").dial(ENGINE_SOCKET)
    assert f"deploy@{lab.hosts[0].private_ip}" in refused.value.what
    assert str(tmp_path / "mine") in refused.value.todo


async def test_nobody_listens_for_ssh(lab: Lab) -> None:
    with pytest.raises(HostUnreachableError, match="port 2999: connection refused"):
        await reach(lab, port=2999).dial(ENGINE_SOCKET)


async def test_a_name_that_does_not_resolve() -> None:
    host = Host(name="h9", address="ssh://me@nosuch.invalid", private_ip="10.0.0.1")
    with pytest.raises(HostUnreachableError, match=r"'nosuch\.invalid' does not resolve"):
        await SshReach(host, Ssh()).dial(ENGINE_SOCKET)


async def test_a_configuration_that_ssh_does_not_take(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(HostRefusedError, match="does not accept its configuration"):
        await reach(lab, config=config(lab, tmp_path, ("Nonsense", "yes"))).dial(ENGINE_SOCKET)


async def test_a_user_who_may_not_use_docker(lonely: Lab) -> None:
    admit = (
        "useradd --create-home --shell /bin/sh guest; cp -r /home/deploy/.ssh /home/guest/; "
        "chown -R guest: /home/guest/.ssh"
    )
    assert lonely.on("h1", ["sh", "-ec", admit]).returncode == 0
    guest = reach(lonely, user="guest")
    with pytest.raises(HostRefusedError, match="user 'guest' may not use") as refused:
        await version(guest)
    assert "usermod -aG docker guest" in refused.value.todo
    assert lonely.on("h1", ["usermod", "-aG", "docker", "guest"]).returncode == 0
    assert await version(guest), "it was granted, and the old login is still in use"


async def test_a_server_that_does_not_forward(lonely: Lab, tmp_path: Path) -> None:
    sshd = ["/usr/sbin/sshd", "-p", "2222", "-o", "AllowStreamLocalForwarding=no", "-o", "PidFile=/run/sshd2.pid"]
    assert lonely.on("h1", sshd).returncode == 0
    alias = config(lonely, tmp_path, ("HostKeyAlias", lonely.hosts[0].private_ip))
    with pytest.raises(HostRefusedError, match="does not allow") as refused:
        await version(reach(lonely, config=alias, port=2222))
    assert "AllowStreamLocalForwarding yes" in refused.value.todo
    lonely.on("h1", ["sh", "-c", "kill $(cat /run/sshd2.pid)"])


async def test_an_engine_that_died_and_came_back(lonely: Lab) -> None:
    engine = DockerEngine(reach(lonely))
    await engine.observe("none")
    lonely.fault("kill-engine", "h1")
    with pytest.raises(HostUnreachableError):
        await engine.observe("none")
    with pytest.raises(HostUnreachableError, match=r"docker\.sock"):
        await engine.observe("none")
    lonely.fault("start-engine", "h1")
    assert (await engine.observe("none")).version
    await engine.close()


async def test_a_host_that_is_cut_off(lonely: Lab) -> None:
    """Noticed soon over a connection that stood, at once by those who come later, and mended when it is back."""
    engine = DockerEngine(reach(lonely))
    await engine.observe("none")
    lonely.fault("cut", "h1")
    try:
        for _ in ("the connection stood", "it is known to be dead"):
            start = time.monotonic()
            with pytest.raises(HostUnreachableError):
                await engine.observe("none")
            assert time.monotonic() - start < SECONDS_TO_NOTICE + 2
        start = time.monotonic()
        with pytest.raises(HostUnreachableError):
            await version(reach(lonely))
        assert time.monotonic() - start < SECONDS_TO_NOTICE + 2
    finally:
        lonely.fault("heal", "h1")
    assert await version(reach(lonely))
    assert (await engine.observe("none")).version
    await engine.close()
