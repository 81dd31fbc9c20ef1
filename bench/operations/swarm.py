"""Docker Swarm on the same engines: the same image, the same limits, host-mode ports."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

from bayplan.lab import Lab
from bench.operations.engine_api import Engine

SERVICE = "bench-swarm"
DEADLINE = 60.0
LOOK = 0.02


class SwarmError(Exception):
    """What docker said."""


@contextmanager
def swarm(lab: Lab) -> Iterator[None]:
    """Swarm mode on all hosts of the lab, the first the manager; left behind by none of them."""
    first, *others = lab.hosts
    try:
        _docker(lab, first.name, "swarm", "init", "--advertise-addr", first.private_ip)
        token = _docker(lab, first.name, "swarm", "join-token", "-q", "worker")
        for host in others:
            _docker(
                lab,
                host.name,
                "swarm",
                "join",
                "--token",
                token,
                "--advertise-addr",
                host.private_ip,
                f"{first.private_ip}:2377",
            )
        yield
    finally:
        for host in reversed(lab.hosts):
            lab.on(host.name, ["docker", "swarm", "leave", "--force"])
        for host in lab.hosts:
            lab.on(host.name, ["docker", "network", "rm", "docker_gwbridge"])


def scaled(lab: Lab, image: str, before: int, after: int, cpus: float, memory: int) -> float:
    """Seconds from `docker service scale` to all replicas running, as the manager sees them."""
    _docker(
        lab, lab.hosts[0].name, "service", "create", "--quiet", "--detach", "--name", SERVICE,
        "--replicas", str(before), "--no-resolve-image",
        "--limit-cpu", f"{cpus:g}", "--limit-memory", str(memory),
        "--publish", "mode=host,target=8080", "--env", "BAYPLAN_REPLICA={{.Task.Name}}", "--env", "RELEASE=one",
        "--stop-grace-period", "5s", image,
    )  # fmt: skip
    asyncio.run(_until_running(lab, before))
    begun = time.perf_counter()
    _docker(lab, lab.hosts[0].name, "service", "scale", "--detach", f"{SERVICE}={after}")
    asyncio.run(_until_running(lab, after))
    return time.perf_counter() - begun


async def _until_running(lab: Lab, wanted: int) -> None:
    filters = quote(json.dumps({"service": [SERVICE], "desired-state": ["running"]}))
    end = time.monotonic() + DEADLINE
    async with Engine(lab.socket(lab.hosts[0].name)) as manager:
        while True:
            tasks = await manager.call("GET", f"/tasks?filters={filters}")
            states = [t["Status"]["State"] for t in tasks]
            if states.count("running") == wanted:
                return
            if time.monotonic() > end:
                raise SwarmError(f"{states.count('running')} of {wanted} run after {DEADLINE:g} s: {_why(tasks)}")
            await asyncio.sleep(LOOK)


def _why(tasks: list[dict[str, dict[str, str]]]) -> str:
    return "; ".join(sorted({f"{t['Status']['State']} {t['Status'].get('Err', '')}".strip() for t in tasks}))


def _docker(lab: Lab, host: str, *words: str) -> str:
    done = lab.on(host, ["docker", *words])
    if done.returncode:
        raise SwarmError(f"{host}: docker {' '.join(words[:2])}: {done.stderr.strip()}")
    return done.stdout.strip()
