"""Checks a placement of `bayplan size` by the CSV files alone. Shares no code with bayplan; Python's own library only.

    python tests/check_placement.py placement.csv --services … --hosts … [--usage …] [--apart …]
        [--headroom 0.1] [--tolerate 1]

Exit status 0 and "accepted", or 1 and every rule that is broken, a line each. `tolerate`: after any so many hosts are
lost (each combination; for more than 2,000 of them a fixed sample of that many), each lost replica is put, the largest
first, on the emptiest remaining host that takes it, or on the fullest if that finds no place; both ways failing is a fault.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import math
import random
import sys
from collections import Counter, defaultdict
from pathlib import Path

SLACK = 1e-6  # relative: sums of decimals
MOST = 2000


def rows(path: str) -> list[dict[str, str]]:
    with Path(path).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


class World:
    """Everything the files say."""

    def __init__(self, asked: argparse.Namespace) -> None:
        services, hosts = rows(asked.services), rows(asked.hosts)
        self.resources = [c for c in services[0] if c not in ("service", "replicas")]
        self.replicas = {s["service"]: int(s["replicas"]) for s in services}
        usage = {(u["service"], u["resource"]): u for u in rows(asked.usage)} if asked.usage else {}
        slots = [c for c in next(iter(usage.values())) if c not in ("service", "resource")] if usage else ["0"]
        self.need = {
            s["service"]: [
                float(usage[s["service"], r][t]) if (s["service"], r) in usage else float(s[r])
                for r in self.resources
                for t in slots
            ]
            for s in services
        }
        self.have = {
            h["type"]: [float(h.get(r) or 0) * (1 - asked.headroom) for r in self.resources for _ in slots]
            for h in hosts
        }
        self.count = {h["type"]: int(h["count"]) if h.get("count") else None for h in hosts}
        self.at_most: dict[str, int] = {}
        self.with_: dict[str, list[tuple[str, int]]] = defaultdict(list)
        self.under: dict[str, list[tuple[str, int]]] = defaultdict(list)
        for rule in rows(asked.apart) if asked.apart else []:
            if rule["service"] == rule["other"]:
                self.at_most[rule["service"]] = int(rule["limit"])
            else:
                self.with_[rule["service"]].append((rule["other"], int(rule["limit"])))
                self.under[rule["other"]].append((rule["service"], int(rule["limit"])))


class Host:
    """One host, and what stands on it."""

    def __init__(self, world: World, kind: str) -> None:
        self.world, self.kind = world, kind
        self.on: Counter[str] = Counter()
        self.used = [0.0] * len(world.have[kind])
        self.known: float | None = None

    def put(self, service: str, count: int) -> None:
        self.on[service] += count
        if not self.on[service]:
            del self.on[service]
        self.used = [u + n * count for u, n in zip(self.used, self.world.need[service], strict=True)]
        self.known = None

    def faults(self) -> list[str]:
        world, have = self.world, self.world.have[self.kind]
        told = [
            f"{world.resources[i * len(world.resources) // len(have)]}: {u} of {h}"
            for i, (u, h) in enumerate(zip(self.used, have, strict=True))
            if u > h * (1 + SLACK) + 1e-12
        ][:1]
        for service, count in self.on.items():
            if count > world.at_most.get(service, math.inf):
                told.append(f"{count} of {service}, at most {world.at_most[service]}")
            told += [f"{self.on[o]} of {o} beside {service}" for o, k in world.with_[service] if self.on[o] > k]
        return told

    def takes(self, service: str) -> bool:
        world, on = self.world, self.on
        if on[service] + 1 > world.at_most.get(service, math.inf):
            return False
        if any(on[o] > k for o, k in world.with_[service]):
            return False
        if any(on[o] and on[service] + 1 > k for o, k in world.under[service]):
            return False
        have = world.have[self.kind]
        return all(u + n <= h * (1 + SLACK) for u, n, h in zip(self.used, world.need[service], have, strict=True))

    def fullness(self) -> float:
        if self.known is None:
            have = self.world.have[self.kind]
            self.known = max((u / h for u, h in zip(self.used, have, strict=True) if h), default=0.0)
        return self.known


def read(world: World, path: str) -> tuple[dict[str, Host], list[str]]:
    hosts: dict[str, Host] = {}
    faults = []
    for line in rows(path):
        if line["type"] not in world.have:
            faults.append(f"{line['host']}: no type {line['type']}")
            continue
        host = hosts.setdefault(line["host"], Host(world, line["type"]))
        if host.kind != line["type"]:
            faults.append(f"{line['host']}: two types")
        if line["service"]:
            if line["service"] not in world.need:
                faults.append(f"no service {line['service']}")
            else:
                host.put(line["service"], int(line["replicas"]))
    return hosts, faults


def survives(world: World, hosts: dict[str, Host], lost: tuple[str, ...]) -> str:
    """What finds no place, or nothing."""
    moving = sorted(
        (s for name in lost for s, n in hosts[name].on.items() for _ in range(n)),
        key=lambda s: (
            -max((n / h for n, h in zip(world.need[s], max(world.have.values()), strict=True) if h), default=0)
        ),
    )
    rest = [h for name, h in hosts.items() if name not in lost]
    homeless = ""
    for way in (1, -1):
        done = []
        homeless = ""
        for service in moving:
            order = sorted(rest, key=lambda h: (h.on[service] > 0, way * h.fullness()))
            home = next((h for h in order if h.takes(service)), None)
            if home is None:
                homeless = service
                break
            home.put(service, 1)
            done.append((home, service))
        for home, service in reversed(done):
            home.put(service, -1)
        if not homeless:
            return ""
    return homeless


def check(asked: argparse.Namespace) -> list[str]:
    world = World(asked)
    hosts, faults = read(world, asked.placement)
    placed: Counter[str] = Counter()
    for name, host in hosts.items():
        placed.update(host.on)
        faults += [f"{name}: {fault}" for fault in host.faults()]
    faults += [f"{s}: {placed[s]} placed, {n} wanted" for s, n in world.replicas.items() if placed[s] != n]
    kinds = Counter(h.kind for h in hosts.values())
    faults += [f"{kinds[k]} of {k}, there are {n}" for k, n in world.count.items() if n is not None and kinds[k] > n]
    if asked.tolerate and not faults:
        places = Counter(s for host in hosts.values() for s in host.on)
        faults += [f"{s}: all replicas on one host" for s, n in world.replicas.items() if n > 1 and places[s] == 1]
        for lost in losses(list(hosts), asked.tolerate):
            if homeless := survives(world, hosts, lost):
                faults.append(f"without {', '.join(lost)}: no place for {homeless}")
    return faults


def losses(names: list[str], number: int) -> list[tuple[str, ...]]:
    if math.comb(len(names), number) <= MOST:
        return list(itertools.combinations(names, number))
    luck = random.Random(1)
    return [tuple(luck.sample(names, number)) for _ in range(MOST)]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("placement")
    parser.add_argument("--services", required=True)
    parser.add_argument("--hosts", required=True)
    parser.add_argument("--usage")
    parser.add_argument("--apart")
    parser.add_argument("--headroom", type=float, default=0.0)
    parser.add_argument("--tolerate", type=int, default=0)
    faults = check(parser.parse_args())
    print("\n".join(faults) or "accepted")  # noqa: T201  a program of its own
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
