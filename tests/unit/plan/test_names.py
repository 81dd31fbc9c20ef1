"""Services find each other: addresses of their own, names in /etc/hosts, and who leads where."""

from __future__ import annotations

from hypothesis import given as examples
from hypothesis import strategies as st
from tests import given

from bayplan.facts import Binding
from bayplan.plan.addresses import BLOCK, addressed, taken_by_others
from bayplan.plan.goal import Memory
from bayplan.plan.hosts_file import names
from bayplan.plan.leads import leads
from bayplan.plan.replica import bindings, definition, free_targets, targets
from bayplan.plan.routes import desired, inner_fronts
from bayplan.plan.standing import QUIET, is_serving
from bayplan.routing import Names
from bayplan.spec import local_fleet
from bayplan.spec.model import App, Exposed, Link, Service
from bayplan.spec.options import Options

FLEET = given.fleet("h1", "h2", "h3")


def app(*services: Service) -> App:
    return App(name="shop", services={s.name: s for s in services})


def quiet(name: str, **more: object) -> Service:
    """A service behind no listener."""
    return given.service(name, ports=(), **more)


def text(of: App, service: str) -> list[str]:
    goal = given.goal(FLEET, *of.services.values())
    found = {n.service: n for n in names(goal, FLEET.hosts["h1"], {})}
    return found[service].text.splitlines()[2:]


def test_one_service_alone_has_no_address_of_its_own() -> None:
    assert addressed("t", app(given.service()), None, ()).services["web"].address == ""


def test_addresses_follow_from_the_names_and_stay() -> None:
    both = addressed("t", app(given.service(), quiet("db")), None, ())
    web, db = (both.services[n].address for n in ("web", "db"))
    assert web != db
    more = addressed("t", app(quiet("new"), given.service(), quiet("db")), both, ())
    assert [more.services[n].address for n in ("web", "db")] == [web, db]
    alone = addressed("t", app(given.service()), both, ())
    assert alone.services["web"].address == web, "who knows it goes on asking there"


def test_an_address_that_another_app_has_by_now_is_not_gone_back_to() -> None:
    """It was down meanwhile, and is rolled back to a release from before that: two would be at one address."""
    before = addressed("t", app(given.service(), quiet("db")), None, ())
    web, db = (before.services[n].address for n in ("web", "db"))
    again = addressed("t", before, before, (web,))
    assert again.services["db"].address == db
    assert again.services["web"].address not in ("", web, db)
    alone = before.model_copy(update={"services": {"web": before.services["web"]}})
    assert addressed("t", alone, alone, (web,)).services["web"].address not in ("", web)


@examples(st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), min_size=2, max_size=40, unique=True))
def test_no_two_services_share_an_address(services: list[str]) -> None:
    first = addressed("t", app(*(quiet(n) for n in services)), None, ())
    theirs = {s.address for s in first.services.values()}
    assert len(theirs) == len(services)
    other = addressed("t", App(name="shop", services=first.services), None, theirs)
    assert not {s.address for s in other.services.values()} & theirs
    assert all(s.address.startswith("198.18.") for s in other.services.values())
    assert BLOCK.num_addresses == 65536


def test_names_are_those_of_the_networks_that_are_shared() -> None:
    web = given.service(networks={"front": (), "back": ()}, links=(Link(service="db", alias="sql"),))
    db = quiet("db", networks={"back": ("database", "db1")})
    proxy = quiet(
        "proxy", networks={"front": ("edge",)}, options=Options(extra_hosts=("host=host-gateway", "x=192.0.2.7"))
    )
    made = addressed("t", app(web, db, proxy), None, ())
    at = {n: s.address for n, s in made.services.items()}
    assert text(made, "web") == [f"{at['web']} web", f"{at['db']} db database db1 sql", f"{at['proxy']} proxy edge"]
    assert text(made, "db") == [f"{at['web']} web", f"{at['db']} db database db1"]
    assert text(made, "proxy") == [f"{at['web']} web", f"{at['proxy']} proxy edge", "10.77.0.11 host", "192.0.2.7 x"]


def test_this_machine_is_not_the_loopback_of_its_replicas() -> None:
    """`host.docker.internal:host-gateway` led a replica to itself."""
    web = given.service(options=Options(extra_hosts=("host.docker.internal=host-gateway",)))
    fleet = local_fleet({})
    [found] = names(given.goal(fleet, web), fleet.hosts["localhost"], {})
    assert found.text.splitlines()[2:] == ["198.18.0.1 host.docker.internal"]
    made = addressed("t", app(*(quiet(f"s{i}") for i in range(300))), None, ())
    assert "198.18.0.1" not in {s.address for s in made.services.values()}


def test_a_host_name_and_its_domain_are_one_name() -> None:
    """`hostname -f` of a mail server said `mail`."""
    mail = quiet("mail", options=Options(hostname="mail", domainname="example.com"))
    assert text(app(mail), "mail") == ["127.0.1.1 mail.example.com mail"]
    for half in (Options(hostname="mail.example.com"), Options(domainname="example.com"), Options()):
        assert text(app(quiet("mail", options=half)), "mail") == []


def test_every_host_leads_to_a_service_and_balancers_alone_to_one_without_an_address() -> None:
    web = given.service(listens=(8080, 9000))
    assert list(leads(FLEET, web)) == [("h1", 8080)]
    known = web.model_copy(update={"address": "198.18.1.1"})
    assert list(leads(FLEET, known)) == [(h, t) for h in ("h1", "h2", "h3") for t in (8080, 9000)]


def test_what_others_reach_gets_a_host_port_too() -> None:
    web = given.service(expose=(Exposed(port=9000), Exposed(port=53, protocol="udp")), listens=(8080, 9100))
    assert free_targets(web) == targets(web) == (8080, 9000, 9100)
    bound = bindings(web, FLEET.hosts["h1"], (20080, 29000, 29100))
    assert [(b.target, b.port) for b in bound] == [(8080, 20080), (9000, 29000), (9100, 29100)]


def test_an_address_is_no_reason_to_start_anybody_anew() -> None:
    web = given.service(listens=(8080,))
    assert definition(web) == definition(web.model_copy(update={"address": "198.18.1.1"}))
    assert definition(web) != definition(web.model_copy(update={"listens": (8080, 9000)}))


def test_gateways_of_all_hosts_listen_at_the_addresses_from_the_first_on() -> None:
    both = addressed("t", app(given.service(), quiet("db", listens=(3306,))), None, ())
    goal = given.goal(FLEET, *both.services.values())
    fronts = {(f.address, f.port, f.mode) for f in inner_fronts(goal)}
    assert fronts == {(both.services["web"].address, 8080, "tcp"), (both.services["db"].address, 3306, "tcp")}
    facts = given.facts(*(given.up(h) for h in FLEET.hosts))
    for host in facts.hosts.values():
        assert host.gateway
        table = desired(goal, facts, host, host.gateway)
        assert {(f.address, f.port, f.mode) for f in table.listeners} == fronts
        assert {p.name for p in table.pools} == {"shop.web.8080", "shop.db.3306"}
        lines = ("127.0.0.1 localhost", "::1 localhost ip6-localhost ip6-loopback", *text(both, "db"), "")
        networks = (("shop_default", ("db",)),)
        assert Names("shop", "db", "\n".join(lines), networks, both.services["db"].address) in table.names


def test_addresses_of_other_apps_are_read_from_the_gateways() -> None:
    both = addressed("t", app(given.service(), quiet("db", listens=(3306,))), None, ())
    goal = given.goal(FLEET, *both.services.values())
    host = given.up("h1")
    assert host.gateway
    there = given.up("h1", gateway=given.GatewayFacts(desired(goal, given.facts(host), host, host.gateway)))
    assert taken_by_others(given.facts(there), "blog") == {s.address for s in both.services.values()}
    assert taken_by_others(given.facts(there), "shop") == frozenset()


def test_a_worker_of_a_servers_image_counts_after_a_while() -> None:
    worker = quiet("worker", listens=(80,), address="198.18.1.1")
    one = given.replica(worker, 1, "h1")
    facts = given.facts(given.up("h1", one), given.up("h2"), given.up("h3"))
    run = Memory(tried=frozenset({one.id}), first_seen={one.id: 10.0})
    assert not is_serving(one, worker, FLEET, facts, run, 10.0 + QUIET - 1)
    assert is_serving(one, worker, FLEET, facts, run, 10.0 + QUIET)
    asked = worker.model_copy(update={"expose": (Exposed(port=80),)})
    assert not is_serving(one, asked, FLEET, facts, run, 10.0 + QUIET)


def test_of_ports_that_expose_names_a_program_may_leave_some_alone() -> None:
    """MariaDB listens on 3306, and many files have `expose: [3306, 33060]` of MySQL's: it was never ready."""
    db = quiet("db", expose=(Exposed(port=3306), Exposed(port=33060)), address="198.18.1.1")
    one = given.replica(db, 1, "h1", ports=(Binding(3306, 23306, "10.77.0.11"),))
    run = Memory(tried=frozenset({one.id}), first_seen={one.id: 10.0})

    def serves(service: Service, *ports: int, age: float) -> bool:
        there = given.serving(
            given.goal(FLEET, service), {f"shop.{service.name}.{p}": [given.server(one)] for p in ports}
        )
        facts = given.facts(*(given.up(h, *([one] if h == "h1" else []), gateway=there) for h in FLEET.hosts))
        return is_serving(one, service, FLEET, facts, run, 10.0 + age)

    assert serves(db, 3306, 33060, age=0)
    assert not serves(db, 3306, age=QUIET - 1)
    assert serves(db, 3306, age=QUIET)
    assert not serves(db, age=QUIET), "it answers nowhere"
    led_to = given.service("db", expose=(Exposed(port=3306),), address="198.18.1.1")
    assert not serves(led_to, 3306, age=QUIET), "a listener leads to 8080"
    assert serves(led_to, 8080, age=QUIET)
