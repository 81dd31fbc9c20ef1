"""A registry's client: the fleet's own, on one of its hosts, or one that was there before.

Speaks the OCI distribution API 1.0 and 1.1 (CNCF distribution 2.8 and 3, and what is compatible with it).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from bayplan.errors import RegistryError, UnreadableError
from bayplan.image_config import ImageConfig, read_config
from bayplan.images.login import Login
from bayplan.images.transport import Answer, Dial, Transport
from bayplan.ports import Credentials, Reach, Repository, Stored
from bayplan.spec import model
from bayplan.spec.architecture import kernels_of

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
_DOCKER = "application/vnd.docker.distribution.manifest.v2+json"
_DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
_ACCEPT = {"Accept": f"{_DOCKER}, {_DOCKER_LIST}, {_MANIFEST}, {_INDEX}"}
_EMPTY = "application/vnd.oci.empty.v1+json"
_BYTES = {"Content-Type": "application/octet-stream"}
_PAGE = 1000
_AT_ONCE = 16  # requests
_NEXT = re.compile(r'<([^>]+)>\s*;\s*rel="?next"?')


def registry_for(fleet: model.Registry, reach: Reach | None) -> HttpRegistry:
    """The client for what fleet.yaml says. reach: the way to its host; None: an existing one, reached by its name."""
    if reach is not None:
        where, target = reach.host, f"127.0.0.1:{fleet.port}"
        return HttpRegistry(f"localhost:{fleet.port}", where=where, dial=lambda: reach.dial(target))
    prefix = fleet.address or ""
    server = prefix.partition("/")[0]
    known = fleet.username and fleet.password_command
    return HttpRegistry(prefix, login=Login(server, fleet.username, fleet.password_command) if known else None)  # type: ignore[arg-type]


class HttpRegistry:
    """A registry by HTTP. prefix: what image names start with; where: for messages; dial: the way, if not by name."""

    def __init__(self, prefix: str, *, where: str = "", dial: Dial | None = None, login: Login | None = None) -> None:
        self.prefix = prefix.rstrip("/")
        server, _, path = self.prefix.partition("/")
        self._folder = f"{path}/" if path else ""
        self._where, self._login = where or server, login
        self._putting = (
            asyncio.Lock()
        )  # distribution 2.8 on files answers 400 while another upload writes the same link
        self._transport = Transport(server, self._where, dial=dial, login=login)

    @property
    def login(self) -> Credentials | None:
        """What engines need to push and pull there. Raises RegistryError when the password cannot be had."""
        return self._login.credentials if self._login else None

    async def ping(self) -> None:
        """Answers at all, and lets us in."""
        if await self._transport.send("GET", "/v2/") is None:
            raise RegistryError(
                "answers, but is not a registry (no /v2/)", where=self._where, todo="check registry in fleet.yaml"
            )

    async def digest(self, repository: str, tag: str) -> str | None:
        """One small request."""
        answer = await self._transport.send("HEAD", self._manifest(repository, tag), headers=_ACCEPT)
        return answer.headers.get("docker-content-digest") if answer else None

    async def tags(self, repository: str) -> tuple[str, ...]:
        """Page by page."""
        path = f"/v2/{self._folder}{repository}/tags/list?n={_PAGE}"
        return tuple([t async for page in self._pages(path) for t in page.get("tags") or ()])

    async def stored(self, repository: str, tag: str) -> Stored | None:
        """Of an index (several platforms, or what BuildKit attests beside the image), the size is its first image's."""
        answer = await self._transport.send("GET", self._manifest(repository, tag), headers=_ACCEPT)
        if answer is None:
            return None
        said = answer.json()
        layers = (await self._first(repository, said)).get("layers", ())
        size = sum(layer.get("size", 0) for layer in layers) or len(answer.body)
        is_image = "artifactType" not in said and said.get("config", {}).get("mediaType") != _EMPTY
        return Stored(_digest_of(answer), size, is_image)

    async def image_config(self, repository: str, tag: str) -> ImageConfig:
        """Of an index, that of its first image, and the architectures of all that are here."""
        said = (await self._must("GET", self._manifest(repository, tag), _ACCEPT)).json()
        digest = str((await self._first(repository, said)).get("config", {}).get("digest", ""))
        blob = (await self._must("GET", f"/v2/{self._folder}{repository}/blobs/{digest}")).json()
        there = [m async for m in self._images_of(repository, said)] if said.get("manifests") else [blob]
        kinds = sorted({kernels_of(p.get("architecture", ""), p.get("variant", "")) for p in there} - {""})
        return replace(read_config(blob.get("config") or {}), architectures=tuple(kinds))

    async def _images_of(self, repository: str, index: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """The platforms of an index that are here: an engine may push the one alone that it has."""
        for listed in index["manifests"]:
            if await self.digest(repository, str(listed.get("digest", ""))):
                yield listed.get("platform") or {}

    async def _first(self, repository: str, said: dict[str, Any]) -> dict[str, Any]:
        """An index's first image, if it is here (an engine may push the platform alone that it has); else as it is."""
        if not said.get("manifests"):
            return said
        path = self._manifest(repository, str(said["manifests"][0]["digest"]))
        found = await self._transport.send("GET", path, headers=_ACCEPT)
        return found.json() if found else said

    async def repositories(self) -> tuple[Repository, ...]:
        """Those under the prefix, in the registry's order."""
        names = [n async for page in self._pages(f"/v2/_catalog?n={_PAGE}") for n in page.get("repositories") or ()]
        turns = asyncio.Semaphore(_AT_ONCE)

        async def of(name: str) -> Repository:
            async with turns:
                return Repository(name, await self.tags(name))

        ours = (n.removeprefix(self._folder) for n in names if n.startswith(self._folder))
        return tuple(await asyncio.gather(*map(of, ours)))

    async def takes(self, repository: str) -> None:
        """An upload that is begun makes its directory, and so needs what the image would need."""
        started = await self._must("POST", f"/v2/{self._folder}{repository}/blobs/uploads/", _BYTES)
        if place := started.headers.get("location"):
            await self._transport.send("DELETE", place)

    async def put_document(self, repository: str, tag: str, media_type: str, content: bytes) -> str | None:
        """An OCI artifact: the empty configuration, one layer, and a manifest that names its type (image-spec 1.1)."""
        async with self._putting:
            there, config, layer = await self._laid(repository, tag, media_type, content)
            if there is not None:
                return None
            manifest = {
                "schemaVersion": 2,
                "mediaType": _MANIFEST,
                "artifactType": media_type,
                "config": config,
                "layers": [layer],
            }
            body = json.dumps(manifest).encode()
            await self._must("PUT", self._manifest(repository, tag), {"Content-Type": _MANIFEST}, body)
        return _sha256(body)

    async def _laid(
        self, repository: str, tag: str, media_type: str, content: bytes
    ) -> tuple[str | None, dict[str, Any], dict[str, Any]]:
        """What the tag stands for, and what a manifest is to refer to, uploaded meanwhile: side by side, for whoever
        puts waits for it.
        """
        try:
            async with asyncio.TaskGroup() as asking:
                there = asking.create_task(self.digest(repository, tag))
                config = asking.create_task(self._put_blob(repository, _EMPTY, b"{}"))
                layer = asking.create_task(self._upload(repository, media_type, content))
        except ExceptionGroup as failed:  # one registry, one reason
            first = failed.exceptions[0]
            raise first from first.__cause__
        return there.result(), config.result(), layer.result()

    async def get_document(self, repository: str, tag: str) -> bytes | None:
        """Its content, checked against its digest. Raises UnreadableError where it is damaged, or in part lost."""
        answer = await self._transport.send("GET", self._manifest(repository, tag), headers=_ACCEPT)
        if answer is None:
            return None
        digest = _only_layer(answer.json().get("layers"))
        blob = await self._transport.send("GET", f"/v2/{self._folder}{repository}/blobs/{digest}")
        if blob is None or _sha256(blob.body) != digest:
            told = f"{repository}:{tag} " + ("is in part lost" if blob is None else "came damaged")
            raise UnreadableError(told, where=self._where, todo="try again; check the registry's disk")
        return blob.body

    async def close(self) -> None:
        """Let go of connections, and of a password that is still asked for."""
        if self._login:
            self._login.close()
        await self._transport.close()

    def _manifest(self, repository: str, tag: str) -> str:
        return f"/v2/{self._folder}{repository}/manifests/{tag}"

    async def _put_blob(self, repository: str, media_type: str, content: bytes) -> dict[str, Any]:
        """Upload it unless it is there; its descriptor."""
        described = _described(media_type, content)
        path = f"/v2/{self._folder}{repository}/blobs/{described['digest']}"
        if await self._transport.send("HEAD", path) is None:
            await self._upload(repository, media_type, content)
        return described

    async def _upload(self, repository: str, media_type: str, content: bytes) -> dict[str, Any]:
        """In one piece; its descriptor."""
        described = _described(media_type, content)
        started = await self._must("POST", f"/v2/{self._folder}{repository}/blobs/uploads/", _BYTES)
        place = started.headers.get("location", "")
        await self._must("PUT", f"{place}{'&' if '?' in place else '?'}digest={described['digest']}", _BYTES, content)
        return described

    async def _must(
        self, method: str, path: str, headers: dict[str, str] | None = None, content: bytes | None = None
    ) -> Answer:
        answer = await self._transport.send(method, path, headers=headers, content=content)
        if answer is None:
            raise RegistryError(f"the registry does not know {path}", where=self._where, todo="bayplan doctor")
        return answer

    async def _pages(self, path: str) -> AsyncIterator[dict[str, Any]]:
        while path:
            answer = await self._transport.send("GET", path)
            if answer is None:
                return
            yield answer.json()
            further = _NEXT.search(answer.headers.get("link", ""))
            path = further[1] if further else ""


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _described(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _sha256(content), "size": len(content)}


def _only_layer(layers: object) -> str:
    """Its digest; "" where a manifest that is not ours has something else."""
    first = layers[0] if isinstance(layers, list) and layers else None
    return str(first.get("digest", "")) if isinstance(first, dict) else ""


def _digest_of(answer: Answer) -> str:
    return answer.headers.get("docker-content-digest") or _sha256(answer.body)
