"""What dies, is cut or is interrupted, at any moment: the site goes on, and the next `up` brings back the whole."""

from __future__ import annotations

import itertools
import re
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from tests.lab.site import PATIENCE, WHOLE, Site, a_site, asked, cut, on

from bayplan import labels
from bayplan.lab import Lab
from bayplan.lab.process import wait_for

pytestmark = pytest.mark.shares_lab

# Lines of a rolling `up` of release N, from its build to the last of the old replicas.
ROLLING = ["Step 2/3", r"started rolled-web-2", "takes traffic", " drains", ": removed rolled-web"]
SSH = 22
_NAMES = itertools.count(1)


@pytest.fixture(scope="module")
def shared(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(lab, tmp_path_factory.mktemp("rolled"), "rolled") as site:
        yield site


@pytest.fixture
def site(shared: Site) -> Site:
    shared.mend()
    return shared


@pytest.fixture
def fresh(lab: Lab, tmp_path: Path) -> Iterator[Site]:
    """An app that was never up, on hosts that are ready."""
    site = Site(lab, tmp_path, f"fresh-{next(_NAMES)}")
    site.write()
    yield site
    site.bayplan("down")


def stands(site: Site) -> bool:
    """Whether it is whole, and nothing is left to do."""
    assert site.is_whole(), (site.containers(), site.pool())
    return site.nothing_is_left_to_do()


# -- bayplan dies -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("moment", ROLLING)
def test_up_killed_while_it_replaces_a_release_is_finished_by_the_next(site: Site, moment: str) -> None:
    site.renew()
    with site.load() as load:
        site.start("up").until(moment).kill()
        assert set(site.slots()) == {1, 2, 3}
        assert site.taking()
        site.bayplan("up")
    assert load.was_answered()
    assert stands(site)


@pytest.mark.parametrize("moment", ["Step 2/3", "started fresh"])
def test_a_first_up_that_is_killed_is_finished_by_the_next(fresh: Site, moment: str) -> None:
    fresh.start("up").until(moment).kill()
    fresh.bayplan("up")
    assert stands(fresh)


@pytest.mark.parametrize("moment", ["Step 2/3", "started rolled"])
def test_ctrl_c_ends_it_in_order_and_says_what_to_do(site: Site, moment: str) -> None:
    site.renew()
    with site.load() as load:
        said = site.start("up").until(moment).interrupt(status=130)
        assert "interrupted" in said
        assert "bayplan up" in said
        assert "Traceback" not in said
        site.bayplan("up")
    assert load.was_answered()
    assert stands(site)


def test_of_two_ups_at_once_the_later_release_stands_and_nothing_is_lost_or_doubled(site: Site, tmp_path: Path) -> None:
    running = []
    with site.load() as load:
        for operator in ("one", "two"):
            (tmp_path / operator).mkdir()
            site.renew()
            running.append(site.start("up", "--wait", home=tmp_path / operator).until("web: "))  # it has read the file
        for one in running:
            said = one.ended()
            assert "Traceback" not in said, said
    assert load.was_answered()
    assert stands(site)


def test_two_ups_of_the_same_at_once(fresh: Site, tmp_path: Path) -> None:
    running = []
    for operator in ("one", "two"):
        (tmp_path / operator).mkdir()
        running.append(fresh.start("up", home=tmp_path / operator))
    for one in running:
        said = one.ended(status=None)
        assert "Traceback" not in said, said
    fresh.bayplan("up")
    assert stands(fresh)


# -- a host, an engine, a gateway dies --------------------------------------------------------------------------------


def test_a_registry_that_is_killed_while_an_image_is_made_is_started_again(site: Site) -> None:
    """The push finds nobody, and somebody when it is tried again."""
    dockerfile = site.directory / "web" / "Dockerfile"
    before = dockerfile.read_text()
    dockerfile.write_text(f"{before}RUN sleep 3\n")
    site.renew()
    try:
        running = site.start("up").until("RUN sleep")
        on(site.lab, "h1", "docker", "kill", f"bayplan-registry-{site.lab.name}")
        assert "h1: started registry" in running.ended()
        assert stands(site)
    finally:
        dockerfile.write_text(before)


def test_a_host_that_is_cut_and_comes_back(site: Site) -> None:
    """What was on its way to the host over a connection that stands, a request a client, is all that is lost. Who waited
    for a connection as it was found to be lost was cut with them, though another was about to be tried.
    """
    lab = site.lab
    with ExitStack() as clients:
        loads = [clients.enter_context(site.load()) for _ in range(6)]
        with cut(lab, "h3"):
            site.renew()
            said = site.bayplan("up", status=3)
            assert re.search(r"h3.* does not answer", said)
            assert "--assume-down h3" in said
            assert "waits for h3, which does not answer yet" in said
            assert site.hosts()["h3"] == 1  # seen from its console: nobody has touched it
            site.bayplan("up", "--assume-down", "h3", status=3)
            assert site.answers_from(3)
            assert sum(site.hosts()[h] for h in ("h1", "h2")) == 3
        site.bayplan("up")
    for load in loads:
        assert load.was_answered(but=1)
        assert all("kept connection: RemoteDisconnected" in failure for failure in load.failures), load.failures
    assert stands(site)


def test_an_engine_that_is_killed_and_started_again(site: Site) -> None:
    lab = site.lab
    with site.load() as load:
        lab.fault("kill-engine", "h2")
        try:
            assert site.answers_from(3)  # containers run on
            said = site.bayplan("up", status=3)
            assert re.search(r"h2.* does not answer", said)
        finally:
            lab.fault("start-engine", "h2")
        wait_for(lambda: site.states() == {"running": 3}, "the replicas are back", deadline=PATIENCE)
        site.bayplan("up")
    assert load.was_answered(but=2)  # one of each client: an engine that starts kills what runs of its containers
    assert stands(site)


def test_a_gateway_that_dies_comes_back_by_itself_as_it_was(site: Site) -> None:
    before = site.taking()
    gateway = f"bayplan-gateway-{site.lab.name}"
    process = on(site.lab, "h1", "docker", "inspect", "-f", "{{.State.Pid}}", gateway)
    on(site.lab, "h1", "kill", "-KILL", process)
    wait_for(lambda: answers(site) and site.taking() == before, "the site is back", deadline=PATIENCE)
    assert stands(site)


def test_a_gateway_that_was_removed_is_made_again_with_the_listeners_of_every_app(site: Site, fresh: Site) -> None:
    fresh.bayplan("up")
    before = site.taking()
    on(site.lab, "h1", "docker", "rm", "-f", f"bayplan-gateway-{site.lab.name}")
    assert not answers(site)
    fresh.bayplan("up")
    assert answers(fresh)
    assert site.taking() == before
    assert stands(site)


def answers(site: Site) -> bool:
    try:
        return bool(site.ask())
    except OSError:
        return False


# -- under load -------------------------------------------------------------------------------------------------------


def test_replacing_growing_and_shrinking_fail_no_request(site: Site) -> None:
    with site.load() as load:
        site.renew()
        site.bayplan("up")
        site.bayplan("scale", "web=7")
        assert site.answers_from(7)
        site.bayplan("scale", "web=3")
    assert load.was_answered()
    assert len(load.versions()) == 2
    assert stands(site)


def test_what_a_replica_is_asked_it_answers_before_it_goes(site: Site) -> None:
    """Requests of five seconds, of replicas that have been up for longer than open requests are given."""
    limit, old = 6, site.version
    time.sleep(limit)
    site.renew()
    site.write(**{"x-bayplan": {"drain": f"{limit}s", "probe": {"path": "/", "interval": "300ms"}}})
    running = site.start("up").until("started rolled")
    with ThreadPoolExecutor() as clients:
        answers = list(clients.map(site.ask, ["/slow/5"] * 2 * WHOLE))
    assert old in {answer.split()[-1] for answer in answers}
    running.ended()
    assert stands(site)


def test_another_gateway_comes_to_every_host_and_no_request_fails(site: Site) -> None:
    """The same HAProxy by its digest: gateways and guards of another definition, on every host, and back."""
    plain, gateway = site.fleet, f"bayplan-gateway-{site.lab.name}"
    image = on(site.lab, "h1", "docker", "inspect", "-f", "{{index .RepoDigests 0}}", "haproxy:3.0")
    other = plain.with_name("another.yaml")
    other.write_text(plain.read_text().replace("haproxy:3.0", image))
    with site.load() as load:
        for fleet, wanted in ((other, image), (plain, "haproxy:3.0")):
            site.fleet = fleet
            site.bayplan("up")
            for host in site.lab.hosts:
                told = ["docker", "ps", "-a", "--filter", f"name={gateway}", "--format", "{{.Names}} {{.Image}}"]
                there = on(site.lab, host.name, *told).splitlines()
                assert [line.split()[0] for line in there] == [gateway], there
                assert on(site.lab, host.name, "docker", "inspect", "-f", "{{.Config.Image}}", gateway) == wanted
    assert load.was_answered()
    assert stands(site)


# -- what is left, what answers ---------------------------------------------------------------------------------------


def test_down_leaves_nothing_of_the_app(fresh: Site) -> None:
    fresh.bayplan("up")
    fresh.bayplan("down")
    assert fresh.containers() == {}
    assert fresh.pool() == {}
    with pytest.raises(ConnectionRefusedError):
        fresh.ask()
    of_the_app = quote(f'{{"label":["{labels.APP}={fresh.name}"]}}')
    for host in fresh.lab.hosts:
        assert asked(fresh.lab, host.name, f"/networks?filters={of_the_app}") == []


# Prints each ADDRESS:PORT of its arguments that takes a connection.
KNOCK = """
import asyncio, sys
async def knock(door):
    address, port = door.split(":")
    try:
        async with asyncio.timeout(3):
            (await asyncio.open_connection(address, int(port)))[1].close()
        print(door)
    except OSError:
        pass
async def all_of_them():
    await asyncio.gather(*map(knock, sys.argv[1:]))
asyncio.run(all_of_them())
"""


@contextmanager
def routed(lab: Lab) -> Iterator[None]:
    """From outside, each host's private address is reached through its public one, as in many a cloud."""
    for host in lab.hosts:
        done = lab.outside(["ip", "route", "replace", host.private_ip, "via", host.public_ip])
        assert done.returncode == 0, done.stderr
    try:
        yield
    finally:
        for host in lab.hosts:
            lab.outside(["ip", "route", "del", host.private_ip])


def test_from_outside_nothing_but_listeners_answers(site: Site) -> None:
    lab = site.lab
    listening = {h.name: set(re.findall(r":(\d+) ", on(lab, h.name, "ss", "-Hltn"))) for h in lab.hosts}
    published = {at.rpartition(":")[2] for at in site.taking().values()}
    assert published <= set().union(*listening.values())
    doors = {f"{ip}:{p}" for h in lab.hosts for ip in (h.public_ip, h.private_ip) for p in listening[h.name]}
    with routed(lab):
        done = lab.outside([sys.executable, "-c", KNOCK, *sorted(doors)])
    first = lab.hosts[0]
    listeners = {f"{ip}:{site.port}" for ip in (first.public_ip, first.private_ip)}
    shells = {f"{ip}:{SSH}" for h in lab.hosts for ip in (h.public_ip, h.private_ip)}
    opened = set(done.stdout.split())
    assert listeners <= opened  # the route works
    assert opened - shells - listeners == set()
