"""Versions of secrets: new with a new value, kept with the same, and nothing of the value in them."""

from __future__ import annotations

import asyncio

from tests import given

from bayplan.operate.secrets import versioned
from bayplan.plan.replica import definition, replica_container
from bayplan.spec.model import App
from bayplan.spec.storage import Grant, Secret

VALUE = b"correct horse battery staple"


def app(**more: object) -> App:
    web = given.service(secrets=(Grant(source="key", target="/run/secrets/key"),))
    return App(name="shop", services={"web": web}, secrets={"key": Secret(name="shop_key", file="/k", **more)})


def made(value: bytes | None, before: App | None = None) -> App:
    return asyncio.run(versioned(app(), before, {} if value is None else {"key": value}))


def test_the_same_value_is_the_same_release() -> None:
    first = made(VALUE)
    assert made(VALUE, first) == first
    assert made(None, first) == first


def test_another_value_is_another_release_and_another_replica() -> None:
    first = made(VALUE)
    second = made(b"another", first)
    assert second.secrets["key"].version != first.secrets["key"].version
    web = first.services["web"]
    assert definition(web, first) != definition(web, second)


def test_nothing_of_the_value_is_in_a_release_or_a_container() -> None:
    """Nor anything that follows from it alone: the same value elsewhere has another version and another check."""
    one, other = made(VALUE), made(VALUE)
    assert one.secrets["key"].version != other.secrets["key"].version
    assert one.secrets["key"].check != other.secrets["key"].check
    assert VALUE.decode() not in one.model_dump_json()
    fleet = given.fleet("h1")
    goal = given.goal(fleet, one.services["web"])
    goal = type(goal)(fleet, one, 1)
    container = replica_container(
        goal, one.services["web"], 1, fleet.hosts["h1"], (), definition(one.services["web"], one)
    )
    told = str(container)
    assert one.secrets["key"].version in told
    assert VALUE.decode() not in told
    assert one.secrets["key"].check not in told
