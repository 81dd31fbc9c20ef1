"""Where memory engines push to and pull from."""

from __future__ import annotations

import hashlib


class MemoryHub:
    """Images by name. One hub serves several engines, as a registry does."""

    def __init__(self, *names: str) -> None:
        self._ids: dict[str, str] = {}
        for name in names:
            self.put(name, image_id(name))

    def put(self, name: str, image: str) -> str:
        """Keep an image under `repo:tag`; the digest that it can also be had by."""
        digest = f"sha256:{hashlib.sha256(f'manifest of {image}'.encode()).hexdigest()}"
        self._ids[name] = image
        self._ids[digest_name(name, digest)] = image
        return digest

    def get(self, name: str) -> str | None:
        """The id of the image with that name; None if there is none."""
        return self._ids.get(name)

    def names_of(self, image: str, asked: str) -> tuple[str, ...]:
        """The names that an engine knows it by once it has pulled `asked`: that one, and its digest."""
        repository = asked.partition("@")[0].rpartition(":")[0] if "@" not in asked else asked.partition("@")[0]
        digests = (n for n, i in self._ids.items() if i == image and n.startswith(f"{repository}@"))
        return (asked, *digests)


def image_id(content: str | bytes) -> str:
    """The id of an image of that content."""
    return f"sha256:{hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()}"


def digest_name(name: str, digest: str) -> str:
    """`repo@digest` of `repo:tag`."""
    return f"{name.rpartition(':')[0]}@{digest}"
