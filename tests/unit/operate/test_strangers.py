"""What docker compose still runs of an app, and others, where the app's data is."""

from __future__ import annotations

import pytest
from tests.given import facts, fleet, goal, replica, service, up

from bayplan.errors import BayplanError
from bayplan.facts import Stranger
from bayplan.operate.strangers import check, writers
from bayplan.spec.model import App
from bayplan.spec.storage import Mount, Volume

DATA = "shop_data"
THEIRS = Stranger("shop-db-1", "shop", writes=frozenset({DATA}))


def app(*, external: bool = False, read_only: bool = False) -> App:
    db = service("db", mounts=(Mount(kind="volume", source="data", target="/data", read_only=read_only),))
    made = goal(fleet("h1"), db).app
    return made.model_copy(update={"volumes": {"data": Volume(name=DATA, external=external)}})


def test_two_do_not_write_to_one_volume() -> None:
    """A database that docker compose runs had a second one beside it, on the same files."""
    with pytest.raises(
        BayplanError, match="shop-db-1, which docker compose runs, writes to the volume shop_data"
    ) as told:
        check(app(), facts(up("h1", strangers=(THEIRS,))))
    assert "nothing of the app was changed" in told.value.what
    assert "docker compose -p shop down" in told.value.todo


def test_a_container_of_nobody_s_project_is_to_be_stopped_by_its_name() -> None:
    with pytest.raises(BayplanError, match="the container x writes to the volume") as told:
        check(app(), facts(up("h1", strangers=(Stranger("x", writes=frozenset({DATA})),))))
    assert "docker stop x; or, if it only reads" in told.value.todo


def test_an_app_that_grows_from_one_machine_to_a_fleet_is_taken_down_there_first() -> None:
    before = Stranger("shop-db-1-r4", fleet="local", writes=frozenset({DATA}))
    with pytest.raises(BayplanError, match="shop-db-1-r4 of the fleet local writes to the volume") as told:
        check(app(), facts(up("h1", strangers=(before,))))
    assert "bayplan down; its volumes stay), with fleet.yaml out of the way" in told.value.todo


@pytest.mark.parametrize(
    ("wanted", "stranger"),
    [
        (app(), Stranger("shop-web-1", "shop", writes=frozenset({"shop_uploads"}))),
        (app(), Stranger("reads", "shop")),
        (app(read_only=True), THEIRS),
        (app(external=True), THEIRS),
    ],
)
def test_who_writes_to_none_of_it_is_let_be(wanted: App, stranger: Stranger) -> None:
    check(wanted, facts(up("h1", strangers=(stranger,))))


def test_what_lives_there_already_is_not_held_up() -> None:
    """Somebody looks into the volume of what runs, by a shell of their own."""
    ours = replica(app().services["db"], 1, "h1", of_app=app(), volumes=(DATA,))
    assert not list(writers(app(), facts(up("h1", ours, strangers=(THEIRS,)))))
