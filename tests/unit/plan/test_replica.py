"""What a replica's container is made of, and when another definition is another container."""

from __future__ import annotations

from tests import given

from bayplan.plan.goal import Goal
from bayplan.plan.plan import plan
from bayplan.plan.replica import definition, is_cut_off, replica_container
from bayplan.plan.steps import Network as NetworkStep
from bayplan.spec.model import App, Dependency, Healthcheck, Network, Service
from bayplan.spec.options import Options


def container(service: Service):
    on = given.fleet("h1")
    return replica_container(given.goal(on, service), service, 1, on.hosts["h1"], (), definition(service))


def test_definitions_from_before_there_were_options_stay_as_they_were() -> None:
    """A digest that changes would replace every replica of every fleet at the next release."""
    assert definition(Service(name="x", image="x", healthcheck=Healthcheck())) == "5c8afef8ee8d"


def test_what_a_check_leaves_out_is_its_images_or_the_engines_and_so_is_the_definition() -> None:
    def digest(check: Healthcheck | None, images: Healthcheck | None = None) -> str:
        return definition(Service(name="x", image="x", healthcheck=check, image_healthcheck=images))

    bare, slow = Healthcheck(test=("CMD", "x")), Healthcheck(test=("CMD", "y"), interval=300)
    written = Healthcheck(test=("CMD", "x"), interval=30, timeout=30, start_period=0, retries=3)
    assert digest(bare) == digest(written) == digest(bare, Healthcheck(test=("NONE",))) == digest(written, slow)
    assert digest(bare, slow) != digest(bare)
    assert digest(None, slow) == digest(None)  # the image says it anyhow


def test_an_init_of_the_engines_own_is_no_other_definition() -> None:
    plain = Service(name="x", image="x")
    assert definition(plain) == definition(plain.model_copy(update={"init": False}))
    assert definition(plain) != definition(plain.model_copy(update={"init": True}))


def test_more_listeners_to_a_port_are_the_same_container() -> None:
    one = given.service(ports=(given.ingress(80, 8080),))
    assert definition(one) == definition(given.service(ports=(given.ingress(81, 8080),)))
    assert definition(one) == definition(given.service(ports=(given.ingress(80, 8080), given.ingress(81, 8080))))
    assert definition(one) != definition(given.service(ports=(given.ingress(80, 8080), given.ingress(81, 9090))))


def test_an_option_is_another_definition() -> None:
    plain = Service(name="x", image="x")
    assert definition(plain) == definition(plain.model_copy(update={"options": Options()}))
    assert definition(plain) != definition(plain.model_copy(update={"options": Options(read_only=True)}))
    assert definition(plain) == definition(plain.model_copy(update={"service_labels": {"a": "b"}}))


def test_what_restarts_with_another_is_another_when_that_is() -> None:
    db, quiet = given.service("db", ports=()), given.service("quiet", ports=())
    needs = {"db": Dependency(restart=True), "quiet": Dependency(), "gone": Dependency(restart=True, required=False)}
    web = given.service(depends_on=needs)

    def of(*others: Service) -> str:
        return definition(web, App(name="shop", services={s.name: s for s in (web, *others)}))

    newer = {"image": "newer"}
    assert of(db, quiet) == of(db, quiet.model_copy(update=newer)) == of(db.model_copy(update={"replicas": 2}), quiet)
    assert of(db, quiet) != of(db.model_copy(update=newer), quiet)
    plain = web.model_copy(update={"depends_on": {"db": Dependency()}})
    assert definition(plain) == definition(plain, App(name="shop", services={"web": plain, "db": db}))


def test_options_reach_the_container() -> None:
    options = Options(privileged=True, cap_add=("A",), cap_drop=("B",), pid="host", hostname="h", read_only=True)
    made = container(given.service(options=options))
    assert (made.privileged, made.cap_add, made.cap_drop, made.pid_mode, made.hostname) == (
        True,
        ("A",),
        ("B",),
        "host",
        "h",
    )
    assert made.options.read_only


def test_a_name_and_a_network_of_its_own_unless_written() -> None:
    made = container(given.service())
    assert (made.hostname, made.network) == ("web-1", "t-shop")
    assert container(given.service(ports=(), options=Options(network_mode="none"))).network == "none"
    assert container(given.service(ports=(), options=Options(network_mode="host"))).network == "host"


def test_who_is_on_internal_networks_alone_has_a_bridge_of_its_own() -> None:
    db, web, job = (given.service(name, ports=()) for name in ("db", "web", "extra"))
    db = db.model_copy(update={"networks": {"back": (), "deep": ()}})
    web = web.model_copy(update={"networks": {"back": (), "front": ()}})
    networks = {
        "back": Network(name="shop_back", internal=True),
        "deep": Network(name="shop_deep", internal=True),
        "front": Network(name="shop_front"),
    }
    app = App(name="shop", services={s.name: s for s in (db, web, job)}, networks=networks)
    assert [name for name, service in app.services.items() if is_cut_off(app, service)] == ["db"]
    assert definition(db, app) != definition(db, app.model_copy(update={"networks": {}}))
    assert definition(web, app) == definition(web, app.model_copy(update={"networks": {}}))
    on = given.fleet("h1")
    facts = given.facts(given.up("h1", networks=frozenset()))
    steps = plan(Goal(on, app, 1), facts, 0.0).steps
    made = {s.name: s.bridge for s in steps if isinstance(s, NetworkStep)}
    assert sorted(made) == ["t-shop", "t-shop.internal"]
    of = {n: replica_container(Goal(on, app, 1), s, 1, on.hosts["h1"], (), "").network for n, s in app.services.items()}
    assert of == {"db": "t-shop.internal", "web": "t-shop", "extra": "t-shop"}
