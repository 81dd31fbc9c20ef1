"""What is told of a file that is not there, when an example of it is beside it."""

from __future__ import annotations

import pytest

from bayplan.spec import load_app

_COPY = "copy {} to {} and fill it in"


@pytest.mark.parametrize(
    ("there", "named", "todo"),
    [
        (".env.example", ".env", _COPY.format(".env.example", ".env")),
        (".env.sample", "./.env", _COPY.format(".env.sample", ".env")),
        (".env-dist", ".env", _COPY.format(".env-dist", ".env")),
        ("env.template", ".env", _COPY.format("env.template", ".env")),
        ("example.env", ".env", _COPY.format("example.env", ".env")),
        ("app/db.env.example", "app/db.env", _COPY.format("app/db.env.example", "app/db.env")),
        ("app/db.example.env", "app/db.env", _COPY.format("app/db.example.env", "app/db.env")),
        (".env.production.example", ".env.production", _COPY.format(".env.production.example", ".env.production")),
        (".env.example", ".env.production", _COPY.format(".env.example", ".env.production")),
        ("db.env.example", ".env", "check the name"),
        (".env.example/file", ".env", "check the name"),
        (".env.redistribute", ".env", "check the name"),
        (".env.example", "none/.env", "check the name"),
    ],
)
def test_an_env_file_is_copied_from_its_example(folder, there: str, named: str, todo: str) -> None:
    folder.write(there, "A=1\n")
    (told,) = folder.mistakes(lambda: folder.web(f"env_file: {named}"))
    assert told.partition(" | ")[2] == todo


def test_a_configs_file_too(folder) -> None:
    folder.write("nginx.conf.dist", "x")
    text = "services: {web: {image: x, configs: [c]}}\nconfigs: {c: {file: nginx.conf}}\n"
    (told,) = folder.mistakes(lambda: folder.app(text))
    assert told.endswith("| copy nginx.conf.dist to nginx.conf and fill it in")


def test_variables_are_set_in_a_copy_of_the_example(folder) -> None:
    """Unless there is an `.env` already, which lacks them."""
    folder.write(".env.example", "TAG=\n")
    text = "services:\n  web:\n    image: x:${TAG:?}\n    environment: {A: $KEY}\n"
    path = folder.write("compose.yaml", text)
    warned: list[str] = []

    def told() -> list[str]:
        return folder.mistakes(
            lambda: load_app([path], project=None, environment={}, fleet=None, warn=lambda m: warned.append(m.todo))
        )

    copy = "copy .env.example to .env and fill it in, or set it in the environment"
    assert told() == [f"3: the variable TAG is not set | {copy}"]
    assert warned == [f"{copy}, or give it a default: ${{KEY:-value}}"]
    folder.write(".env", "KEY=1\n")
    assert told() == ["3: the variable TAG is not set | set it in the environment or in .env"]
