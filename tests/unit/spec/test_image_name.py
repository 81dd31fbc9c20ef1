"""Image names, by distribution/reference's grammar."""

from __future__ import annotations

import re

import pytest

from bayplan.spec.image_name import Reference, built, component, copied, is_at, parse

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("nginx", Reference("docker.io", "library/nginx", "latest")),
        ("nginx:1.27", Reference("docker.io", "library/nginx", "1.27")),
        ("docker.io/nginx", Reference("docker.io", "library/nginx", "latest")),
        ("index.docker.io/me/x", Reference("docker.io", "me/x", "latest")),
        ("me/x:1", Reference("docker.io", "me/x", "1")),
        ("localhost/x", Reference("localhost", "x", "latest")),
        ("localhost:5000/a/b:c", Reference("localhost:5000", "a/b", "c")),
        ("ghcr.io/a/b/c", Reference("ghcr.io", "a/b/c", "latest")),
        (f"nginx@{DIGEST}", Reference("docker.io", "library/nginx", "latest", DIGEST)),
        (f"nginx:1@{DIGEST}", Reference("docker.io", "library/nginx", "1", DIGEST)),
    ],
)
def test_taken_apart(written: str, meant: Reference) -> None:
    assert parse(written) == meant


@pytest.mark.parametrize(
    ("image", "server", "is_there"),
    [
        ("registry.example.com/shop/web:1", "registry.example.com", True),
        ("registry.example.com:5000/web", "registry.example.com", False),
        ("haproxy:3.2", "docker.io", True),
        ("registry.example.com.evil.net/web", "registry.example.com", False),
        ("No Image", "docker.io", False),
    ],
)
def test_where_it_is_to_be_had(image: str, server: str, is_there: bool) -> None:
    assert is_at(image, server) == is_there


@pytest.mark.parametrize(
    "wrong", ["", "Nginx", "a//b", "nginx:", "nginx:-x", "a b", "nginx@sha256:12", "-a", "ghcr.io/"]
)
def test_no_name(wrong: str) -> None:
    with pytest.raises(ValueError, match="is not"):
        parse(wrong)


@pytest.mark.parametrize("name", ["shop", "a_", "a--b", "A", "web.1", "web__x", "_", "über", "localhost:5000"])
def test_any_name_has_a_place_in_a_registry(name: str) -> None:
    assert re.fullmatch(r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*", component(name))


def test_names_that_look_alike_are_told_apart() -> None:
    assert len({component(n) for n in ("web", "Web", "WEB", "web_", "web-")}) == 5


def test_places() -> None:
    assert built("shop", "web") == "shop/web"
    assert copied("shop", parse("postgres:16")) == ("shop/library/postgres", "16")
    assert copied("shop", parse("ghcr.io/a/b")) == ("shop/ghcr.io/a/b", "latest")
    assert copied("shop", parse(f"postgres@{DIGEST}")) == ("shop/library/postgres", DIGEST.replace(":", "-"))
