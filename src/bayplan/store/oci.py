"""Releases as OCI artifacts in the fleet's registry, beside the images that they pin."""

from __future__ import annotations

import re

from bayplan.ports import Registry, Release
from bayplan.spec.image_name import component
from bayplan.store.document import MEDIA_TYPE, read, taken, write

_TAG = re.compile(r"release-([1-9]\d*)")


class OciReleases:
    """`ROOT/APP:release-N`. root: a repository path under the registry's prefix."""

    def __init__(self, registry: Registry, root: str = "bayplan") -> None:
        self._registry, self._root = registry, root
        self._read: dict[tuple[str, int], Release] = {}

    async def get(self, app: str, number: int) -> Release | None:
        """One of them, read once: a release never changes, and its number is never another's."""
        if (app, number) not in self._read and (found := await self._fetched(app, number)):
            self._read[app, number] = found
        return self._read.get((app, number))

    async def _fetched(self, app: str, number: int) -> Release | None:
        repository, tag = self._repository(app), _tag(number)
        content = await self._registry.get_document(repository, tag)
        return read(content, f"{self._registry.prefix}/{repository}:{tag}") if content is not None else None

    async def numbers(self, app: str) -> tuple[int, ...]:
        """All of them, ascending."""
        return _numbers(await self._registry.tags(self._repository(app)))

    async def put(self, release: Release) -> None:
        """Record one. The operator's lock keeps two from racing."""
        repository, tag = self._repository(release.app), _tag(release.number)
        if await self._registry.put_document(repository, tag, MEDIA_TYPE, write(release)) is None:
            raise taken(release, f"{self._registry.prefix}/{repository}:{tag}")

    def _repository(self, app: str) -> str:
        return f"{self._root}/{component(app)}"


def _tag(number: int) -> str:
    return f"release-{number}"


def _numbers(tags: tuple[str, ...]) -> tuple[int, ...]:
    return tuple(sorted(int(m[1]) for t in tags if (m := _TAG.fullmatch(t))))
