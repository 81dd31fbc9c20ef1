"""Image names: taken apart, and what an image is called in the fleet's registry.

Rules: distribution's reference grammar (github.com/distribution/reference).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

HUB = "docker.io"
_NAME = re.compile(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image's name in full: "nginx" is docker.io, library/nginx, tag latest."""

    domain: str
    path: str
    tag: str
    digest: str = ""

    def __str__(self) -> str:
        return f"{self.domain}/{self.path}" + (f"@{self.digest}" if self.digest else f":{self.tag}")


def parse(image: str) -> Reference:
    """Take a name apart as Docker does. Raises ValueError if it is none."""
    rest, _, digest = image.partition("@")
    head, slash, tail = rest.partition("/")
    is_domain = bool(slash) and ("." in head or ":" in head or head == "localhost")
    domain, path = (head, tail) if is_domain else (HUB, rest)
    path, colon, tag = path.partition(":")
    if domain in (HUB, "index.docker.io"):
        domain, path = HUB, path if "/" in path else f"library/{path}"
    if digest and not _DIGEST.fullmatch(digest):
        raise ValueError(f"{image!r}: {digest!r} is not a digest, such as sha256: and 64 hexadecimal digits")
    if colon and not _TAG.fullmatch(tag):
        raise ValueError(f"{image!r}: {tag!r} is not a tag")
    if not all(_NAME.fullmatch(part) for part in path.split("/")):
        raise ValueError(f"{image!r} is not the name of an image: lower-case letters, digits, and . _ - between them")
    return Reference(domain, path, tag or "latest", digest)


def is_at(image: str, server: str) -> bool:
    """Whether an image is to be had from that registry: "registry.example.com:5000", "docker.io"."""
    try:
        return parse(image).domain == server
    except ValueError:
        return False


def component(name: str) -> str:
    """A name of ours as one part of a repository's; what cannot stand there is replaced, and told apart by a digest."""
    if _NAME.fullmatch(name):
        return name
    plain = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return f"{plain}-{hashlib.sha256(name.encode()).hexdigest()[:6]}".lstrip("-")


def built(app: str, service: str) -> str:
    """The repository of what a service's `build:` makes."""
    return f"{component(app)}/{component(service)}"


def copied(app: str, image: Reference) -> tuple[str, str]:
    """(repository, tag) of the app's own copy of somebody's image: shop/library/postgres, 16."""
    domain = "" if image.domain == HUB else f"{component(image.domain)}/"
    tag = image.digest.replace(":", "-") if image.digest else image.tag
    return f"{component(app)}/{domain}{image.path}", tag
