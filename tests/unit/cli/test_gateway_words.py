"""A gateway's new configuration, in the words of the Compose file."""

from __future__ import annotations

import pytest

from bayplan.cli.gateway_words import changes
from bayplan.plan.steps import Configure
from bayplan.routing import Listener, Names, Pool, Route, Table

SHOP, BLOG, DB = (Pool(f"shop.{name}.80", "shop", name) for name in ("shop", "blog", "db"))
INNER = Listener(80, "198.18.0.7", "http", (Route(SHOP.name),))


def http(*routes: Route, port: int = 80, address: str = "") -> Listener:
    return Listener(port, address, "http", routes)


def table(*fronts: Listener, pools: tuple[Pool, ...] = (SHOP, BLOG, DB)) -> Table:
    return Table(fronts, pools)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (table(), table(http(Route(SHOP.name))), ["port 80 leads to shop"]),
        (table(), table(http(Route(SHOP.name), port=8080, address="10.0.0.1")), ["10.0.0.1:8080 leads to shop"]),
        (table(), table(Listener(5432, "", "tcp", (Route(DB.name),))), ["port 5432 leads to db"]),
        (
            table(),
            table(http(Route(SHOP.name, ("a.example", "b.example")), Route(BLOG.name, path="/blog"))),
            ["port 80 leads to blog (/blog), shop (a.example, b.example)"],
        ),
        (
            table(http(Route(SHOP.name)), http(Route(BLOG.name), port=81)),
            table(http(Route(BLOG.name))),
            ["port 80 leads to blog", "port 80 no longer leads to shop", "port 81 no longer leads to blog"],
        ),
        (table(pools=()), table(http(Route("lost.80")), INNER, pools=()), ["port 80 leads to lost.80"]),
        (table(), table(INNER), ["gateway knows shop"]),
        (table(INNER), table(), ["gateway no longer knows shop"]),
        (Table(), Table(registry=(5000, "10.0.0.1", 5000)), ["gateway leads to the registry"]),
        (Table(registry=(5000, "10.0.0.1", 5000)), Table(), ["gateway leads to no registry any more"]),
        (table(), table(pools=(SHOP,)), []),
        (table(), Table(pools=(SHOP, BLOG, DB), names=(Names("shop", "shop", "127.0.0.1 localhost"),)), []),
        (
            table(),
            table(pools=(SHOP, BLOG, Pool(DB.name, "shop", "db", check="http /"))),
            ["gateway configured anew: x"],
        ),
    ],
)
def test_what_changes_for_clients_and_replicas_is_told(before: Table, after: Table, told: list[str]) -> None:
    assert list(changes(before, Configure("h1", after, "x"))) == told
