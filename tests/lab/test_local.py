"""Without a fleet.yaml: this machine's own engine. A host of a lab stands for the machine, with our files."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.conftest import MakeLab
from tests.lab.site import BAYPLAN, COMMAND_DEADLINE, DOCKERFILE, SERVER

from bayplan import lab as labs
from bayplan.lab import Lab
from bayplan.spec.model import Fleet

PORT = 18080
IN_LAB = "haproxy:3.0"  # the gateways' image that a lab has
ASK = f"import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:{PORT}/', timeout=5).read().decode())"


@pytest.fixture(scope="module")
def machine(make_lab: MakeLab) -> Iterator[Lab]:
    made = make_lab(hosts=1)
    default = str(Fleet.model_fields["gateway_image"].default)
    for words in (["pull", "-q", IN_LAB], ["tag", IN_LAB, default]):
        done = made.on("h1", ["docker", *words])
        assert done.returncode == 0, done.stderr
    yield made
    labs.down(made.name)


def here(machine: Lab, directory: Path, *argv: str) -> str:
    """What a command says that has the host's network, and its sockets in /run."""
    root = machine.root("h1")
    run = f'mount -t tmpfs none /run; ln -s {root}/run/docker.sock {root}/run/bayplan /run/; exec "$@"'
    enter = ["nsenter", f"--net={root.parent}/ns/net", "unshare", "-m", "sh", "-ec", run, "sh"]
    inherited = {k: v for k, v in os.environ.items() if k not in {"BAYPLAN_FLEET", "DOCKER_HOST"}}
    done = subprocess.run(
        [*enter, *argv], cwd=directory, env=inherited | {"BAYPLAN_STATE": str(directory / "state"), "COLUMNS": "200"},
        text=True, capture_output=True, check=False, stdin=subprocess.DEVNULL, timeout=COMMAND_DEADLINE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_what_is_built_here_runs_here_the_first_time_and_each_time(machine: Lab, tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "web.pl").write_text(SERVER)
    service = {"build": ".", "ports": [f"{PORT}:80"], "environment": {"VERSION": "one"}, "stop_grace_period": "1s"}
    compose = {"name": "mine", "services": {"web": service}}
    (tmp_path / "compose.yaml").write_text(json.dumps(compose))
    try:
        here(machine, tmp_path, *BAYPLAN, "up")
        assert here(machine, tmp_path, sys.executable, "-c", ASK).split()[-1] == "one"
        (tmp_path / "web.pl").write_text(SERVER + "# again\n")
        service["environment"] = {"VERSION": "two"}
        (tmp_path / "compose.yaml").write_text(json.dumps(compose))
        here(machine, tmp_path, *BAYPLAN, "up")
        assert here(machine, tmp_path, sys.executable, "-c", ASK).split()[-1] == "two"
    finally:
        here(machine, tmp_path, *BAYPLAN, "down")
