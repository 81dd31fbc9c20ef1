"""Data that stays, on real hosts: a service lives where its volume is."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.lab.site import Running, Site, asked, on

from bayplan.lab import Lab
from bayplan.lab.process import wait_for

pytestmark = pytest.mark.shares_lab


class Keeper(Site):
    """An app of one service `db` with a volume, and whatever else a test writes."""

    def write_db(self, command: str = "exec sleep 1000", **more: Any) -> None:
        db: dict[str, Any] = {
            "build": "./web",
            "command": ["sh", "-c", f"echo start >> /data/log; {command}"],
            "volumes": ["data:/data"],
            "stop_grace_period": "0s",
        } | more.pop("db", {})
        given = {"name": self.name, "services": {"db": db, **more.pop("services", {})}, "volumes": {"data": {}}} | more
        (self.directory / "compose.yaml").write_text(json.dumps(given).replace("$", "$$"))

    def host_of(self, service: str) -> str:
        [host] = [c[0] for n, c in self.containers().items() if f"-{service}-" in n]
        return host

    def volumes(self) -> dict[str, list[str]]:
        """Names of the app's volumes by host."""
        found = {h.name: asked(self.lab, h.name, "/volumes")["Volumes"] or [] for h in self.lab.hosts}
        return {h: [v["Name"] for v in vs if v["Name"].startswith(self.name)] for h, vs in found.items()}

    def backups(self) -> list[str]:
        """Files that a backup left, whole or not."""
        return [file.name for file in self.directory.glob("data.tar*")]

    def inside(self, service: str, script: str) -> str:
        """What a shell in its one replica prints."""
        [(name, host)] = [n.split(" on ") for n, c in self.containers().items() if f"-{service}-" in n]
        return on(self.lab, host, "docker", "exec", name, "sh", "-c", script)


@pytest.fixture
def app(lab: Lab, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Keeper]:
    made = Keeper(lab, tmp_path, f"v{abs(hash(request.node.name)) % 10_000}")
    yield made
    made.bayplan("down")
    for host, names in made.volumes().items():
        for name in names:
            on(lab, host, "docker", "volume", "rm", name)


def test_a_volume_that_compose_made_is_found_and_kept_over_releases(lab: Lab, app: Keeper) -> None:
    on(lab, "h2", "docker", "volume", "create", "--label", "com.docker.compose.project=x", f"{app.name}_data")
    app.write_db()
    app.bayplan("up")
    assert app.host_of("db") == "h2"
    app.write_db("echo again; exec sleep 1000")
    app.bayplan("up")
    assert app.host_of("db") == "h2"
    assert app.inside("db", "cat /data/log").split() == ["start", "start"]
    app.bayplan("down")
    assert app.volumes() == {"h1": [], "h2": [f"{app.name}_data"], "h3": []}
    app.bayplan("up")
    assert app.inside("db", "cat /data/log").split() == ["start"] * 3


def test_two_services_of_one_volume_share_a_host_and_mounts_are_what_is_written(lab: Lab, app: Keeper) -> None:
    for host in ("h1", "h3"):
        on(lab, host, "sh", "-c", "mkdir -p /srv/bind && echo bound > /srv/bind/file")
    mounts = [
        "data:/read:ro",
        "/scratch",
        "/srv/bind:/bind:ro",
        {"type": "tmpfs", "target": "/tmp2", "tmpfs": {"size": "1m", "mode": 0o750}},
    ]
    app.write_db(
        services={"reader": {"build": "./web", "command": ["sleep", "1000"], "init": True, "volumes": mounts}},
    )
    app.bayplan("up")
    assert app.host_of("db") == app.host_of("reader")
    assert app.host_of("reader") in ("h1", "h3")
    assert app.inside("reader", "cat /read/log /bind/file") == "start\nbound"
    assert "Read-only" in app.inside("reader", "touch /read/x 2>&1; true")
    memory = "stat -c %a /tmp2; stat -f -c %T /tmp2; df -k --output=size /tmp2 | tail -1"
    assert app.inside("reader", memory).split() == ["750", "tmpfs", "1024"]
    assert app.inside("reader", "touch /scratch/x && echo made") == "made"


def test_a_host_that_lacks_a_path_or_the_volume_is_told(app: Keeper) -> None:
    app.write_db(db={"volumes": ["/srv/nowhere:/data"]})
    said = app.bayplan("up", status=3)
    assert said.count("has no /srv/nowhere, which is mounted from the host") == 3
    app.write_db(db={"deploy": {"placement": {"constraints": ["node.hostname == h3"]}}})
    app.bayplan("up")
    app.write_db(db={"deploy": {"placement": {"constraints": ["node.hostname == h2"]}}})
    said = app.bayplan("up", status=3)
    assert f"its volume {app.name}_data is on h3" in said
    assert app.states() == {"running": 1}


def test_a_volume_is_backed_up_restored_and_moved(lab: Lab, app: Keeper) -> None:
    fill = (
        "[ -e /data/big ] || { head -c 3000000 /dev/urandom > /data/big; ln -s big /data/link; chown 7:8 /data/big; }"
    )
    app.write_db(f"{fill}; exec sleep 1000")
    app.bayplan("up")
    home = app.host_of("db")
    wait_for(lambda: "link" in app.inside("db", "ls /data"), "it is filled", deadline=30)
    look = "sha256sum /data/big; stat -c '%u %g' /data/big; readlink /data/link"
    content = app.inside("db", look)
    done = app.json("volume", "backup", "data", "data.tar.gz")
    assert (done["host"], done["files"]) == (home, 3)
    assert app.states() == {"running": 1}
    to = next(h.name for h in lab.hosts if h.name != home)
    app.bayplan("volume", "move", "data", "--to", to)
    assert app.host_of("db") == to
    assert app.volumes()[home] == []
    assert app.inside("db", look) == content
    assert app.json("volume", "ls")["volumes"][0] | {"used_by": None} == {
        "volume": "data", "name": f"{app.name}_data", "host": to, "driver": "local", "services": ["db"], "used_by": None,
        "unfinished": False,
    }  # fmt: skip
    assert "is mounted by" in app.bayplan("volume", "rm", "data", status=2)
    app.bayplan("down")
    app.bayplan("volume", "rm", f"{app.name}_data")
    said = app.bayplan("volume", "restore", "no", "data.tar.gz", "--host", home, status=2)
    assert f"neither the release nor the Compose file of {app.name} has a volume no" in said
    said = app.bayplan("volume", "restore", "data", "data.tar.gz", "--host", home)
    assert f"{app.name}_data is on {home}" in said
    assert [v["volume"] for v in app.json("volume", "ls")["volumes"]] == ["data"]
    app.bayplan("up")
    assert app.host_of("db") == home
    assert app.inside("db", look) == content


def test_a_copy_that_was_killed_is_not_taken_for_the_data(app: Keeper) -> None:
    app.write_db("[ -e /data/big ] || head -c 120000000 /dev/zero > /data/big; exec sleep 1000")
    app.bayplan("up")
    home, data = app.host_of("db"), f"{app.name}_data"
    wait_for(lambda: "120000000" in app.inside("db", "stat -c %s /data/big"), "it is filled", deadline=30)
    app.bayplan("volume", "backup", "data", "data.tar")
    app.bayplan("down")
    app.bayplan("volume", "rm", data)
    restore = ("volume", "restore", data, "data.tar", "--host", home)
    restoring = app.start(*restore)
    wait_for(lambda: data in app.volumes()[home], "it has begun", deadline=30)
    restoring.kill()  # its container may not have been started, and then does not end by itself
    assert "is a copy that was not finished" in app.bayplan("up", status=3)
    [seen] = app.json("volume", "ls")["volumes"]
    assert (seen["host"], seen["unfinished"]) == (home, True)
    app.bayplan(*restore)
    app.bayplan("up")
    assert app.volumes()[home] == [data]
    assert "120000000" in app.inside("db", "stat -c %s /data/big")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_a_backup_that_is_cut_short_freezes_nothing(number: signal.Signals, app: Keeper, lab: Lab) -> None:
    app.write_db("[ -e /data/big ] || head -c 120000000 /dev/zero > /data/big; exec sleep 1000")
    app.bayplan("up")
    home = app.host_of("db")
    wait_for(lambda: "120000000" in app.inside("db", "stat -c %s /data/big"), "it is filled", deadline=30)
    backing = app.start("volume", "backup", "data", "data.tar")
    wait_for(lambda: written(backing) > 1 << 20, "it has begun", deadline=30)
    assert app.states() == {"paused": 1}
    began = time.monotonic()
    backing.interrupt(number=number)
    assert time.monotonic() - began < 20  # it waited a minute for an engine that was still read from
    assert app.states() == {"running": 1}
    assert not app.backups()
    assert not lab.on(home, ["docker", "ps", "-aqf", "name=bayplan-volume"]).stdout


def written(by: Running) -> int:
    """Bytes of the largest file that it has open: a backup has no name before it is whole."""
    return max((f.stat().st_size for f in Path(f"/proc/{by.process.pid}/fd").iterdir() if f.is_file()), default=0)


def test_a_backup_that_was_damaged_is_refused(app: Keeper, lab: Lab) -> None:
    app.write_db("head -c 30000 /dev/zero > /data/big; exec sleep 1000")
    app.bayplan("up")
    wait_for(lambda: "30000" in app.inside("db", "stat -c %s /data/big"), "it is filled", deadline=30)
    app.bayplan("volume", "backup", "data", "data.tar")
    file = app.directory / "data.tar"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    other = next(h.name for h in lab.hosts if h.name != app.host_of("db"))
    said = app.bayplan("volume", "restore", "data", "data.tar", "--host", other, status=1)
    assert "its checksum differs" in said
    file.write_bytes(file.read_bytes()[:-15_000])
    (app.directory / "data.tar.sha256").unlink()
    said = app.bayplan("volume", "restore", "data", "data.tar", "--host", other, status=1)
    assert "data.tar is not a whole tar: unexpected end of data; nothing was restored" in said
    assert app.volumes()[other] == []


def test_replicas_of_one_volume_are_refused(app: Keeper) -> None:
    app.write_db(db={"deploy": {"replicas": 2}})
    assert "2 replicas would write to the one volume" in app.bayplan("up", status=2)
    app.write_db()
    app.bayplan("up")
    assert "one replica a volume" in app.bayplan("scale", "db=2", status=2)
