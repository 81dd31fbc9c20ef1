"""Ports that services call by name, and that nobody has."""

from __future__ import annotations

from typing import Any

import pytest
from tests.given import ingress, service

from bayplan.plan.unanswered import unanswered
from bayplan.spec.model import App, Exposed, External


def app(value: str, **api: Any) -> App:
    """web, whose environment has that value, and api."""
    named = {"ports": (), "networks": {"default": ("backend",)}, **api}
    web = service("web", environment={"API": value, "EMPTY": None})
    return App(name="shop", services={"web": web, "api": service("api", **named)})


@pytest.mark.parametrize(
    "value", ["api:3000", "http://api:3000", "http://api:3000/v1", "amqp://ann:secret@api:3000/x", "a:1,api:3000,b:2",
              "backend:3000"],
)  # fmt: skip
def test_a_port_that_neither_the_file_nor_the_image_names_is_told(value: str) -> None:
    [said] = unanswered(app(value))
    assert said.startswith("nobody answers at api:3000, which API of web names")
    assert said.endswith('write expose: ["3000"] at api')
    assert "secret" not in said


@pytest.mark.parametrize(
    "api",
    [
        {"expose": (Exposed(port=3000),)},
        {"listens": (3000,)},
        {"ports": (ingress(80, 3000),)},
        {"networks": {"back": ()}},
        {"job": True, "listens": (3000,)},
        {"external": External(address="db.example.com", port=3000)},
    ],
)
def test_what_answers_or_has_no_such_name_there_is_not_told(api: dict[str, Any]) -> None:
    if api.pop("job", False):
        api["mode"] = "replicated-job"
    assert unanswered(app("api:3000", **api)) == ()


@pytest.mark.parametrize(
    "value",
    ["api", "http://api/", "api:7", "api:16", "shop/api:300", "myapi:3000", "api.example.com:3000", "api:3000.1",
     "http://api:1234@other/", "api:v3000", "x:api:3000"],
)  # fmt: skip
def test_what_may_mean_something_else_is_not_told(value: str) -> None:
    assert unanswered(app(value)) == ()


def test_what_an_image_that_is_yet_to_be_made_names_is_not_known() -> None:
    assert unanswered(app("api:3000"), {"api"}) == ()
