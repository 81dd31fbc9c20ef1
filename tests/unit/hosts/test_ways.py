"""The ways to a host, as far as they go without one."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from bayplan.errors import BayplanError, DeadlineError, EngineError, HostRefusedError, HostUnreachableError, UsageError
from bayplan.hosts import LocalReach, SshReach, TlsReach, reach_for
from bayplan.hosts.process import ended
from bayplan.hosts.sockets import LONGEST, _is_ours, accepts, alone, private_dir
from bayplan.hosts.ssh_command import SshCommand
from bayplan.spec.model import ENGINE_SOCKET, Host, Ssh, Tls


def host(address: str, tls: Tls | None = None) -> Host:
    return Host(name="h1", address=address, private_ip="10.0.0.1", tls=tls)


def test_the_address_says_which_way() -> None:
    assert isinstance(reach_for(host("ssh://a@b"), Ssh()), SshReach)
    assert isinstance(reach_for(host("unix:///x.sock"), Ssh()), LocalReach)
    assert isinstance(reach_for(host("tcp://b:2376"), Ssh()), TlsReach)
    with pytest.raises(UsageError, match="carrier-pigeon"):
        reach_for(host("carrier-pigeon://b"), Ssh())


def test_paths_are_short_and_private(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    directory = private_dir()
    assert directory.stat().st_mode & 0o777 == 0o700
    command = SshCommand("ssh://a@b", None, directory, "0123456789ab")
    assert max(len(str(p)) for p in (command.control, command.lock, command.forwarded("/x"))) <= LONGEST
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    assert private_dir() == Path(f"/tmp/bp-{os.geteuid()}")


def test_a_user_without_a_home_has_no_configuration_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", homeless)
    assert SshReach(host("ssh://a@b"), Ssh())._ssh()


def test_another_users_runtime_directory_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert not _is_ours(tmp_path)
    assert not _is_ours(tmp_path / "gone")


def test_a_runtime_directory_that_cannot_be_written_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file system that is read-only; root may write wherever modes alone say no."""
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert private_dir() == Path(f"/tmp/bp-{os.geteuid()}")


def test_no_place_for_connections_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, **_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(BayplanError, match="cannot be made: no space left on device") as told:
        private_dir()
    assert "XDG_RUNTIME_DIR" in told.value.todo


async def test_a_disk_here_that_takes_no_more_is_told_and_no_traceback() -> None:
    reach = SshReach(host("ssh://a@b"), Ssh())
    reach._ssh().lock.mkdir()  # nothing can be written there
    with pytest.raises(HostUnreachableError, match=r"this machine cannot keep the connection: .*: is a directory"):
        await reach.dial("/x.sock")


def test_a_directory_that_others_can_read_is_not_used() -> None:
    directory = private_dir()
    directory.chmod(0o750)
    with pytest.raises(BayplanError, match="not a private directory"):
        private_dir()


def test_a_directory_of_anothers_making_is_not_used() -> None:
    directory = private_dir()
    directory.rmdir()
    directory.symlink_to("/tmp")
    with pytest.raises(BayplanError, match="not a private directory"):
        private_dir()


def test_who_listens() -> None:
    path = private_dir() / "s"
    assert not accepts(path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        assert not accepts(path)
        server.listen(0)
        assert accepts(path)
        for _ in range(3):  # its backlog is full: busy, and there
            assert accepts(path)
    assert not accepts(path)


async def test_a_lock_is_for_one(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    inside = 0
    most = 0

    async def work() -> None:
        nonlocal inside, most
        async with alone(lock, 10):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1

    await asyncio.gather(*(work() for _ in range(5)))
    assert most == 1
    async with alone(lock, 1):
        with pytest.raises(DeadlineError, match="another bayplan"):
            await alone(lock, 0.1).__aenter__()


async def test_a_killed_program_is_not_waited_for_through_what_it_left(tmp_path: Path) -> None:
    """Its child holds its output open; it is told of, and the child lives on."""
    pid = tmp_path / "pid"
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(5):
            await ended(["sh", "-c", f"setsid sleep 60 & echo $! > {pid}; exec sleep 60"], deadline=0.5)
    os.kill(int(pid.read_text()), 9)


def test_ssh_is_told_nothing_that_an_address_smuggles_in() -> None:
    command = SshCommand("ssh://-oProxyCommand=evil@host", None, Path("/tmp"), "k")
    words = command.master(strict=False)
    assert words[words.index("--") + 1] == "host"
    assert words[words.index("-l") + 1] == "-oProxyCommand=evil"
    assert SshCommand("ssh://[fd00::1]:2222", None, Path("/tmp"), "k").effective()[-4:] == [
        "-p",
        "2222",
        "--",
        "fd00::1",
    ]
    assert "-F" not in command.effective()
    assert SshCommand("ssh://h", "/c f", Path("/tmp"), "k").effective()[1:3] == ["-F", "/c f"]


async def test_a_local_engine() -> None:
    path = private_dir() / "engine"
    reach = LocalReach(host(f"unix://{path}"))
    with pytest.raises(HostUnreachableError, match="nothing answers at"):
        await reach.dial(ENGINE_SOCKET)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        assert await reach.dial(ENGINE_SOCKET) == f"unix:{path}"
    assert await reach.dial("/run/x.sock") == "unix:/run/x.sock"
    assert await reach.dial("127.0.0.1:80") == "tcp:127.0.0.1:80"
    assert await reach.run(["echo", "a b"]) == "a b\n"
    with pytest.raises(EngineError, match="status 1"):
        await reach.run(["false"])
    with pytest.raises(EngineError, match="cannot be run"):
        await reach.run(["/no/such"])
    with pytest.raises(DeadlineError):
        await reach.run(["sleep", "9"], deadline=0.1)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """ca.pem signs localhost's server.pem and cert.pem; other.pem is nobody's."""
    script = """
    ca() { openssl req -x509 -newkey rsa:2048 -nodes -keyout $1-key.pem -subj /CN=$1 -days 2 -out $1.pem; }
    sign() { openssl req -newkey rsa:2048 -nodes -keyout $1-key.pem -subj /CN=$1 -out csr
      openssl x509 -req -in csr -CA ca.pem -CAkey ca-key.pem -CAcreateserial -days 2 -extfile ext -out $1.pem; }
    ca ca; ca other; echo subjectAltName=DNS:localhost,IP:127.0.0.1 > ext; sign server; sign cert"""
    subprocess.run(["sh", "-ec", script], cwd=tmp_path, check=True, capture_output=True)
    return tmp_path


async def serve(certificates: Path) -> tuple[asyncio.Server, int]:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT  # an engine takes authorities that tell no key usage, too
    context.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")

    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"you said " + await reader.readline())
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=context)
    return server, server.sockets[0].getsockname()[1]


def tls(certificates: Path, ca: str = "ca", cert: str = "cert") -> Tls:
    paths = (certificates / f"{name}.pem" for name in (ca, cert, f"{cert}-key"))
    return Tls(**dict(zip(("ca", "cert", "key"), map(str, paths), strict=True)))


async def test_tls(certificates: Path) -> None:
    server, port = await serve(certificates)
    reach = TlsReach(host(f"tcp://localhost:{port}", tls(certificates)))
    address = await reach.dial(ENGINE_SOCKET)
    assert await reach.dial(ENGINE_SOCKET) == address
    reader, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    writer.write(b"hello\n")
    assert await reader.read() == b"you said hello\n"
    writer.close()
    await reach.close()
    assert not list(private_dir().iterdir())
    server.close()


async def test_connections_that_stand_as_the_way_is_closed_end_without_a_word(certificates: Path) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: told.append(what))
    server, port = await serve(certificates)
    reach = TlsReach(host(f"tcp://localhost:{port}", tls(certificates)))
    _, writer = await asyncio.open_unix_connection((await reach.dial(ENGINE_SOCKET)).removeprefix("unix:"))
    async with asyncio.timeout(10):
        while not (reach._relay and reach._relay._led):  # noqa: ASYNC110  no event tells
            await asyncio.sleep(0.01)
    await reach.close()
    await asyncio.sleep(0.01)
    writer.close()
    server.close()
    assert told == []


async def test_over_tls_too_who_has_said_all_still_listens(certificates: Path) -> None:
    """`echo data | bayplan exec -T db load`: what the command says comes after the end of its input."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "server.pem", certificates / "server-key.pem")

    def engine() -> None:  # asyncio's own server would hang up at the end of what is said
        context.wrap_socket(listening.accept()[0], server_side=True).close()  # dialling tries the way
        with context.wrap_socket(listening.accept()[0], server_side=True) as connection:
            said = b"".join(iter(lambda: connection.recv(100), b""))
            for _ in range(100):
                connection.sendall(said.ljust(100_000, b"."))

    with socket.create_server(("127.0.0.1", 0)) as listening:
        serving = asyncio.create_task(asyncio.to_thread(engine))
        reach = TlsReach(host(f"tcp://localhost:{listening.getsockname()[1]}", tls(certificates)))
        reader, writer = await asyncio.open_unix_connection((await reach.dial(ENGINE_SOCKET)).removeprefix("unix:"))
        writer.write(b"all")
        writer.write_eof()
        async with asyncio.timeout(10):
            heard = await reader.read()
            await serving
        assert (heard[:4], len(heard)) == (b"all.", 10_000_000)
        writer.close()
        await reach.close()


async def test_tls_that_is_not_trusted(certificates: Path) -> None:
    server, port = await serve(certificates)
    with pytest.raises(HostRefusedError, match="its certificate is not trusted"):
        await TlsReach(host(f"tcp://localhost:{port}", tls(certificates, ca="other"))).dial(ENGINE_SOCKET)
    with pytest.raises(HostRefusedError, match="cannot be used"):
        await TlsReach(host(f"tcp://localhost:{port}", tls(certificates, cert="nosuch"))).dial(ENGINE_SOCKET)
    with pytest.raises(HostRefusedError, match="without certificates"):
        await TlsReach(host(f"tcp://localhost:{port}")).dial(ENGINE_SOCKET)
    stranger = TlsReach(host(f"tcp://localhost:{port}", tls(certificates, cert="other")))
    await stranger.dial(ENGINE_SOCKET)  # TLS 1.3: the server looks at a client's certificate after its own handshake
    assert isinstance(await stranger.why_silent(ENGINE_SOCKET), HostRefusedError)
    await stranger.close()
    server.close()
    with pytest.raises(HostUnreachableError, match=r"[Cc]onnect"):
        await TlsReach(host(f"tcp://localhost:{port}", tls(certificates))).dial(ENGINE_SOCKET)


async def test_tls_leads_to_the_engine_only() -> None:
    reach = TlsReach(host("tcp://h1"))
    with pytest.raises(HostRefusedError, match="through the host's guard, and not over TLS") as told:
        await reach.dial("/run/bayplan/admin.sock")
    with pytest.raises(HostRefusedError, match="'true' is reached through the host's guard"):
        await reach.run(["true"])
    assert "ssh://" not in str(told.value)


def test_no_ssh_is_told_too_where_another_run_left_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """`doctor` said '✗ ssh: no such file or directory', `up` that a gateway does not answer yet."""
    reach = SshReach(host("ssh://a@b"), Ssh())
    monkeypatch.setenv("PATH", "/nonexistent")
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(reach._ssh().control))
        left.listen()
        with pytest.raises(HostUnreachableError, match="there is no ssh on this machine"):
            asyncio.run(reach.run(["true"]))
