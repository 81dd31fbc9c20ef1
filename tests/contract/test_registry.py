"""What every registry gives: the same suite on the server as people run it, and on the one in memory."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import shutil
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from aiohttp import ClientSession, web

from bayplan.errors import BayplanError, HostUnreachableError, RegistryError
from bayplan.images.login import Login
from bayplan.images.memory import MemoryRegistry
from bayplan.images.registry import HttpRegistry, _sha256, registry_for
from bayplan.ports import Registry, Repository
from bayplan.spec import model

KIND = "application/vnd.bayplan.test.v1+json"
HTPASSWD = "ann:$2b$05$QdowZXCGzm9DCQIc1SYT9efg2zJ6mLoJgE3kzbROwvk6er8WvBjJ.\n"  # secret
MakeRegistry = Callable[..., int]


@pytest.fixture(scope="session")
def plain(make_registry: MakeRegistry) -> int:
    return make_registry()


@pytest.fixture(scope="session")
def guarded(make_registry: MakeRegistry, tmp_path_factory: pytest.TempPathFactory) -> int:
    """Basic authentication."""
    path = tmp_path_factory.mktemp("auth") / "htpasswd"
    path.write_text(HTPASSWD)
    return make_registry(auth=f"auth: {{htpasswd: {{realm: test, path: {path}}}}}\n")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with key.pem and cert.pem, for localhost."""
    made = tmp_path_factory.mktemp("keys")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", made / "key.pem", "-out", made / "cert.pem",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"],
        check=True, capture_output=True,
    )  # fmt: skip
    return made


class TokenServer:
    """Gives what a cloud's registry gives: a token for one purpose, to who knows the password (or to anybody, to read)."""

    def __init__(self, keys: Path) -> None:
        self.keys, self.asked = keys, 0

    def sign(self, claims: dict[str, object]) -> str:
        certificate = self.keys.joinpath("cert.pem").read_text().split("-----")[2].replace("\n", "")
        head = {"typ": "JWT", "alg": "RS256", "x5c": [certificate]}
        text = b".".join(_url64(json.dumps(part).encode()) for part in (head, claims))
        signer = ["openssl", "dgst", "-sha256", "-sign", str(self.keys / "key.pem")]
        return b".".join(
            [text, _url64(subprocess.run(signer, input=text, capture_output=True, check=True).stdout)]
        ).decode()

    def give(self, scope: str, authorization: str) -> tuple[int, dict[str, object]]:
        self.asked += 1
        known = authorization == f"Basic {base64.b64encode(b'ann:secret').decode()}"
        kind, name, actions = (scope or "registry:none:").rsplit(":", 2)
        if authorization and not known:
            return 401, {"errors": [{"code": "DENIED", "message": "wrong password"}]}
        allowed = [a for a in actions.split(",") if known or a == "pull"]
        claims = {
            "iss": "test", "aud": "test", "sub": "ann", "exp": int(time.time()) + 300, "nbf": int(time.time()) - 5, "iat": int(time.time()),
            "jti": str(self.asked), "access": [{"type": kind, "name": name, "actions": allowed}],
        }  # fmt: skip
        return 200, {"token": self.sign(claims)}


def _url64(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


@pytest.fixture(scope="session")
def token_server(keys: Path) -> Iterator[tuple[TokenServer, int]]:
    tokens = TokenServer(keys)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            scope = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
            status, said = tokens.give(scope, self.headers.get("Authorization", ""))
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(said).encode())

        def log_message(self, *_: object) -> None:
            return

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield tokens, server.server_port
        server.shutdown()


@pytest.fixture(scope="session")
def tokens(make_registry: MakeRegistry, token_server: tuple[TokenServer, int], keys: Path) -> int:
    """Bearer tokens."""
    url = f"http://127.0.0.1:{token_server[1]}/token"
    said = f"{{realm: '{url}', service: test, issuer: test, rootcertbundle: {keys}/cert.pem}}"
    return make_registry(auth=f"auth: {{token: {said}}}\n")


@pytest.fixture
async def socket_to(plain: int, tmp_path: Path) -> AsyncIterator[str]:
    """A UNIX socket that leads to the plain registry, as SSH would give it."""
    path = str(tmp_path / "way.sock")

    async def through(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", plain)
        await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))

    server = await asyncio.start_unix_server(through, path)
    yield path
    server.close()


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(65536):
        sink.write(data)
    sink.close()


class Way:
    """The way to a host, which is this machine."""

    host = "h1"

    def __init__(self, leads_to: str | BayplanError) -> None:
        self.leads_to, self.asked = leads_to, ""

    async def dial(self, target: str) -> str:
        self.asked = target
        if isinstance(self.leads_to, BayplanError):
            raise self.leads_to
        return self.leads_to

    async def run(self, argv: object, deadline: float = 0) -> str:
        raise NotImplementedError

    async def close(self) -> None:
        return


def login(password: str = "secret") -> Login:
    return Login("there", "ann", f"echo {password}")


@pytest.fixture(params=["memory", "plain", "socket", "tcp way", "basic", "bearer", "prefixed"])
async def registry(request: pytest.FixtureRequest, socket_to: str) -> AsyncIterator[Registry]:
    made = _make(request, socket_to)
    yield made
    await made.close()


def _make(request: pytest.FixtureRequest, socket_to: str) -> Registry:
    def port(fixture: str) -> int:
        return int(request.getfixturevalue(fixture))

    match request.param:
        case "memory":
            return MemoryRegistry()
        case "plain":
            return HttpRegistry(f"127.0.0.1:{port('plain')}")
        case "socket":
            return registry_for(model.Registry(host="h1"), Way(f"unix:{socket_to}"))
        case "tcp way":
            return registry_for(model.Registry(host="h1", port=5123), Way(f"tcp:127.0.0.1:{port('plain')}"))
        case "basic":
            return HttpRegistry(f"localhost:{port('guarded')}", login=login())
        case "bearer":
            return HttpRegistry(f"localhost:{port('tokens')}", login=login())
        case _:
            return HttpRegistry(f"localhost:{port('plain')}/team/shop")


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository of the test's own."""
    return f"t/{hashlib.sha256(request.node.name.encode()).hexdigest()[:8]}"


async def test_it_answers(registry: Registry) -> None:
    await registry.ping()


async def test_a_document_comes_back(registry: Registry, name: str) -> None:
    await registry.put_document(name, "one", KIND, b'{"a": 1}')
    assert await registry.get_document(name, "one") == b'{"a": 1}'


async def test_the_same_content_is_the_same_digest_under_any_tag(registry: Registry, name: str) -> None:
    first = await registry.put_document(name, "one", KIND, b"same")
    assert await registry.put_document(name, "two", KIND, b"same") == first
    assert await registry.digest(name, "two") == first
    assert await registry.put_document(name, "three", KIND, b"other") != first


async def test_a_tag_that_is_taken_stays(registry: Registry, name: str) -> None:
    first = await registry.put_document(name, "one", KIND, b"first")
    assert await registry.put_document(name, "one", KIND, b"second") is None
    assert await registry.digest(name, "one") == first
    assert await registry.get_document(name, "one") == b"first"


async def test_what_is_not_there_is_none(registry: Registry, name: str) -> None:
    assert await registry.get_document(name, "none") is None
    assert await registry.digest(name, "none") is None
    assert await registry.stored(name, "none") is None
    assert await registry.tags(name) == ()


async def test_a_document_is_no_image_and_has_its_size(registry: Registry, name: str) -> None:
    digest = await registry.put_document(name, "one", KIND, b"x" * 300)
    found = await registry.stored(name, "one")
    assert found is not None
    assert (found.digest, found.size, found.is_image) == (digest, 300, False)


async def test_repositories_and_their_tags(registry: Registry, name: str) -> None:
    for tag in ("one", "two"):
        await registry.put_document(f"{name}/list", tag, KIND, b"x")
    assert sorted(await registry.tags(f"{name}/list")) == ["one", "two"]
    found = [r for r in await registry.repositories() if r.name == f"{name}/list"]
    assert [Repository(r.name, tuple(sorted(r.tags))) for r in found] == [Repository(f"{name}/list", ("one", "two"))]


async def test_many_at_once(registry: Registry, name: str) -> None:
    await asyncio.gather(*(registry.put_document(name, f"t{n}", KIND, f"{n}".encode()) for n in range(20)))
    read = await asyncio.gather(*(registry.get_document(name, f"t{n}") for n in range(20)))
    assert read == [f"{n}".encode() for n in range(20)]


# -- real registries only -------------------------------------------------------------------------------------------


async def test_long_lists_come_in_pages(plain: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bayplan.images.registry._PAGE", 2)
    registry = HttpRegistry(f"127.0.0.1:{plain}/pages")
    for number in range(5):
        await registry.put_document("many", f"t{number}", KIND, b"x")
        await registry.put_document(f"many/r{number}", "t", KIND, b"x")
    assert len(await registry.tags("many")) == 5
    assert len(await registry.repositories()) == 6
    await registry.close()


async def test_an_index_is_as_large_as_its_first_image(plain: int) -> None:
    """BuildKit pushes one, with what it attests beside the image."""
    registry = HttpRegistry(f"127.0.0.1:{plain}")
    oci = "application/vnd.oci.image"
    said = b'{"architecture": "arm64", "config": {"ExposedPorts": {"80/tcp": {}}}}'
    config = await registry._put_blob("indexed", f"{oci}.config.v1+json", said)
    layer = await registry._put_blob("indexed", f"{oci}.layer.v1.tar", bytes(5000))
    image = {"schemaVersion": 2, "mediaType": f"{oci}.manifest.v1+json", "config": config, "layers": [layer]}
    body = json.dumps(image).encode()
    kinds = ({"architecture": "arm64", "variant": "v8"}, {"architecture": "unknown", "os": "unknown"})
    first, beside = (
        {"mediaType": image["mediaType"], "digest": _sha256(body), "size": len(body), "platform": k} for k in kinds
    )
    index = {"schemaVersion": 2, "mediaType": f"{oci}.index.v1+json", "manifests": [first, beside]}
    for tag, what in (("image", image), ("index", index)):
        kind = {"Content-Type": str(what["mediaType"])}
        await registry._must("PUT", registry._manifest("indexed", tag), kind, json.dumps(what).encode())
        found = await registry.stored("indexed", tag)
        assert found
        told = await registry.image_config("indexed", tag)
        assert (found.size, found.is_image, told.ports, told.architectures) == (5000, True, (80,), ("aarch64",))
    await registry.close()


async def test_our_own_is_reached_by_its_hosts_loopback(plain: int) -> None:
    way = Way(f"tcp:127.0.0.1:{plain}")
    registry = registry_for(model.Registry(host="h1", port=5000), way)
    await registry.ping()
    assert (registry.prefix, way.asked, registry.login) == ("localhost:5000", "127.0.0.1:5000", None)
    await registry.close()


async def test_a_token_is_asked_for_once_a_purpose(tokens: int, token_server: tuple[TokenServer, int]) -> None:
    registry = HttpRegistry(f"localhost:{tokens}", login=login())
    await registry.put_document("asked", "one", KIND, b"x")
    before = token_server[0].asked
    for _ in range(5):
        await registry.digest("asked", "one")
    assert token_server[0].asked - before <= 1
    await registry.close()


async def test_a_registry_with_its_own_authority(
    make_registry: MakeRegistry, keys: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = make_registry(tls=f", tls: {{certificate: {keys}/cert.pem, key: {keys}/key.pem}}")
    monkeypatch.setattr("bayplan.images.transport._is_plain", lambda _host: False)
    stranger = HttpRegistry(f"localhost:{port}")
    with pytest.raises(RegistryError, match="not trusted") as told:
        await stranger.ping()
    assert f"certs.d/localhost:{port}/ca.crt, here and on every host" in told.value.todo
    folder = tmp_path / f"localhost:{port}"
    folder.mkdir()
    (folder / "ca.crt").write_bytes((keys / "cert.pem").read_bytes())
    monkeypatch.setattr("bayplan.images.way._CERTIFICATES", tmp_path)
    registry = HttpRegistry(f"localhost:{port}")
    await registry.put_document("t/tls", "one", KIND, b"x")
    assert await registry.get_document("t/tls", "one") == b"x"
    await stranger.close()
    await registry.close()


# -- what goes wrong ------------------------------------------------------------------------------------------------


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port where nothing listens."""
    import socket

    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        yield int(s.getsockname()[1])


async def refusal(registry: HttpRegistry) -> RegistryError:
    with pytest.raises(RegistryError) as told:
        await registry.put_document("t/no", "one", KIND, b"x")
    await registry.close()
    return told.value


async def test_a_registry_that_is_down_is_named_with_its_host(nobody: int) -> None:
    told = await refusal(registry_for(model.Registry(host="h1"), Way(f"tcp:127.0.0.1:{nobody}")))
    assert told.where == "h1"
    assert "does not answer" in told.what
    assert "doctor" in told.todo


async def test_a_host_that_cannot_be_reached_is_a_registry_that_cannot() -> None:
    way = Way(HostUnreachableError("h1 does not answer", where="h1", todo="look at it"))
    told = await refusal(registry_for(model.Registry(host="h1"), way))
    assert "h1 does not answer" in told.what
    assert isinstance(told.__cause__, HostUnreachableError)


async def test_no_name_server_knows_it() -> None:
    told = await refusal(HttpRegistry("registry.invalid/shop"))
    assert told.where == "registry.invalid"
    assert "registry.address" in told.todo


@pytest.mark.parametrize("server", ["guarded", "tokens"])
async def test_a_wrong_password(server: str, request: pytest.FixtureRequest) -> None:
    port = request.getfixturevalue(server)
    told = await refusal(HttpRegistry(f"localhost:{port}", login=login("hunter2")))
    assert "does not let us in" in told.what
    assert "password_command" in told.todo
    assert "hunter2" not in str(told)


@pytest.mark.parametrize("server", ["guarded", "tokens"])
async def test_no_password_where_one_is_needed(server: str, request: pytest.FixtureRequest) -> None:
    told = await refusal(HttpRegistry(f"localhost:{request.getfixturevalue(server)}"))
    assert "give registry.username" in told.todo


async def test_something_else_listens_there() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    registry = HttpRegistry(f"localhost:{runner.addresses[0][1]}")
    with pytest.raises(RegistryError, match="not a registry"):
        await registry.ping()
    assert "does not know" in (await refusal(registry)).what
    await runner.cleanup()


async def test_what_the_servers_disk_refuses_is_told_in_the_systems_words(
    make_registry: MakeRegistry, tmp_path: Path
) -> None:
    port = make_registry()
    registry = HttpRegistry(f"localhost:{port}")
    await registry.put_document("t/disk", "one", KIND, str(port).encode())
    blob = hashlib.sha256(str(port).encode()).hexdigest()
    [data] = {d for d in tmp_path.parent.resolve().glob("registry[0-9]*/data") if [*d.glob(f"**/{blob}")]}
    uploads = data / "docker/registry/v2/repositories/t/disk/_uploads"
    shutil.rmtree(uploads)
    uploads.touch()
    for refused in (registry.takes("t/disk"), registry.put_document("t/disk", "two", KIND, b"y")):
        with pytest.raises(RegistryError, match=r"POST /v2/t/disk/blobs/uploads/ with 500: Not a directory"):
            await refused
    await registry.close()


async def test_a_full_disk_says_where_room_is_to_be_made() -> None:
    """The answer of CNCF distribution 2.8 on a full disk, to the letter."""
    where = {"Op": "write", "Path": "/var/lib/registry/startedat", "Err": 28}
    detail = {"DriverName": "filesystem", "Enclosed": where}
    said = {"errors": [{"code": "UNKNOWN", "message": "unknown error", "detail": detail}]}
    app = web.Application()
    app.router.add_post("/{path:.*}", partial(_refuse, said))
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    ours = registry_for(model.Registry(host="h1"), Way(f"tcp:127.0.0.1:{port}"))
    for registry, todo in ((ours, "make room on h1"), (HttpRegistry(f"localhost:{port}"), "its disk is full")):
        with pytest.raises(RegistryError, match="with 500: No space left on device") as told:
            await registry.takes("t/full")
        assert told.value.todo.startswith(todo)
        await registry.close()
    await runner.cleanup()


async def _refuse(said: object, request: web.Request) -> web.Response:
    del request
    return web.json_response(said, status=500)


async def test_what_can_be_taken_is(registry: Registry, name: str) -> None:
    await registry.takes(name)
    assert await registry.tags(name) == ()


async def test_a_document_that_was_damaged_is_refused(make_registry: MakeRegistry, tmp_path: Path) -> None:
    port = make_registry()
    registry = HttpRegistry(f"localhost:{port}")
    await registry.put_document("t/damaged", "one", KIND, b"right")
    blob = hashlib.sha256(b"right").hexdigest()
    data = next(p for p in tmp_path.parent.glob(f"*/**/sha256/{blob[:2]}/{blob}/data"))
    data.write_bytes(b"wrong")
    with pytest.raises(RegistryError, match=r"damaged|does not answer"):
        await registry.get_document("t/damaged", "one")
    await registry.close()


async def test_the_manifest_is_one_that_other_tools_understand(plain: int) -> None:
    registry = HttpRegistry(f"localhost:{plain}")
    await registry.put_document("t/shape", "one", KIND, b"x")
    await registry.close()
    async with ClientSession() as session, session.get(f"http://localhost:{plain}/v2/t/shape/manifests/one",
            headers={"Accept": "application/vnd.oci.image.manifest.v1+json"}) as answer:  # fmt: skip
        said = json.loads(await answer.read())
    assert said["artifactType"] == KIND
    assert said["config"]["mediaType"] == "application/vnd.oci.empty.v1+json"
    assert [layer["mediaType"] for layer in said["layers"]] == [KIND]
