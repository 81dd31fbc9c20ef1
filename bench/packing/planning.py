"""`plan` itself, on fleets of many sizes: seconds, memory, and how they grow."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

import numpy as np

from bayplan.facts import EngineFacts, Facts, GatewayFacts, HostFacts
from bayplan.plan.goal import Goal
from bayplan.plan.plan import plan
from bayplan.plan.steps import Run
from bayplan.spec.model import App, Balancer, Fleet, Host, Port, Resources, Service

SIZES = ((2_000, 100), (10_000, 1_000), (30_000, 3_000), (100_000, 10_000))
_GB = 1024**3
_SERVICES = {100: 20}  # by hosts; 100 on larger fleets


@dataclass(frozen=True, slots=True)
class Planned:
    """seconds: of the processor, while it planned; memory: bytes at most; used: hosts that it filled."""

    seconds: float
    memory: int
    placed: int
    used: int


def fleet_of(replicas: int, hosts: int, seed: int = 1) -> tuple[Goal, Facts]:
    """Services on hosts of four cores and 8 GB, in three zones, that are ready and empty."""
    rng = np.random.default_rng(seed)
    net = IPv4Network("10.0.0.0/8")
    made = {
        f"h{n}": Host(name=f"h{n}", address=f"ssh://{net[n + 1]}", private_ip=str(net[n + 1]), zone="abc"[n % 3])
        for n in range(hosts)
    }
    fleet = Fleet(name="t", private_net=net, hosts=made, balancer=Balancer(hosts=("h0",), address="203.0.113.1"))
    number = _SERVICES.get(hosts, 100)
    each = 0.8 * hosts / replicas  # of a host, on average, in the resource that is scarcer
    sizes = rng.uniform(0.2, 1.3, (number, 2)) * each
    services = [
        Service(
            name=f"s{i}",
            image="shop/web@sha256:1",
            replicas=replicas // number,
            ports=(Port(target=8080, published=1000 + i),),
            resources=Resources(reserved_cpus=round(4 * float(c), 4), reserved_memory=int(8 * _GB * m)),
        )
        for i, (c, m) in enumerate(sizes)
    ]
    goal = Goal(fleet, App(name="shop", services={s.name: s for s in services}), 1)
    engine = EngineFacts(cpus=4, memory=8 * _GB)
    there = {n: HostFacts(n, reachable=True, engine=engine, gateway=GatewayFacts()) for n in made}
    return goal, Facts(there)


def measure(replicas: int, hosts: int) -> Planned:
    """One plan, in a process of its own: of three such, the one that took neither least nor most."""
    words = [sys.executable, "-m", "bench.packing.planning", str(replicas), str(hosts)]
    each = [subprocess.run(words, capture_output=True, text=True, check=True).stdout.split() for _ in range(3)]
    told = sorted(each, key=lambda one: float(one[0]))[1]
    return Planned(float(told[0]), int(told[1]), int(told[2]), int(told[3]))


def peak_memory() -> int:
    """Bytes that this process has had at most (`getrusage` counts what it had before it became this program, too)."""
    said = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(said.partition("VmHWM:")[2].split()[0]) * 1024


def lines() -> Iterator[tuple[str, ...]]:
    """A row for each size."""
    yield "replicas", "hosts", "services", "placed", "hosts filled", "CPU seconds", "µs a replica", "GB at most"
    for replicas, hosts in SIZES:
        found = measure(replicas, hosts)
        each = f"{found.seconds / replicas * 1e6:.0f}"
        services = str(_SERVICES.get(hosts, 100))
        row = (f"{replicas:,}", f"{hosts:,}", services, f"{found.placed:,}", f"{found.used:,}")
        yield (*row, f"{found.seconds:.2f}", each, f"{found.memory / _GB:.2f}")


def _main() -> None:
    goal, facts = fleet_of(int(sys.argv[1]), int(sys.argv[2]))
    begun = time.process_time()
    found = plan(goal, facts, 0.0)
    took = time.process_time() - begun
    waiting = [(w.host, w.replica) for w in found.waiting if w.service]
    waiting += [(s.host, s.container.name) for s in found.steps if isinstance(s, Run)]
    print(took, peak_memory(), len(waiting), len({host for host, _ in waiting}))


if __name__ == "__main__":
    _main()
