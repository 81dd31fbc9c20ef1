"""The verbs that look: logs, exec, stats, balancer show, doctor; and init, on real hosts."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.lab.site import BAYPLAN, PATIENCE, bayplan, fleet_with, operator
from tests.lab.terminal import on_a_terminal

from bayplan.engines.docker import DockerEngine
from bayplan.hosts.local import LocalReach
from bayplan.lab import Lab
from bayplan.lab.process import wait_for
from bayplan.plan.guard import KEPT
from bayplan.plan.names import system_name
from bayplan.spec.model import Host

pytestmark = pytest.mark.shares_lab

COMPOSE = r"""
name: verbs
services:
  talk:
    image: debian:bookworm-slim
    init: true
    command: ["sh", "-c", "i=0; while :; do i=$$((i+1)); echo line $$i; echo odd $$i >&2; sleep 0.2; done"]
    stop_grace_period: 1s
    deploy: {replicas: 3, resources: {limits: {memory: 32M}}}
  web:
    image: haproxy:3.0
    entrypoint: ["sh", "-c"]
    command:
      - >
        printf 'defaults\n mode http\n timeout client 9s\nfrontend f\n bind :8080\n http-request return status 200\n'
        > /tmp/f; exec haproxy -f /tmp/f
    ports: ["8088:8080"]
    stop_grace_period: 1s
    deploy: {replicas: 2}
    x-bayplan: {probe: {path: /, interval: 500ms}, http: {host: www.example.com}}
"""


class Project:
    """A folder with a compose.yaml, and a lab's fleet."""

    def __init__(self, directory: Path, lab: Lab) -> None:
        self.directory, self.lab = directory, lab
        self.environment = operator(lab)

    def bayplan(self, *args: str, given: str | None = None, status: int = 0) -> subprocess.CompletedProcess[str]:
        return bayplan(self.directory, self.environment, *args, given=given, status=status)

    def json(self, *args: str, status: int = 0) -> Any:
        return json.loads(self.bayplan(*args, "--json", status=status).stdout)

    @contextmanager
    def following(self, *args: str) -> Iterator[Followed]:
        """`logs -f --json` while the body runs; then Ctrl-C, which must end it in order."""
        process = subprocess.Popen(
            [*BAYPLAN, "logs", "-f", "--json", *args], cwd=self.directory, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        followed = Followed(process)
        try:
            yield followed
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 130
            assert process.stderr
            assert process.stderr.read() == ""
        finally:
            process.kill()
            process.wait()


class Followed:
    """The lines that came so far."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._reader.start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout
        self.lines.extend(json.loads(line) for line in process.stdout if line.endswith("\n"))

    def until(self, wanted: Callable[[dict[str, Any]], bool], what: str) -> None:
        wait_for(lambda: any(wanted(line) for line in list(self.lines)), what, deadline=PATIENCE)

    def counts(self, after: int = 0) -> dict[tuple[str, str], list[int]]:
        """The numbers that each replica and stream said."""
        found = defaultdict(list)
        for line in self.lines[after:]:
            if "text" in line:
                found[line["replica"], line["stream"]].append(int(line["text"].split()[1]))
        return found


@pytest.fixture(scope="module")
def project(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    directory = tmp_path_factory.mktemp("verbs")
    (directory / "compose.yaml").write_text(COMPOSE)
    made = Project(directory, lab)
    made.bayplan("up")
    yield made
    made.bayplan("up")
    made.bayplan("down")


def replicas(project: Project, service: str) -> dict[str, str]:
    """Name to host."""
    found = project.json("ps")
    return {i["name"]: i["host"] for s in found["services"] if s["service"] == service for i in s["instances"]}


def documented(verb: str) -> Any:
    """The example of `VERB --json` in the reference."""
    text = (Path(__file__).parents[2] / "docs/reference/json.md").read_text()
    return json.loads(text.split(f"## `{verb} --json`")[1].split("```json")[1].split("```")[0])


def shape(value: Any) -> Any:
    """Which keys there are, whatever their values; a list is what its first element is."""
    if isinstance(value, dict):
        return {key: shape(child) for key, child in value.items()}
    return [shape(value[0])] if isinstance(value, list) and value else None


def test_logs_are_merged_by_time_from_every_host(project: Project) -> None:
    lines = [json.loads(line) for line in project.bayplan("logs", "talk", "--json").stdout.splitlines()]
    assert {line["replica"] for line in lines} == set(replicas(project, "talk"))
    assert {line["host"] for line in lines} == {"h1", "h2", "h3"}
    assert {line["stream"] for line in lines} == {"stdout", "stderr"}
    times = [line["time"] for line in lines]
    assert times == sorted(times)


def test_logs_tail_counts_each_replica_and_lines_are_for_people(project: Project) -> None:
    lines = project.bayplan("logs", "--tail", "2", "talk").stdout.splitlines()
    assert len(lines) == 6
    heads = {line.split(" line ")[0].split(" odd ")[0] for line in lines}
    placed = replicas(project, "talk")
    assert heads <= {f"talk-{n.split('-')[2]} {h} {bar}" for n, h in placed.items() for bar in "│┃"}
    assert all(("┃" in line) == (" odd " in line) for line in lines)
    assert "\x1b" not in "".join(lines)
    bare = project.bayplan("logs", "--tail", "1", "-t", "--no-log-prefix", "talk").stdout
    assert all(line[:2] == "20" and line.split()[1] in {"line", "odd"} for line in bare.splitlines())


def test_logs_since_leaves_older_lines_out(project: Project) -> None:
    every = project.bayplan("logs", "talk").stdout.splitlines()
    recent = project.bayplan("logs", "--since", "1s", "talk").stdout.splitlines()
    assert 0 < len(recent) < len(every)
    assert project.bayplan("logs", "--since", "2099-01-01T00:00:00Z", "talk").stdout == ""
    assert "neither a duration nor a time" in project.bayplan("logs", "--since", "soon", status=2).stderr


def test_logs_of_what_is_not_there_say_what_is(project: Project) -> None:
    assert "it has: talk, web" in project.bayplan("logs", "nope", status=2).stderr
    assert "bring it up first" in project.bayplan("logs", "-p", "other", status=2).stderr


def test_logs_into_a_pipe_that_closes_say_nothing(project: Project) -> None:
    command = f"{' '.join(BAYPLAN)} logs -f talk | head -n 3"
    done = subprocess.run(
        ["bash", "-c", command], cwd=project.directory, env=project.environment, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 3
    assert done.stderr == ""


def test_logs_follow_replicas_that_come_later(project: Project) -> None:
    with project.following("--tail", "1", "talk") as followed:
        followed.until(lambda line: line.get("slot") == 1, "lines of the first")
        project.bayplan("scale", "talk=4")
        followed.until(lambda line: line.get("slot") == 4, "lines of the new one")
    project.bayplan("scale", "talk=3")
    newest = next(numbers for (name, stream), numbers in followed.counts().items() if "-4-r" in name)
    assert newest[0] == 1  # from its start, whatever --tail says of those that were there


def test_logs_survive_a_host_that_is_cut_and_comes_back(project: Project) -> None:
    with project.following("--tail", "1", "talk") as followed:
        followed.until(lambda line: line.get("host") == "h2", "lines of h2")
        project.lab.fault("cut", "h2")
        try:
            followed.until(lambda line: "does not answer" in line.get("notice", ""), "the notice")
            assert followed.lines[-1].get("host")
            noticed = len(followed.lines)
            wait_for(lambda: any(x["host"] == "h1" for x in followed.lines[noticed:]), "h1 goes on", deadline=PATIENCE)
        finally:
            project.lab.fault("heal", "h2")
        followed.until(lambda line: line.get("notice") == "answers again", "it is back")
        back = len(followed.lines)
        wait_for(lambda: any(x["host"] == "h2" and "text" in x for x in followed.lines[back:]), "h2", deadline=PATIENCE)
    for numbers in followed.counts().values():
        assert numbers == list(range(numbers[0], numbers[-1] + 1))  # none lost, none twice


async def test_more_followers_than_a_client_pools_connections_hold_up_no_question(project: Project) -> None:
    name = next(n for n, h in replicas(project, "talk").items() if h == "h1")
    engine = DockerEngine(LocalReach(Host(name="h1", address=f"unix://{project.lab.socket('h1')}", private_ip="")))
    heard = asyncio.Semaphore(0)

    async def follow() -> None:
        async for _ in engine.logs(name, tail=1, follow=True):
            heard.release()
            await asyncio.sleep(3600)  # holds its connection until it is cancelled

    followers = [asyncio.create_task(follow()) for _ in range(120)]
    try:
        async with asyncio.timeout(PATIENCE):
            for _ in followers:
                await heard.acquire()
            assert (await engine.observe(project.lab.name)).replicas
    finally:
        for task in followers:
            task.cancel()
        await asyncio.gather(*followers, return_exceptions=True)
        await engine.close()


def test_exec_has_the_command_s_output_and_status(project: Project) -> None:
    done = project.bayplan("exec", "talk", "sh", "-c", "echo out; echo err >&2; exit 7", status=7)
    assert (done.stdout, done.stderr) == ("out\n", "err\n")
    assert "the command nosuch is not in the image" in project.bayplan("exec", "talk", "nosuch", status=127).stderr
    assert project.bayplan("exec", "-T", "talk", "cat", given="in\n").stdout == "in\n"


def test_exec_takes_the_replica_host_user_and_directory_that_are_asked_for(project: Project) -> None:
    host = next(h for n, h in replicas(project, "talk").items() if "-2-" in n)
    asked = ["exec", "--replica", "2", "-u", "daemon", "-w", "/tmp", "talk"]
    told = project.bayplan(*asked, "sh", "-c", "id -un; pwd; echo $BAYPLAN_REPLICA $BAYPLAN_HOST").stdout.split()
    assert told == ["daemon", "/tmp", "talk-2", host]
    project.environment["HERE"] = "passed on"
    named = ["-e", "A=1=2", "--env", "HERE", "-e", "NOT_HERE", "-e", "BAYPLAN_HOST"]
    script = "echo $A $HERE ${NOT_HERE-unset} $BAYPLAN_HOST"
    assert project.bayplan("exec", *named, "--host", "h3", "talk", "sh", "-c", script).stdout == (
        "1=2 passed on unset h3\n"
    )
    assert project.bayplan("exec", "--host", "h3", "talk", "sh", "-c", "echo $BAYPLAN_HOST").stdout == "h3\n"
    assert "no host h9" in project.bayplan("exec", "--host", "h9", "talk", "true", status=2).stderr
    assert "no replica of talk-9" in project.bayplan("exec", "--replica", "9", "talk", "true", status=2).stderr


def test_exec_gives_a_terminal_to_one_that_has_one(project: Project) -> None:
    argv = [*BAYPLAN, "exec", "-it", "talk", "sh", "-c", "tty && read x && echo got $x"]
    with on_a_terminal(argv, project.directory, project.environment) as terminal:
        terminal.shows(b"/dev/pts/")
        terminal.types(b"hello\n")
        terminal.shows(b"got hello")
        assert terminal.process.wait(20) == 0
    assert "-t needs a terminal" in project.bayplan("exec", "-t", "talk", "tty", status=2).stderr


@pytest.mark.parametrize("verb", ["exec", "run"])
def test_a_reader_that_went_away_ends_it_quietly(project: Project, verb: str) -> None:
    argv = [*BAYPLAN, verb, "-T", "talk", "timeout", "5", "yes"]
    with subprocess.Popen(
        argv, cwd=project.directory, env=project.environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:  # fmt: skip
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == b"y\n"
        process.stdout.close()
        assert (process.wait(PATIENCE), process.stderr.read()) == (1, b"")


def test_stats_are_what_the_engines_enforce(project: Project) -> None:
    found = project.json("stats", "talk")
    assert shape(found) == shape(documented("stats"))
    assert {u["name"]: u["host"] for u in found["replicas"]} == replicas(project, "talk")
    for used in found["replicas"]:
        assert used["memory_limit"] == 32 << 20
        assert 0 < used["memory"] < used["memory_limit"]
        assert used["processes"] >= 2
        assert used["why"] == ""
    total = {h["host"]: h for h in found["hosts"]}
    assert sum(h["replicas"] for h in total.values()) == 3
    assert all(h["memory"]["total"] > 1 << 28 and h["cpus"]["total"] >= 1 for h in total.values())
    assert "talk-1-r" in project.bayplan("stats").stdout


def test_balancer_show_has_every_listener_route_and_endpoint(project: Project) -> None:
    found = project.json("balancer", "show")
    assert shape(found) == shape(documented("balancer show"))
    first, *others = found["hosts"]
    assert [h["host"] for h in others] == ["h2", "h3"]
    assert [h["balancer"] for h in found["hosts"]] == [True, False, False]
    assert not any(x["port"] == 8088 for h in others for x in h["listeners"])
    assert first["in_step"]
    listener = next(x for x in first["listeners"] if x["port"] == 8088)
    assert [(r["hosts"], r["path"], r["pool"]) for r in listener["routes"]] == [
        (["www.example.com"], "/", "verbs.web.8080")
    ]
    pool = next(p for p in first["pools"] if p["name"] == "verbs.web.8080")
    assert {e["name"].rpartition(".")[0] for e in pool["endpoints"]} == set(replicas(project, "web"))
    assert all((e["state"], e["up"]) == ("ready", True) for e in pool["endpoints"])
    text = project.bayplan("balancer", "show").stdout
    assert "www.example.com" in text
    assert "2 of 2 take traffic" in text


def findings(project: Project, *args: str, status: int) -> dict[tuple[str, str], dict[str, Any]]:
    """By (check, where), all that are not ok."""
    found = project.json("doctor", *args, status=status)
    assert shape(found) == shape(documented("doctor"))
    assert found["ok"] == (status == 0)
    return {(f["check"], f["where"]): f for f in found["findings"] if f["level"] != "ok"}


def test_doctor_finds_nothing_wrong_with_a_fleet_that_is_well(project: Project) -> None:
    wrong = findings(project, status=0)
    assert {check for check, _ in wrong} <= {"disk", "memory"}  # of the machine that the tests run on
    checks = {f["check"] for f in project.json("doctor")["findings"]}
    assert {"ssh", "reach", "clock", "private_ip", "ports", "gateway", "guard", "registry", "pull"} <= checks


def test_what_is_brought_up_is_not_done_while_a_guard_cannot_keep_the_firewall(project: Project) -> None:
    lab = project.lab
    iptables = lab.on("h2", ["sh", "-c", "readlink -f $(command -v iptables)"]).stdout.strip()
    lab.on("h2", ["chmod", "0", iptables])
    try:
        last_words = ["docker", "logs", "--tail", "1", system_name("guard", lab.name)]
        wait_for(lambda: KEPT not in lab.on("h2", last_words).stdout, "the guard finds it out", deadline=30)
        said = project.bayplan("up", status=3).stderr
        assert "h2: its guard cannot keep the firewall" in " ".join(said.split())
        assert findings(project, status=1)["guard", "h2"]["level"] == "fail"
    finally:
        lab.on("h2", ["chmod", "755", iptables])
    project.bayplan("up")


def test_doctor_finds_what_is_broken_on_each_host(project: Project) -> None:
    lab = project.lab
    lab.on("h1", ["iptables", "-F", "DOCKER-USER"])
    lab.on("h1", ["sh", "-c", "docker pause $(docker ps -qf name=bayplan-guard)"])
    lab.on("h2", ["sh", "-c", "docker rm -f $(docker ps -qf name=bayplan-gateway)"])
    lab.on("h2", ["sh", "-c", "iptables-save -t nat >/run/nat; iptables -t nat -F"])
    lab.fault("kill-engine", "h3")
    try:
        wrong = findings(project, status=1)
        assert "docker" in wrong["reach", "h3"]["todo"].lower()
        assert "gone" in wrong["gateway", "h2"]["what"]
        assert wrong["guard", "h1"]["level"] == "fail"
        assert "replicas reach nothing outside" in wrong["guard", "h2"]["what"]
        assert all(f["todo"] for f in wrong.values())
        text = project.bayplan("doctor", status=1).stdout
        assert "✗ reach" in text
        assert "failed" in text.splitlines()[-1]
    finally:
        lab.fault("start-engine", "h3")
        lab.on("h2", ["sh", "-c", "iptables-restore -T nat </run/nat"])
        lab.on("h1", ["sh", "-c", "docker unpause $(docker ps -qf name=bayplan-guard)"])
        project.bayplan("up")


def test_doctor_tells_a_cut_host_from_one_that_refuses(project: Project, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", tmp_path / "other"], check=True)
    mine = str(project.lab.directory / "id_ed25519")
    config = project.lab.ssh_config.read_text().replace(mine, str(tmp_path / "other"))
    fleet = fleet_with(project.lab, tmp_path, config)
    project.lab.fault("cut", "h2")
    try:
        wrong = findings(project, "--fleet", str(fleet), status=1)
    finally:
        project.lab.fault("heal", "h2")
    assert "is refused" in wrong["access", "h1"]["what"]
    assert "ssh-copy-id" in wrong["access", "h3"]["todo"]
    assert "is the machine up" in wrong["reach", "h2"]["todo"]


def test_doctor_finds_mistakes_of_the_files_and_of_the_addresses(project: Project, tmp_path: Path) -> None:
    fleet = fleet_with(project.lab, tmp_path, project.lab.ssh_config.read_text())
    first, second = (h.private_ip for h in project.lab.hosts[:2])
    wrong_ip = f"{first.rpartition('.')[0]}.250"
    fleet.write_text(fleet.read_text().replace(f"private_ip: {second}", f"private_ip: {wrong_ip}"))
    (tmp_path / "compose.yaml").write_text("services:\n  web: {imagee: x, port: [1]}\n  db: {image: [2]}\n")
    project_there = Project(tmp_path, project.lab)
    found = project_there.json("doctor", "--fleet", str(fleet), status=1)["findings"]
    assert len([f for f in found if f["check"] == "compose file" and f["level"] == "fail"]) >= 3
    wrong = next(f for f in found if f["check"] == "private_ip" and f["where"] == "h2")
    assert wrong["level"] == "fail"
    assert second in wrong["todo"]


def test_doctor_finds_a_listener_port_that_something_else_holds(project: Project, tmp_path: Path) -> None:
    hold = ["docker", "run", "-d", "--name", "squatter", "-p", "8099:80", "debian:bookworm-slim", "sleep", "600"]
    assert project.lab.on("h1", hold).returncode == 0
    try:
        (tmp_path / "compose.yaml").write_text(COMPOSE.replace("8088:", "8099:"))
        wrong = findings(Project(tmp_path, project.lab), status=1)
        assert "8099" in wrong["listener", "h1"]["what"]
    finally:
        project.lab.on("h1", ["docker", "rm", "-f", "squatter"])


def test_init_writes_a_fleet_that_works(lab: Lab, tmp_path: Path) -> None:
    here = Project(tmp_path, lab)
    del here.environment["BAYPLAN_FLEET"]
    (tmp_path / "Dockerfile").write_text("FROM debian:bookworm-slim\nENV PORT=8123\nEXPOSE $PORT\nCMD sleep 9\n")
    hosts = [f"deploy@{h.private_ip}" for h in lab.hosts]
    done = here.bayplan("init", *hosts, "--name", "shop", "--ssh-config", str(lab.ssh_config))
    assert done.stdout.count("✓ h") == 3
    assert "bayplan doctor" in done.stdout
    resolved = here.json("config")
    assert '"target": 8123' in json.dumps(resolved)
    fleet = (tmp_path / "fleet.yaml").read_text()
    assert f"private_net: {lab.private_net}" in fleet
    assert all(f"private_ip: {h.private_ip}}}" in fleet for h in lab.hosts)
    assert {f["level"] for f in here.json("doctor")["findings"] if f["check"] in {"reach", "private_ip"}} == {"ok"}


def test_init_overwrites_nothing(lab: Lab, tmp_path: Path) -> None:
    here = Project(tmp_path, lab)
    (tmp_path / "fleet.yaml").write_text("mine")
    refused = here.bayplan("init", "deploy@10.0.0.11", status=2)
    assert "fleet.yaml is there already" in refused.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["fleet.yaml"]
    here.bayplan("init", f"deploy@{lab.hosts[0].private_ip}", "--force", "--ssh-config", str(lab.ssh_config))
    assert (tmp_path / "fleet.yaml.old").read_text() == "mine"
    assert (tmp_path / "fleet.yaml").read_text() != "mine"
