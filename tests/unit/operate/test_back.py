"""What goes back by itself when a release fails, and to what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests import given

from bayplan.operate.back import by_rollback_config, last_that_serves, to_go_back, undone
from bayplan.operate.release import Chosen
from bayplan.plan.replica import definition
from bayplan.plan.steps import Failure
from bayplan.ports import Release
from bayplan.spec.model import App, Service, Update
from bayplan.spec.storage import Config, Grant, Secret
from bayplan.store.directory import DirectoryReleases

BACK = Update(failure_action="rollback")


def chosen(*services: Service, number: int = 2, **more: Any) -> Chosen:
    app = App(name="shop", services={s.name: s for s in services}, **more)
    return Chosen(number, app, is_new=True, before={})


def failure(of: str, *, tolerated: bool = False) -> Failure:
    return Failure("h1", of, f"shop-{of}-1-r2", "exited", tolerated)


def test_who_asked_for_it_failed_and_was_another_before() -> None:
    web, api, db = (given.service(n, image="old", ports=(), update=BACK) for n in ("web", "api", "db"))
    changed = [web.model_copy(update={"image": "new"}), api.model_copy(update={"image": "new", "update": Update()}), db]
    now = chosen(*changed, given.service("late", ports=(), update=BACK))
    failures = [failure(n) for n in ("web", "api", "db", "late")]
    assert to_go_back(chosen(web, api, db, number=1), now, failures) == ("web",)
    assert to_go_back(chosen(web, api, db, number=1), now, [failure("web", tolerated=True)]) == ()
    assert to_go_back(None, now, failures) == ()


def test_a_release_that_was_tried_before_has_none_to_go_back_to() -> None:
    again = Chosen(2, chosen(given.service(update=BACK)).app, is_new=False, before={})
    assert to_go_back(chosen(given.service(image="old")), again, [failure("web")]) == ()


def test_the_others_stay_as_they_are_now() -> None:
    before = chosen(given.service(image="old"), given.service("api", image="old"), secrets={"key": Secret(name="key")})
    now = chosen(given.service(image="new"), given.service("api", image="new"))
    app = undone(before.app, now.app, ["web"])
    assert {n: s.image for n, s in app.services.items()} == {"web": "old", "api": "new"}
    assert set(app.secrets) == {"key"}, "what it names is there"


def test_a_config_goes_back_too_and_with_it_who_mounts_it() -> None:
    mounts = (Grant(source="conf", target="/conf"),)
    web, api = (given.service(n, ports=(), update=BACK, configs=mounts) for n in ("web", "api"))
    good, bad = ({"conf": Config(name="conf", content=text)} for text in ("good", "bad"))
    before, now = chosen(web, api, number=1, configs=good), chosen(web, api, configs=bad)
    back = to_go_back(before, now, [failure("web")])
    assert back == ("web", "api")
    app = undone(before.app, now.app, back)
    for service in (web, api):
        assert definition(app.services[service.name], app) == definition(service, before.app)
    another_image = chosen(web.model_copy(update={"image": "new"}), configs=bad)
    assert undone(before.app, another_image.app, ["web"]).configs == good


@pytest.mark.parametrize("is_kept", [True, False])
def test_a_listener_goes_back_to_whom_it_was_taken_from(is_kept: bool) -> None:
    """Nobody had it: who had got it was as before, and who had had it was as in the release that failed, or gone."""
    site, web = given.service("site"), given.service("web", image="old", ports=(), update=BACK)
    kept = (site.model_copy(update={"ports": ()}),) if is_kept else ()
    before, now = chosen(site, web, number=1), chosen(*kept, given.service("web", update=BACK))
    back = to_go_back(before, now, [failure("web")])
    assert undone(before.app, now.app, back).services == before.app.services


def test_who_got_a_listener_of_one_that_goes_back_does_so_too_or_goes_where_it_is_new() -> None:
    web = given.service("web", image="old", update=BACK)
    behind = web.model_copy(update={"ports": (), "image": "new"})
    before, now = chosen(web, number=1), chosen(behind, given.service("proxy"))
    back = to_go_back(before, now, [failure("web")])
    assert back == ("web", "proxy")
    assert undone(before.app, now.app, back).services == {"web": web}


def test_going_back_has_a_pace_of_its_own() -> None:
    fast = Update(parallelism=9, order="stop-first")
    app = chosen(given.service(rollback=fast), given.service("api", update=BACK)).app
    assert {n: s.update for n, s in by_rollback_config(app).services.items()} == {"web": fast, "api": BACK}


async def test_what_failed_before_and_was_left_so_is_not_gone_back_to(tmp_path: Path) -> None:
    """Who interrupts an `up` that fails, and brings what fails as well, was brought the first failure again."""
    good, broken, worse = (given.service(image=image, update=BACK) for image in ("good", "broken", "worse"))
    releases = DirectoryReleases(tmp_path)
    first, second, third = (chosen(s, number=n) for n, s in enumerate((good, broken, worse), 1))
    for one in (first, second):
        await releases.put(Release(one.number, "shop", one.app.model_dump_json(), "ann", 0.0))
    goal = given.goal(given.fleet("h1", "h2"), good)
    serves, ill = given.replica(good, 1, "h1"), given.replica(broken, 2, "h2", release=2, state="restarting")
    of_first, of_none = given.standing(goal, serves, ill), given.standing(goal)
    of_second = given.standing(goal, serves, given.replica(broken, 2, "h2", release=2))
    for facts, expected in ((of_first, 1), (of_second, 2), (of_none, 2)):
        assert (await last_that_serves(releases, second, third, [failure("web")], facts)).number == expected
    assert (await last_that_serves(releases, second, third, [failure("other")], of_first)).number == 2
