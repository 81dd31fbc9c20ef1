"""An app whose releases cannot be read."""

from __future__ import annotations

from tests import given

from bayplan.facts import GatewayFacts
from bayplan.operate.inferred import inferred
from bayplan.routing import Listener, Route

WEB = given.service()
POOL = "shop.web.8080"


def test_clients_listeners_are_told_and_not_a_service_s_own_address() -> None:
    """`ps` showed 198.18.… beside them when the registry was down."""
    listeners = tuple(Listener(port, at, routes=(Route(POOL),)) for port, at in [(80, ""), (8080, "198.18.16.189")])
    gateway = GatewayFacts(given.table(listeners=listeners))
    web = inferred(given.facts(given.up("h1", given.replica(WEB, 1, "h1"), gateway=gateway)), "shop").app.services[
        "web"
    ]
    assert [(p.published, p.target) for p in web.ports] == [(80, 8080)]
