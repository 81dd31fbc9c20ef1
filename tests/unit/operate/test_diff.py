"""What changes from one release to another."""

from __future__ import annotations

from tests.given import ingress, service

from bayplan.operate.diff import Change, changes, summary
from bayplan.spec.model import App


def app(**services: object) -> App:
    return App(name="shop", services=services)  # type: ignore[arg-type]


def test_the_same_has_no_changes() -> None:
    assert changes(app(web=service()), app(web=service())) == ()


def test_each_value_that_changed_is_told_by_its_path() -> None:
    before = app(web=service(environment={"A": "1", "B": "2"}, replicas=2))
    after = app(web=service(environment={"A": "1", "C": "3"}, replicas=4, image="shop/web@sha256:2"))
    assert [(c.key, c.before, c.after) for c in changes(before, after)] == [
        ("environment.B", "2", None),
        ("environment.C", None, "3"),
        ("image", "shop/web@sha256:1", "shop/web@sha256:2"),
        ("replicas", 2, 4),
    ]


def test_a_list_is_one_value() -> None:
    (only,) = changes(app(web=service()), app(web=service(ports=(ingress(80), ingress(443)))))
    assert only.key == "ports"
    assert [p["published"] for p in only.after] == [80, 443]


def test_services_that_come_and_go() -> None:
    found = changes(app(web=service(), db=service("db")), app(web=service(), cache=service("cache")))
    assert [(c.where, c.kind) for c in found] == [("services.cache", "added"), ("services.db", "removed")]


def test_a_summary_names_each_key_once() -> None:
    found = (
        Change("services.web", "changed", "environment.A"),
        Change("services.web", "changed", "environment.B"),
        Change("services.web", "changed", "image"),
        Change("services.db", "added"),
        Change("volumes.data", "removed"),
    )
    assert summary(found) == ("web: environment, image", "+ db", "- volumes.data")
