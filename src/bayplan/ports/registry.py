"""The fleet's registry, as its clients see it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from bayplan.image_config import ImageConfig


@dataclass(frozen=True, slots=True)
class Credentials:
    """For a registry. server: host[:port]."""

    server: str
    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """What a tag of the registry stands for. size: bytes of its compressed layers; is_image False: a document."""

    digest: str
    size: int
    is_image: bool = True


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of the registry and its tags."""

    name: str
    tags: tuple[str, ...]


class Registry(Protocol):
    """The fleet's registry, as its clients see it; repositories are named without the prefix.

    Every method raises RegistryError.
    """

    prefix: str  # what image names start with on the hosts: "localhost:5000" or "registry.example.com/shop"

    @property
    def login(self) -> Credentials | None:
        """What engines need to push and pull there; None: nothing. May run the password's command."""

    async def ping(self) -> None:
        """Answers at all, and lets us in."""

    async def digest(self, repository: str, tag: str) -> str | None:
        """The digest that a tag stands for; None if there is none."""

    async def tags(self, repository: str) -> tuple[str, ...]:
        """The tags of one repository; () if there is none."""

    async def stored(self, repository: str, tag: str) -> Stored | None:
        """What a tag stands for; None if there is none."""

    async def image_config(self, repository: str, tag: str) -> ImageConfig:
        """What an image says of itself. tag: or digest."""

    async def repositories(self) -> tuple[Repository, ...]:
        """What it holds."""

    async def takes(self, repository: str) -> None:
        """Begins an upload and lets it be: what an engine whose push was refused does not say, this raises."""

    async def put_document(self, repository: str, tag: str, media_type: str, content: bytes) -> str | None:
        """Store a small document as an OCI artifact; its digest. The same content again is the same digest.

        None where the tag stands for something already, which stays. No registry can refuse a tag that is there: of two
        that put at the same moment, both may.
        """

    async def get_document(self, repository: str, tag: str) -> bytes | None:
        """A document stored so; None if there is none."""

    async def close(self) -> None:
        """Let go of connections."""
