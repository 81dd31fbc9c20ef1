"""The verbs that act on what runs: stop, start, restart, run, cp; on real hosts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.site import BAYPLAN, Site, asked, bayplan, fleet_with, on
from tests.lab.terminal import on_a_terminal

from bayplan import labels
from bayplan.lab import Lab
from bayplan.lab.process import wait_for

pytestmark = pytest.mark.shares_lab


def others(site: Site) -> list[str]:
    """Containers of the app that are no replicas."""
    found = (c for h in site.lab.hosts for c in asked(site.lab, h.name, "/containers/json?all=1"))
    return [c["Names"][0] for c in found if c["Labels"].get(labels.ROLE) == "run"]


def test_what_is_stopped_is_kept_and_stays_stopped_until_it_is_started(site: Site) -> None:
    before = site.containers()
    site.bayplan("stop")
    assert site.states() == {"exited": 3}
    assert site.pool() == {}
    assert site.json("ps")["services"][0]["instances"] == []
    shown = site.json("ps", "-a")["services"][0]
    assert shown["stopped"]
    assert [i["state"] for i in shown["instances"]] == ["stopped"] * 3
    site.lab.fault("kill-engine", "h2")
    site.lab.fault("start-engine", "h2")
    assert site.states() == {"exited": 3}
    assert "web 3/3 ready" in site.bayplan("start")
    assert {name: c[:2] for name, c in site.containers().items()} == {name: c[:2] for name, c in before.items()}
    assert site.is_whole()
    policy = asked(site.lab, "h1", f"/containers/{next(c[1] for c in before.values() if c[0] == 'h1')}/json")
    assert policy["HostConfig"]["RestartPolicy"]["Name"] == "always"


def test_up_brings_back_what_is_stopped(site: Site) -> None:
    site.bayplan("stop", "web")
    assert "web 3/3 ready" in site.bayplan("up")
    assert site.is_whole()


def test_a_restart_is_noticed_by_nobody(site: Site) -> None:
    before = site.started()
    with site.load() as load:  # parallelism is 3 in the file: one serves on all the same
        site.bayplan("restart", "web")
    assert load.was_answered()
    after = site.started()
    assert after.keys() == before.keys()
    assert all(after[name] > before[name] for name in before)
    assert site.is_whole()


def test_run_has_the_service_s_environment_and_the_command_s_status(site: Site) -> None:
    script = "echo $VERSION $B $BAYPLAN_REPLICA; cat; exit 7"
    done = site.piped("run", "--rm", "-e", "B=2", "web", "sh", "-c", script, given="in\n", status=7)
    assert done.stdout == f"{site.version} 2 web-run\nin\n", done.stderr
    assert site.slots() == [1, 2, 3]
    wait_for(lambda: others(site) == [], "it is gone", deadline=20)


def test_run_reaches_the_app_from_the_host_that_is_asked_for(site: Site) -> None:
    done = site.piped("run", "--host", "h3", "-T", "web", "perl", "-e", "print $ENV{BAYPLAN_HOST}")
    assert done.stdout == "h3", done.stderr
    assert "the command nosuch is not in the image" in site.bayplan("run", "web", "nosuch", status=127)
    done = site.piped("run", "--image", "debian:bookworm-slim", "cat", "/etc/debian_version")
    assert done.stdout.startswith("12"), done.stderr


def test_run_on_a_terminal_is_the_terminal_of_the_command(site: Site) -> None:
    script = "tty; until stty size | grep '33 99'; do sleep 0.1; done; read x; echo got $x; exit 7"
    argv = [*BAYPLAN, "run", "--rm", "-it", "web", "sh", "-c", script]
    with on_a_terminal(argv, site.directory, site.surroundings(), size=(33, 99)) as terminal:
        terminal.shows(b"33 99")
        terminal.types(b"hello\n")
        terminal.shows(b"got hello")
        assert terminal.process.wait(20) == 7
    wait_for(lambda: others(site) == [], "it is gone", deadline=20)


def test_run_that_is_cut_short_leaves_nothing(site: Site) -> None:
    running = site.start("run", "web", "sh", "-c", "echo begun; exec sleep 1000").until("begun")
    [one] = site.json("ps", "-a")["runs"]
    assert (one["service"], one["state"]) == ("web", "running")
    assert site.json("ps")["runs"] == []
    running.interrupt()
    wait_for(lambda: others(site) == [], "it is gone", deadline=20)


def test_files_go_in_and_come_out(site: Site) -> None:
    (site.directory / "note").write_text("hello\n")
    site.bayplan("cp", "note", "web:/tmp/")
    for slot in ("1", "2", "3"):
        assert site.piped("exec", "--replica", slot, "web", "cat", "/tmp/note").stdout == "hello\n"
    site.bayplan("cp", "--replica", "2", "web:/tmp/note", "back")
    assert (site.directory / "back").read_text() == "hello\n"
    site.bayplan("cp", "web:/etc/alternatives", ".")
    assert (site.directory / "alternatives" / "awk").readlink() == Path("/usr/bin/mawk")
    site.bayplan("cp", "web:/nope", ".", status=1)


def test_the_key_may_come_from_the_environment(site: Site, tmp_path: Path) -> None:
    """As docs/ci.md has it: in an ssh-agent, and no file."""
    config = site.lab.ssh_config.read_text().splitlines()
    fleet = fleet_with(site.lab, tmp_path, "\n".join(line for line in config if "Identit" not in line))
    environment = site.environment | {"HOME": str(tmp_path), "SSH_AUTH_SOCK": str(tmp_path / "agent")}

    def ps(runtime: str, status: int) -> None:
        (tmp_path / runtime).mkdir()
        alone = environment | {"XDG_RUNTIME_DIR": str(tmp_path / runtime)}  # shares no connection with others
        bayplan(site.directory, alone, "ps", "--fleet", str(fleet), status=status)

    agent = subprocess.Popen(["ssh-agent", "-D", "-a", environment["SSH_AUTH_SOCK"]], stdout=subprocess.DEVNULL)
    try:
        wait_for(Path(environment["SSH_AUTH_SOCK"]).exists, "the agent listens", deadline=10)
        ps("a", status=4)
        key = (site.lab.directory / "id_ed25519").read_bytes()
        subprocess.run(["ssh-add", "-q", "-"], input=key, env=environment, check=True)
        ps("b", status=0)
    finally:
        agent.kill()
        agent.wait()


def test_a_build_s_log_reads_well(site: Site) -> None:
    site.renew()
    said = site.bayplan("up")
    assert "\x1b" not in said
    lines = said.splitlines()
    assert all(line[:6].strip().replace(".", "").isdigit() and line[6] == "s" for line in lines[:-2])
    assert any("release " in line for line in lines[:-2])
    assert lines[-2].startswith("✓ acting release")
    assert json.loads(site.piped("up", "--json").stdout)["new_release"] is False


class Store(Site):
    """An app with data: db on a volume of its own and one of somebody else's, a job that ended, a tool of a profile."""

    def write_store(self) -> None:
        image = {"image": "debian:bookworm-slim", "stop_grace_period": "0s"}
        stays = image | {"command": ["sleep", "1000"]}
        services = {
            "db": stays | {"volumes": ["data:/data", "theirs:/theirs"]},
            "migrate": image | {"command": ["true"], "restart": "no", "deploy": {"mode": "replicated-job"}},
            "tool": stays | {"profiles": ["tools"]},
        }
        volumes = {"data": {}, "theirs": {"external": True, "name": "theirs"}}
        given = {"name": self.name, "services": services, "volumes": volumes}
        (self.directory / "compose.yaml").write_text(json.dumps(given))

    def volumes(self, host: str) -> set[str]:
        return {v["Name"] for v in asked(self.lab, host, "/volumes")["Volumes"] or []}

    def services(self, *words: str) -> dict[str, dict[str, Any]]:
        return {s["service"]: s for s in self.json("ps", *words)["services"]}


@pytest.fixture
def store(lab: Lab, tmp_path: Path) -> Iterator[Store]:
    made = Store(lab, tmp_path, "stored")
    made.write_store()
    on(lab, "h2", "docker", "volume", "create", "theirs")
    yield made
    made.bayplan("down", "-v")
    on(lab, "h2", "docker", "volume", "rm", "theirs")


def test_data_outlives_stop_and_start_and_goes_with_down_v(store: Store) -> None:
    store.bayplan("up", "-d", "--wait")
    store.piped("exec", "db", "sh", "-c", "echo kept > /data/f; echo kept > /theirs/f")
    before = store.containers()
    store.bayplan("stop")
    shown = store.services("-a")
    assert [i["state"] for i in shown["db"]["instances"]] == ["stopped"]
    assert [i["job"] for i in shown["migrate"]["instances"]] == ["done"]
    assert store.piped("run", "db", "cat", "/data/f").stdout == "kept\n"  # its data is there while it is stopped
    store.bayplan("start")
    assert {n: c[:2] for n, c in store.containers().items()} == {n: c[:2] for n, c in before.items()}
    assert store.piped("exec", "db", "cat", "/data/f").stdout == "kept\n"
    said = store.bayplan("down", "-v")
    assert said.index("removes with all that is in it: stored_data on h2") < said.index("is down")
    assert "theirs stays: it is external" in said
    assert store.volumes("h2") >= {"theirs"}
    assert "stored_data" not in store.volumes("h2")
    assert (
        on(store.lab, "h2", "docker", "run", "--rm", "-v", "theirs:/t", "debian:bookworm-slim", "cat", "/t/f") == "kept"
    )


def test_a_service_that_is_named_comes_up_alone_and_profiles_are_asked_for(store: Store) -> None:
    store.bayplan("up", "-d", "--build", "db")
    assert set(store.services()) == {"db"}
    store.bayplan("up", "-d", "tool")
    assert set(store.services()) == {"db", "tool"}
    assert "- services.tool" in store.bayplan("diff")
    assert "services.tool" not in store.bayplan("diff", "--profile", "tools")
