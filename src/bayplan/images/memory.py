"""A registry in memory, for tests that are not about registries; the contract suite holds it to the real ones."""

from __future__ import annotations

import hashlib

from bayplan.image_config import ImageConfig
from bayplan.ports import Credentials, Repository, Stored


class MemoryRegistry:
    """Documents and the digests of images, by repository and tag."""

    def __init__(self, prefix: str = "localhost:5000") -> None:
        self.prefix = prefix
        self.login: Credentials | None = None
        self._documents: dict[tuple[str, str], bytes] = {}
        self._images: dict[tuple[str, str], Stored] = {}

    async def ping(self) -> None:
        return

    async def digest(self, repository: str, tag: str) -> str | None:
        found = await self.stored(repository, tag)
        return found.digest if found else None

    async def tags(self, repository: str) -> tuple[str, ...]:
        return tuple(sorted(t for r, t in {**self._documents, **self._images} if r == repository))

    async def stored(self, repository: str, tag: str) -> Stored | None:
        document = self._documents.get((repository, tag))
        if document is not None:
            return Stored(_sha256(document), len(document), is_image=False)
        return self._images.get((repository, tag))

    async def image_config(self, repository: str, tag: str) -> ImageConfig:
        del repository, tag
        return ImageConfig()

    async def repositories(self) -> tuple[Repository, ...]:
        names = sorted({r for r, _ in {**self._documents, **self._images}})
        return tuple([Repository(name, await self.tags(name)) for name in names])

    async def takes(self, repository: str) -> None:
        del repository

    async def put_document(self, repository: str, tag: str, media_type: str, content: bytes) -> str | None:
        del media_type
        if await self.digest(repository, tag) is not None:
            return None
        self._documents[repository, tag] = content
        return _sha256(content)

    async def get_document(self, repository: str, tag: str) -> bytes | None:
        return self._documents.get((repository, tag))

    async def close(self) -> None:
        return

    def receive(self, image: str, content: str) -> str:
        """What a push does: the image by its whole name stands for `content`; its digest."""
        repository, _, tag = image.removeprefix(f"{self.prefix}/").rpartition(":")
        stored = Stored(_sha256(content.encode()), len(content))
        self._images[repository, tag] = stored
        return stored.digest


def _sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
