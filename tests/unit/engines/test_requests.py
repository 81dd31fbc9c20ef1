"""What the engine is asked, and what its answers mean."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from bayplan.container import Container, File
from bayplan.engines import archive
from bayplan.engines.body import create_body, restart_policy
from bayplan.engines.dockerfile import needs_buildkit
from bayplan.engines.faults import translated
from bayplan.engines.images import names, split, transfer
from bayplan.engines.moments import unix
from bayplan.engines.streams import usage
from bayplan.errors import BayplanError, ConflictError, EngineError, HostUnreachableError, NotFoundError, PortTakenError
from bayplan.facts import Binding
from bayplan.ports import BuildRequest, Transfer
from bayplan.spec.model import Healthcheck


def test_nothing_asked_is_nothing_limited() -> None:
    body = create_body(Container("x", "i"))
    assert not {"NanoCpus", "Memory", "MemorySwap", "PidsLimit"} & set(body["HostConfig"])
    assert not {"Cmd", "Entrypoint", "Healthcheck", "StopSignal", "NetworkingConfig"} & set(body)
    assert body["HostConfig"]["NetworkMode"] == "default"


def test_an_empty_command_is_not_the_images() -> None:
    body = create_body(Container("x", "i", command=(), entrypoint=()))
    assert (body["Cmd"], body["Entrypoint"]) == ([], [])


def test_ports_of_one_target_are_all_bound() -> None:
    ports = (Binding(80, 20080, "10.0.0.1"), Binding(80, 20081, "10.0.0.1"), Binding(53, 53, "10.0.0.1", "udp"))
    body = create_body(Container("x", "i", ports=ports))
    bound = body["HostConfig"]["PortBindings"]
    assert [b["HostPort"] for b in bound["80/tcp"]] == ["20080", "20081"]
    assert bound["53/udp"] == [{"HostIp": "10.0.0.1", "HostPort": "53"}]
    assert set(body["ExposedPorts"]) == {"80/tcp", "53/udp"}


def test_a_limit_is_at_most_the_hosts_cores() -> None:
    limited = Container("x", "i", limit_cpus=8)
    assert create_body(limited)["HostConfig"]["NanoCpus"] == 8_000_000_000
    assert create_body(limited, cores=2)["HostConfig"]["NanoCpus"] == 2_000_000_000


def test_health_is_in_nanoseconds_and_may_leave_the_images_test() -> None:
    check = Healthcheck(interval=1.5, timeout=0.25, start_period=2, retries=4)
    asked = create_body(Container("x", "i", healthcheck=check))["Healthcheck"]
    assert asked == {"Interval": 1_500_000_000, "Timeout": 250_000_000, "StartPeriod": 2_000_000_000, "Retries": 4}
    none = create_body(Container("x", "i", healthcheck=Healthcheck(test=("NONE",))))["Healthcheck"]
    assert none == {"Test": ["NONE"]}


def test_a_variable_without_a_value_is_taken_from_the_image() -> None:
    asked = create_body(Container("x", "i", environment={"A": "a=b", "GONE": None, "EMPTY": ""}))
    assert asked["Env"] == ["A=a=b", "GONE", "EMPTY="]


@pytest.mark.parametrize(("init", "asked"), [(None, {}), (True, {"Init": True}), (False, {"Init": False})])
def test_an_init_that_is_not_asked_for_is_the_engines_to_choose(init: bool | None, asked: dict[str, bool]) -> None:
    """`"init": true` of daemon.json is for whoever does not say."""
    body = create_body(Container("x", "i", init=init))["HostConfig"]
    assert {key: value for key, value in body.items() if key == "Init"} == asked


def test_what_a_health_check_does_not_say_is_left_to_the_engine_which_takes_the_images() -> None:
    check = Healthcheck(test=("CMD", "x"), retries=2)
    assert create_body(Container("x", "i", healthcheck=check))["Healthcheck"] == {"Test": ["CMD", "x"], "Retries": 2}


def test_an_owners_log_driver_stays() -> None:
    assert "LogConfig" not in create_body(Container("x", "i"), log_driver="journald")["HostConfig"]


def test_aliases_are_for_named_networks() -> None:
    body = create_body(Container("x", "i", network="n", aliases=("web",)))
    assert body["NetworkingConfig"] == {"EndpointsConfig": {"n": {"Aliases": ["web"]}}}
    assert "NetworkingConfig" not in create_body(Container("x", "i", network="host", aliases=("web",)))


@pytest.mark.parametrize(
    ("text", "name", "count"),
    [("no", "no", 0), ("always", "always", 0), ("on-failure", "on-failure", 0), ("on-failure:3", "on-failure", 3)],
)
def test_restart_policies(text: str, name: str, count: int) -> None:
    assert restart_policy(text) == {"Name": name, "MaximumRetryCount": count}


@pytest.mark.parametrize(
    ("status", "said", "kind"),
    [
        (404, "No such container: x", NotFoundError),
        (409, 'Conflict. The container name "/x" is already in use by container "1".', ConflictError),
        (409, "You cannot remove a running container", EngineError),
        (500, "driver failed programming: Bind for 10.0.0.1:20080 failed: port is already allocated", PortTakenError),
        (500, "Error starting userland proxy: listen tcp4 10.0.0.1:20080: bind: address already in use", PortTakenError),
        (500, "failed to bind port 10.0.0.1:20080/tcp: address already in use", PortTakenError),
        (500, "no space left on device", EngineError),
        (900, "Cannot connect", HostUnreachableError),
    ],
)  # fmt: skip
def test_what_errors_are(status: int, said: str, kind: type[BayplanError]) -> None:
    error = translated(status, said, "h1")
    assert type(error) is kind
    assert error.where == "h1"
    if kind is PortTakenError:
        assert "10.0.0.1:20080" in error.what
    assert error.todo.startswith("make room on h1") == ("no space left" in said)


@pytest.mark.parametrize(
    ("said", "command", "status"),
    [
        ('OCI runtime create failed: container_linux.go:380: starting container process caused: exec: "nosuch": executable file not found in $PATH: unknown', "nosuch", 127),
        ('failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: exec: "/no/such": stat /no/such: no such file or directory: unknown', "/no/such", 127),
        ('runc create failed: unable to start container process: exec: "/etc/passwd": permission denied: unknown', "/etc/passwd", 126),
    ],
)  # fmt: skip
def test_a_command_that_cannot_be_run_has_the_status_of_a_shell(said: str, command: str, status: int) -> None:
    error = translated(400, said, "h1")
    assert error.exit_status == status
    assert error.what.startswith(f"the command {command} ")


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("RUN --mount=type=cache,target=/x make", "line 2: --mount"),
        ("run --network=none true", "line 2: --network"),
        ("COPY --link a b", "line 2: --link"),
        ("COPY --chown=1:1 --chmod=600 a b", "line 2: --chmod"),
        ("COPY <<EOF /x", "line 2: a here-document"),
        ('RUN <<"END" cat', "line 2: a here-document"),
        ("COPY --from=one --chown=1:1 a b", ""),
        ("RUN cat <a >b && echo --mount", ""),
        ("RUN test $((1<<2)) = 4", ""),
        ("# RUN --mount=type=cache", ""),
    ],
)
def test_what_needs_buildkit(line: str, why: str) -> None:
    assert needs_buildkit(BuildRequest((), "x:1", instructions=f"FROM scratch\n{line}\n")) == why


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"secrets": {"token": b"x"}}, "build: secrets"),
        ({"ssh": ("default",)}, "build: ssh"),
        ({"platform": "linux/arm64"}, "build: platform"),
    ],
)
def test_what_of_the_request_needs_buildkit(given: dict[str, Any], why: str) -> None:
    assert needs_buildkit(BuildRequest((), "x:1", instructions="FROM scratch\n", **given)) == why


def test_archives() -> None:
    packed = archive.pack([File("/etc/a", b"x", 0o600, 5, 6)])
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        (member,) = tar.getmembers()
        assert (member.name, member.mode, member.uid, member.gid) == ("etc/a", 0o600, 5, 6)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert archive.only_file(tar) == b"x"


@pytest.mark.parametrize(
    ("moment", "seconds"),
    [
        ("1970-01-01T00:00:01.5Z", "1.500000000"),
        ("2026-11-22T16:25:45.836057099Z", "1795364745.836057099"),
        ("1970-01-01T02:00:00+02:00", "0.000000000"),
        ("1795364745.8", "1795364745.8"),
    ],
)
def test_moments(moment: str, seconds: str) -> None:
    assert unix(moment) == seconds


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("web", ("web", "latest")),
        ("shop/web:2", ("shop/web", "2")),
        ("localhost:5000/web", ("localhost:5000/web", "latest")),
        ("localhost:5000/web:3", ("localhost:5000/web", "3")),
    ],
)
def test_image_names_are_split(name: str, parts: tuple[str, str]) -> None:
    assert split(name) == parts


def test_image_names_that_mean_nothing_are_left_out() -> None:
    listed = [
        {"Id": "sha256:1", "RepoTags": ["<none>:<none>"], "RepoDigests": None},
        {"Id": "sha256:2", "RepoTags": None},
    ]
    assert names(listed) == {"sha256:1", "sha256:2"}


def test_progress() -> None:
    assert transfer({"status": "Pulling from a/b", "id": "latest"}) == Transfer(
        status="Pulling from a/b", text="Pulling from a/b"
    )
    half = {"status": "Downloading", "id": "0123456789ab", "progressDetail": {"current": 5, "total": 10}}
    assert transfer(half) == Transfer("0123456789ab", "Downloading", 5, 10)


def test_usage_of_either_control_group_version() -> None:
    cpu = {"cpu_usage": {"total_usage": 30}, "system_cpu_usage": 200, "online_cpus": 2}
    before = {"cpu_usage": {"total_usage": 10}, "system_cpu_usage": 100}
    memory = {"usage": 1000, "limit": 2000, "stats": {"inactive_file": 100}}
    two = {"cpu_stats": cpu, "precpu_stats": before, "memory_stats": memory, "pids_stats": {"current": 3}}
    assert (usage(two).cpus, usage(two).memory, usage(two).processes) == (0.4, 900, 3)
    one = {**two, "memory_stats": {**memory, "stats": {"total_inactive_file": 300, "inactive_file": 1}}}
    assert usage(one).memory == 700
    stopped = {"cpu_stats": {"cpu_usage": {"total_usage": 0}}, "precpu_stats": {}, "memory_stats": {}}
    assert usage(stopped).cpus == 0.0


def test_an_engine_whose_rules_were_flushed_is_to_be_restarted() -> None:
    """A firewall's reload takes them all: nothing can be started, and iptables' own words say nothing of that."""
    said = (
        "driver failed programming external connectivity: (iptables failed: iptables --wait -t nat -A DOCKER: No chain)"
    )
    error = translated(500, said, "h2")
    assert "restart the engine there (sudo systemctl restart docker)" in error.todo
