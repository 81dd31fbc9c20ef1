"""Apps that are on one network know each other's services."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from tests import given

from bayplan.facts import Facts, GatewayFacts
from bayplan.haproxy.state import pack, unpack
from bayplan.plan.addresses import addressed_among
from bayplan.plan.goal import Goal
from bayplan.plan.other_apps import hosts_files, notes
from bayplan.plan.routes import desired
from bayplan.routing import Table
from bayplan.spec.model import App, Network, Service

FLEET = given.fleet("h1")
COMMON = Network(name="common", external=True)


def quiet(name: str, **more: object) -> Service:
    """A service behind no listener, that listens at 3306."""
    return given.service(name, ports=(), **{"listens": (3306,), **more})


def app(name: str, *services: Service, **networks: Network) -> App:
    return App(name=name, services={s.name: s for s in services}, networks=networks)


def brought(table: Table, of: App) -> tuple[Table, App]:
    """The gateway's table once the app is up, and the app as it was released."""
    facts = seen(table)
    made = addressed_among(FLEET.name, of, None, facts)
    host = facts.hosts["h1"]
    assert host.gateway
    return desired(Goal(FLEET, made, 1), facts, host, host.gateway), made


def seen(table: Table) -> Facts:
    return given.facts(given.up("h1", gateway=GatewayFacts(table)))


def known(table: Table, of: str, service: str) -> Mapping[str, str]:
    """Names in its /etc/hosts but for its own, and where they lead."""
    [whole] = (text for names, text in hosts_files(table.names) if (names.app, names.service) == (of, service))
    lines = [line.split() for line in whole.splitlines() if line.startswith("198.18.")]
    assert len({name for _, *names in lines for name in names}) == sum(len(names) for _, *names in lines)
    return {name: address for address, *names in lines for name in names}


def test_services_of_two_apps_on_one_network_know_each_other_whoever_came_first() -> None:
    data = app("data", quiet("db", networks={"common": ("sql",)}), common=COMMON)
    shop = app("shop", given.service(networks={"default": (), "common": ()}), quiet("cache"), common=COMMON)
    for order in ((data, shop), (shop, data)):
        table = Table()
        made: dict[str, App] = {}
        for one in order:
            table, made[one.name] = brought(table, one)
        db, web = made["data"].services["db"].address, made["shop"].services["web"].address
        assert known(table, "shop", "web")["db"] == known(table, "shop", "web")["sql"] == db
        assert known(table, "shop", "web")["db.data"] == db
        assert known(table, "data", "db")["web"] == known(table, "data", "db")["web.shop"] == web
        assert "db" not in known(table, "shop", "cache"), "it is not on that network"
        assert "cache" not in known(table, "data", "db")
        assert unpack(pack(table)) == table


def test_a_network_of_another_app_is_joined_by_its_own_name() -> None:
    """`networks: {default: {external: true, name: data_default}}`; that app is alone, and gets an address for it."""
    table, alone = brought(Table(), app("data", quiet("db")))
    assert alone.services["db"].address == "", "nobody asks for it"
    shop = app("shop", given.service(), default=Network(name="data_default", external=True))
    table, _ = brought(table, shop)
    assert "db" not in known(table, "shop", "web")
    told = "networks.default: data was alone on data_default; its services are known here once it is brought up again"
    assert list(notes(shop, seen(table))) == [told]
    table, joined = brought(table, app("data", quiet("db")))
    assert list(notes(shop, seen(table))) == []
    assert known(table, "shop", "web")["db"] == joined.services["db"].address != ""


def test_apps_that_share_no_network_do_not_know_each_other() -> None:
    table, _ = brought(Table(), app("data", quiet("db"), quiet("cache")))
    table, _ = brought(table, app("shop", given.service(), quiet("db")))
    assert all(text == names.text for names, text in hosts_files(table.names))


def test_a_name_stays_its_first_ones_for_other_apps_and_ones_own_service_comes_first() -> None:
    """Whoever brought a second `db` to the network took the first one from all who called it."""
    table, data = brought(Table(), app("data", quiet("db", networks={"common": ("sql",)}), common=COMMON))
    table, _ = brought(table, app("shop", quiet("site", networks={"common": ()}), common=COMMON))
    second = app(
        "blog", quiet("db", networks={"common": ()}), quiet("site", networks={"common": ("page",)}), common=COMMON
    )
    assert list(notes(second, seen(table))) == [
        "networks.common: other apps on common reach db.data by the name db, as before, and this one's by db.blog",
        "networks.common: other apps on common reach site.shop by the name site, as before, and this one's by site.blog",
    ]
    table, blog = brought(table, second)
    assert list(notes(second, seen(table))) == [], "it is no news"
    first, own = data.services["db"].address, blog.services["db"].address
    assert (known(table, "shop", "site")["db"], known(table, "shop", "site")["db.blog"]) == (first, own)
    assert (known(table, "blog", "site")["db"], known(table, "blog", "site")["db.data"]) == (own, first)
    assert known(table, "data", "db")["page"] == known(table, "data", "db")["site.blog"]
    table, _ = brought(table, app("data"))
    assert "db" not in known(table, "shop", "site")
    table, _ = brought(table, second)
    assert known(table, "shop", "site")["db"] == own, "nobody else has it any more"


def test_nobody_else_on_a_network_is_told() -> None:
    mine = app("shop", quiet("site", networks={"common": ()}), common=COMMON)
    told = "networks.common: no other app of the fleet is on common yet; who comes is known here then"
    assert list(notes(mine, seen(Table()))) == [told]
    table, _ = brought(Table(), mine)
    assert list(notes(mine, seen(table))) == [told]
    assert list(notes(app("blog", quiet("x", networks={"common": ()}), common=COMMON), seen(table))) == []


@pytest.mark.parametrize("shared", [True, False])
def test_who_is_gone_is_known_no_more(shared: bool) -> None:
    networks = {"common": ()} if shared else {"default": ()}
    table, _ = brought(Table(), app("data", quiet("db", networks=networks), quiet("x"), common=COMMON))
    table, _ = brought(table, app("shop", quiet("site", networks=networks), quiet("y"), common=COMMON))
    gone, _ = brought(replace(table), app("data"))
    assert {n.app for n in gone.names} == ({"shop"} if shared else {"shop", "data"})
