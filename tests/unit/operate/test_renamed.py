"""An app by another name, and the volumes that it had."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.given import facts, fleet, goal, replica, service, up

from bayplan.errors import RegistryError
from bayplan.facts import Facts, VolumeFacts
from bayplan.operate.renamed import notes
from bayplan.spec.model import App
from bayplan.spec.storage import Mount, Volume

DB = service("db", ports=(), mounts=(Mount(kind="volume", source="data", target="/data"),))


class Released:
    """Apps of which there are releases."""

    def __init__(self, *apps: str) -> None:
        self._apps = apps

    async def numbers(self, app: str) -> tuple[int, ...]:
        if not self._apps:
            raise RegistryError("is not there yet")
        return (1,) if app in self._apps else ()


def app(**volume: object) -> App:
    made = goal(fleet("h1", "h2"), DB).app
    return made.model_copy(update={"volumes": {"data": Volume(**{"name": "shop_data", **volume})}})


def there(*volumes: str, user: str = "") -> Facts:
    mounts = (replica(service(user, ports=()), 1, "h2", app="store", volumes=volumes),) if user else ()
    return facts(up("h1"), up("h2", *mounts, volumes=dict.fromkeys(volumes, VolumeFacts())))


def told(wanted: App, seen: Facts, *released: str) -> list[str]:
    return asyncio.run(notes(wanted, seen, Released(*released)))  # type: ignore[arg-type]


@pytest.mark.parametrize("user", ["", "db"])
def test_a_volume_that_the_app_may_have_had_by_another_name_is_told(user: str) -> None:
    (note,) = told(app(), there("store_data", user=user), "store")
    assert note.startswith(
        "db begins on an empty volume, shop_data; store_data of the app store is on h2. If shop is that app"
    )
    assert "bayplan down -p store" in note
    assert "volumes: {data: {name: store_data}}" in note


@pytest.mark.parametrize(
    ("wanted", "seen", "released"),
    [
        (app(), there("store_data"), ("blog",)),  # nobody's of the fleet
        (app(), there("store_data"), ()),  # no registry can tell
        (app(), there("store_data", "shop_data"), ("store",)),  # it has its own
        (app(), there("store_data", user="files"), ("store",)),  # another service's
        (app(), there("store_metadata"), ("store",)),
        (app(name="mine"), there("store_data"), ("store",)),
        (app(external=True), there("store_data"), ("store",)),
        (app(), Facts({**there("store_data").hosts, "h1": replace(up("h1"), reachable=False)}), ("store",)),
    ],
)
def test_what_may_well_be_another_s_is_left_alone(wanted: App, seen: Facts, released: tuple[str, ...]) -> None:
    assert told(wanted, seen, *released) == []
