"""One operator at a time, on real hosts: many at once, and holders that are killed, hang, or are cut off."""

from __future__ import annotations

import itertools
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.lab.site import Running, Site, a_site, asked, cut

from bayplan.lab import Lab
from bayplan.lab.process import wait_for
from bayplan.plan.names import lock_name

pytestmark = pytest.mark.shares_lab

MANY = 20
REFUSED = "somebody else is changing the fleet"
_TURNS = itertools.count(1)
LATE = "8"  # seconds until a new replica listens: so long a scale takes at least


@pytest.fixture(scope="module")
def site(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with a_site(lab, tmp_path_factory.mktemp("locked"), "locked") as site:
        yield site


@pytest.fixture(autouse=True)
def _mended(site: Site) -> None:
    site.mend()


def locks(lab: Lab) -> dict[str, str]:
    """By host: the state of the lock's container, where there is one."""
    found: dict[str, str] = {}
    for host in lab.hosts:
        for entry in asked(lab, host.name, "/containers/json?all=1"):
            if entry["Names"] == [f"/{lock_name(lab.name)}"]:
                found[host.name] = entry["State"]
    return found


def holder(site: Site, home: Path | None = None) -> Running:
    """An `up` that has the lock, and will have it for seconds."""
    wait_for(lambda: "running" not in locks(site.lab).values(), "the last command's lock is gone", deadline=60)
    site.write(environment={"VERSION": site.version, "LATE": LATE, "TURN": str(next(_TURNS))})
    running = site.start("up", home=home)
    wait_for(lambda: "running" in locks(site.lab).values(), "the lock is held", deadline=60)
    return running


def test_twenty_at_once_take_turns_or_are_refused_and_nothing_is_lost_or_doubled(site: Site, tmp_path: Path) -> None:
    homes = [tmp_path / f"{n}" for n in range(MANY)]
    for home in homes:
        home.mkdir()
    first = release(site)
    patient = {n for n in range(MANY) if n % 2}
    running = [
        site.start("scale", f"web={2 + n % 5}", *(["--wait"] if n in patient else []), home=home)
        for n, home in enumerate(homes)
    ]
    said = [one.ended(None) for one in running]
    ends = [one.process.returncode for one in running]
    for n, (text, status) in enumerate(zip(said, ends, strict=True)):
        assert "Traceback" not in text, text
        assert status == 0 if n in patient else status == 0 or (status == 1 and REFUSED in text), text
    done = [int(m[1]) for text in said if (m := re.search(r"locked release (\d+): web (\d+)/\2 ready", text))]
    assert len(done) == ends.count(0)  # each whole when it ended: nobody took its replicas away meanwhile
    assert release(site) == max(done)
    assert not any("another bayplan" in text for text in said)
    wanted = next(int(m[1]) for text in said if (m := re.search(rf"release {max(done)}: web (\d+)/", text)))
    assert site.slots() == list(range(1, wanted + 1))
    assert len(site.taking()) == wanted
    assert not site.json("scale", f"web={wanted}")["new_release"]
    assert set(done) <= set(range(first, max(done) + 1))
    wait_for(lambda: locks(site.lab) == {}, "the lock is nobody's", deadline=10)


def test_the_loser_is_told_and_nothing_is_changed(site: Site) -> None:
    running = holder(site)
    before = release(site)
    said = site.bayplan("scale", "web=1", status=1)
    assert re.search(REFUSED + r": \S+: up locked, since \d\d:\d\d:\d\d \(.* ago\)", said)
    assert "--wait" in said
    assert "locked release" in running.ended()
    assert release(site) - before <= 1
    assert site.slots() == [1, 2, 3]


def test_those_who_only_look_need_not_wait(site: Site) -> None:
    running = holder(site)
    site.bayplan("ps")
    site.bayplan("plan")
    assert running.process.poll() is None
    running.ended()


def test_a_holder_that_is_killed_frees_it_within_a_second(site: Site) -> None:
    running = holder(site)
    running.kill()
    began = time.monotonic()
    wait_for(lambda: "running" not in locks(site.lab).values(), "nothing holds it", deadline=10)
    assert time.monotonic() - began < 1
    said = site.bayplan("up", "--wait")
    assert "waits for" not in said
    wait_for(lambda: locks(site.lab) == {}, "nothing of it is left", deadline=10)


def test_a_holder_that_hangs_loses_it_and_finds_out(site: Site, tmp_path: Path) -> None:
    running = holder(site, home=tmp_path)
    running.process.send_signal(signal.SIGSTOP)
    try:
        began = time.monotonic()
        second = site.start("up", "--wait").until(r"s  release \d")  # so the lock is its own
        assert "waits for" in second.said()
        assert time.monotonic() - began < 45
        second.ended()
    finally:
        running.process.send_signal(signal.SIGCONT)
    assert "the lock was lost" in running.ended(1)
    assert site.slots() == [1, 2, 3]
    assert site.nothing_is_left_to_do()


@pytest.mark.parametrize("host", ["h1", "h2"])
def test_a_host_that_falls_silent_meanwhile_takes_the_lock_from_nobody(site: Site, host: str) -> None:
    """Both hold it. h1, which has the registry, only while replicas are replaced."""
    site.renew()
    running = holder(site)
    wait_for(lambda: host == "h2" or locks(site.lab).get("h2") == "running", "replicas start", deadline=60)
    with cut(site.lab, host):
        wait_for(lambda: locks(site.lab).get("h3") == "running", "another host makes up for it", deadline=60)
        assert "does not answer" in running.ended(3)
    # What the silent host has of it ends by itself, some seconds after the last sign of life, or waits to be started.
    wait_for(lambda: "running" not in locks(site.lab).values(), "the lock is nobody's", deadline=60)


def test_two_first_ups_on_bare_hosts_take_turns(make_lab: object, tmp_path: Path) -> None:
    bare = make_lab(hosts=3)  # type: ignore[operator]
    sites = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        sites.append(Site(bare, tmp_path / name, name))
    for one in sites:
        one.write()
    homes = [tmp_path / "a", tmp_path / "b"]
    for home in homes:
        home.mkdir()
    running = [one.start("up", "--wait", home=home) for one, home in zip(sites, homes, strict=True)]
    said = [one.ended() for one in running]
    assert any("waits for" in text for text in said)
    for one in sites:
        assert one.is_whole()


def test_without_most_of_the_hosts_nothing_is_begun(site: Site) -> None:
    with cut(site.lab, "h2"), cut(site.lab, "h3"):
        said = site.bayplan("scale", "web=1", status=1)
        assert "2 of 3 hosts must answer" in said
        assert "--assume-down h2 --assume-down h3" in said
        assert "web 1/1 ready" in site.bayplan("scale", "web=1", "--assume-down", "h2", "--assume-down", "h3", status=3)


def release(site: Site) -> int:
    return int(site.json("ps")["release"])
