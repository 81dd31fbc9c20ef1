"""One service calls another: how long it takes, how much goes through, and what a change in between breaks."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from bayplan.lab.process import wait_for
from bench.metrics import Figure, Runs, count, seconds
from bench.operations.bayplan import Bayplan
from bench.operations.load import LoadError, wrk, wrk_meanwhile
from bench.operations.reference import PORT as REFERENCE_PORT
from bench.operations.reference import reference
from bench.stage import PORT as WEB_PORT
from bench.stage import Stage

RATE, SECONDS = 1000, 5
LIMIT, SATURATED = 150.0, 0.95  # microseconds; of the hand-written hop's rate
PORT = 8080
BACKS = 3
RESTARTS, SETTLE = 3, 2.0
HERE = Path(__file__).parent.parent
GATEWAY, DIRECT, HAND = "through the gateway", "straight to the endpoint", "through a hand-written HAProxy"


@dataclass(frozen=True, slots=True)
class Calls:
    """The app, and the container that calls. within: runs a command in its network; back: the called one's address."""

    bayplan: Bayplan
    within: tuple[str, ...]
    back: str
    endpoint: str


def measure(stage: Stage, runs: int) -> Iterator[Figure]:
    """Straight, through the gateway and through a hop written by hand: in turn, in one run."""
    with _calls(stage, BACKS="1") as calls:
        stage.say(f"calls: {runs} x {SECONDS} s each, in turn, at {RATE}/s and then saturated")
        first = stage.lab.hosts[0]
        with reference(stage.lab.socket(first.name), "haproxy:3.0", first.private_ip, [calls.endpoint]):
            ways = {
                DIRECT: calls.endpoint,
                GATEWAY: f"{calls.back}:{PORT}",
                HAND: f"{first.private_ip}:{REFERENCE_PORT}",
            }
            for way in ways.values():
                _until_answers(calls, way)
            paced = [{name: _paced(calls, way) for name, way in ways.items()} for _ in range(runs)]
            full = [{name: wrk(f"http://{way}/", SECONDS, within=calls.within) for name, way in ways.items()}
                    for _ in range(runs)]  # fmt: skip
    yield from _latencies(paced)
    rates = {name: tuple(told[name].rate for told in full) for name in ways}
    ours = Runs(f"calls {GATEWAY}, saturated", "calls/s", rates[GATEWAY])
    yield Figure("calls", ours, SATURATED, Runs(HAND, "calls/s", rates[HAND]), at_most=False,
                 notes=(f"{DIRECT}: {median(rates[DIRECT]):,.0f} calls/s",))  # fmt: skip
    yield Figure("calls", count("of these that failed", [sum(t.failed for t in told.values()) for told in full]), 0)


def changes(stage: Stage, _runs: int) -> Iterator[Figure]:
    """No call fails while the called service is rolled, a gateway is replaced, reloaded and restarted."""
    with _calls(stage, BACKS=str(BACKS)) as calls:
        name = f"bayplan-gateway-{stage.lab.name}"
        rolled = {"BACKS": str(BACKS), "RELEASE": "two"}
        more = ("-f", "compose.yaml", "-f", "added.yaml")
        yield from _whole(
            stage, calls, "a called service rolled", lambda: calls.bayplan.timed("up", environment=rolled)
        )
        yield from _whole(
            stage, calls, "a service added (every gateway reloads)",
            lambda: calls.bayplan.timed("up", *more, environment=rolled),
        )  # fmt: skip
        _until_patient(stage)
        yield from _fresh_only(stage, calls, f"`docker restart` of the caller's gateway, {RESTARTS} times",
                               lambda: _restarts(stage, name))  # fmt: skip


def moved(stage: Stage, _runs: int) -> Iterator[Figure]:
    """The balancer on another host: clients have both addresses, and follow."""
    first, second, *_ = stage.lab.hosts
    before = stage.bayplan.fleet_file
    after = before.with_name("moved.yaml")
    after.write_text(re.sub(r"(balancer:.*hosts: )\[h1\]", r"\1[h2]", before.read_text()))
    stage.say("requests meanwhile: balancer.hosts changes from h1 to h2")
    both = f"{first.private_ip},{second.private_ip}"
    with _fresh((), both, WEB_PORT) as fresh:
        replace(stage.bayplan, fleet_file=after).timed("up")
        time.sleep(SETTLE)
        stage.bayplan.timed("up")
    yield _failed("`balancer.hosts` from h1 to h2 and back", fresh)


def _restarts(stage: Stage, name: str) -> None:
    for _ in range(RESTARTS):
        time.sleep(SETTLE)
        _on(stage, "h1", ["docker", "restart", name])
    time.sleep(SETTLE)


def _latencies(paced: Sequence[Mapping[str, Mapping[str, float]]]) -> Iterator[Figure]:
    def more(than: str, part: str) -> tuple[float, ...]:
        return tuple((told[GATEWAY][part] - told[than][part]) * 1e6 for told in paced)

    whole = "; ".join(
        f"{name}: {median(told[name]['median'] for told in paced) * 1e6:.0f} µs" for name in (DIRECT, GATEWAY, HAND)
    )
    what = f"a call {GATEWAY} at {RATE:,}/s, more than {DIRECT}, median"
    yield Figure("calls", Runs(what, "µs", more(DIRECT, "median")), LIMIT, notes=(whole,))
    yield Figure("calls", Runs(f"the same, more than {HAND}", "µs", more(HAND, "median")))
    yield Figure("calls", Runs(f"the same, more than {DIRECT}, 99th percentile", "µs", more(DIRECT, "p99")))


def _whole(stage: Stage, calls: Calls, what: str, change: Callable[[], object]) -> Iterator[Figure]:
    """wrk on open connections, and a client of our own with a new one for each call."""
    stage.say(f"calls meanwhile: {what}")
    with wrk_meanwhile(f"http://{calls.back}:{PORT}/", calls.within) as told, _fresh(calls.within, calls.back) as fresh:
        change()
    yield Figure("calls", count(f"{what}: of {told.requests:,} calls on open connections, failed", [told.failed]), 0)
    yield _failed(what, fresh)


def _fresh_only(stage: Stage, calls: Calls, what: str, change: Callable[[], object]) -> Iterator[Figure]:
    stage.say(f"calls meanwhile: {what}")
    with _fresh(calls.within, calls.back) as fresh:
        change()
    yield _failed(what, fresh)
    yield Figure("calls", seconds(f"{what}: the longest call", [float(fresh["longest"])]))


def _failed(what: str, fresh: Mapping[str, float | str]) -> Figure:
    told = count(f"{what}: of {fresh['calls']:,} calls on new connections, failed", [float(fresh["failed"])])
    return Figure("calls", told, 0, notes=(f"first failure: {fresh['first']}",) if fresh["first"] else ())


@contextmanager
def _fresh(within: Sequence[str], address: str, port: int = PORT) -> Iterator[dict[str, float | str]]:
    argv = [*within, sys.executable, "-m", "bench.operations.paced", address, str(port), "200", "0", "--fresh"]
    running = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, cwd=HERE.parent, start_new_session=True)
    told: dict[str, float | str] = {}
    try:
        yield told
        running.send_signal(signal.SIGINT)
        told.update(json.loads(running.communicate(timeout=30)[0]))
    finally:
        running.kill()
        running.wait()


def _paced(calls: Calls, way: str) -> dict[str, float]:
    address, _, port = way.partition(":")
    argv = [*calls.within, sys.executable, "-m", "bench.operations.paced", address, port, str(RATE), str(SECONDS)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False, cwd=HERE.parent, timeout=60)
    if done.returncode:
        raise LoadError(done.stderr)
    told: dict[str, float] = json.loads(done.stdout)
    return told


def _until_answers(calls: Calls, way: str) -> None:
    wait_for(lambda: wrk(f"http://{way}/", 1, within=calls.within).failed == 0, way, deadline=30)


@contextmanager
def _calls(stage: Stage, **environment: str) -> Iterator[Calls]:
    bayplan = stage.bayplan.beside("calls", HERE / "calls")
    bayplan.timed("up", environment=environment)
    try:
        front, back = (next(i for i in bayplan.instances() if f"-{name}-" in i["name"]) for name in ("front", "back"))
        sandbox = ["docker", "inspect", "-f", "{{.NetworkSettings.SandboxKey}}", front["name"]]
        network = stage.lab.root(front["host"]) / _on(stage, front["host"], sandbox).removeprefix("/var/")
        names = _on(stage, front["host"], ["docker", "exec", front["name"], "cat", "/etc/hosts"])
        address = next(line.split()[0] for line in names.splitlines() if "back" in line.split()[1:])
        yield Calls(bayplan, ("nsenter", f"--net={network}"), address, back["endpoint"])
    finally:
        bayplan.timed("down")


def _until_patient(stage: Stage) -> None:
    """The guard has seen where the gateway listens: it looks every two seconds."""
    rules = ["iptables", "-S"]
    wait_for(lambda: f"--sport {PORT}" in _on(stage, "h1", rules), "the guard's rule", deadline=15)


def _on(stage: Stage, host: str, argv: Sequence[str]) -> str:
    done = stage.lab.on(host, argv)
    if done.returncode:
        raise LoadError(f"{' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout.strip()
