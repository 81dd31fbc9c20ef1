"""How an operation ended: what stands, what does not and why, and the exit status that says so."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import asdict
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape

from bayplan.cli.console import err, out, show_json
from bayplan.cli.progress import Progress
from bayplan.cli.session import on_fleet
from bayplan.cli.story import step_failed
from bayplan.errors import HostUnreachableError
from bayplan.facts import HostFacts
from bayplan.operate.bring import Result
from bayplan.plan.endure import Risk
from bayplan.plan.everywhere import wanted_slots
from bayplan.plan.goal import Memory
from bayplan.plan.guard import see_guard
from bayplan.plan.standing import is_serving
from bayplan.plan.steps import Pull, Unplaced, kind, subject
from bayplan.plan.volumes import NO_VOLUME
from bayplan.ports import FleetPorts
from bayplan.spec.model import Fleet, Port, Service
from bayplan.terminal_text import plain

FAILED, IN_PART = 1, 3
HTTP = 80  # the port that a URL need not name


def carry_out(fleet: Fleet, app: str, work: Callable[[FleetPorts, Progress], Awaitable[Result]], *, json: bool) -> None:
    """The work of a verb that changes the app: its progress is shown, and its end is told."""
    with Progress(app, quiet=json) as progress:
        result = on_fleet(fleet, lambda ports: work(ports, progress), progress.slow)
    finish(result, progress, json=json)


def finish(result: Result, progress: Progress, *, json: bool) -> None:
    """Tell it, and leave with its exit status."""
    if json:
        show_json(as_json(result) | {"notes": progress.notes})
    else:
        tell_problems(result, err())
        _tell_services(result, out(), time.monotonic() - progress.began, changed=progress.changed or result.is_new)
        tell_risks(result.risks, err())
    status = exit_status(result)
    if status:
        raise typer.Exit(status)


def exit_status(result: Result) -> int:
    """0 done; 1 something failed; 3 converged in part: what waits for a host that does not answer is no failure, nor is
    an image that one host cannot fetch and that runs on others; or a host's ports are open.
    """
    outcome = result.outcome
    silent = {h.name for h in outcome.facts.hosts.values() if not h.reachable}
    stalled = [w for w in outcome.stalled if w.host not in silent]
    is_elsewhere = not (stalled or outcome.plan.unplaced or outcome.plan.held)
    errors = [
        error
        for step, error in outcome.errors
        if not (isinstance(error, HostUnreachableError) or step.host in silent)
        if not (isinstance(step, Pull) and is_elsewhere)
    ]
    if outcome.failures or errors or stalled:
        return FAILED
    return 0 if outcome.is_whole and not _unguarded(result) else IN_PART


def _unguarded(result: Result) -> list[HostFacts]:
    """Hosts whose ports may answer from outside, unless nothing is to run any more."""
    return [h for h in result.outcome.facts.reachable() if h.unguarded and result.goal.app.services]


def as_json(result: Result) -> dict[str, Any]:
    """The shape of `up --json` and its like."""
    outcome = result.outcome
    return {
        "fleet": result.goal.fleet.name,
        "app": result.goal.app.name,
        "release": result.goal.release,
        "new_release": result.is_new,
        "services": [
            {
                "service": s.name,
                "desired": 0 if s.name in result.stopped else _wanted(result, s),
                "ready": _ready(result, s),
                "stopped": s.name in result.stopped,
            }
            for s in result.goal.app.services.values()
        ],
        "failures": [
            asdict(f) | {"log": [line.text for line in result.logs.get(f.replica, ())]} for f in outcome.failures
        ],
        "errors": [{"kind": kind(s), "host": s.host, "subject": subject(s), "why": str(e)} for s, e in outcome.errors],
        "unplaced": [asdict(u) for u in outcome.plan.unplaced],
        "presumed": [asdict(p) for p in outcome.plan.presumed],
        "held": [asdict(h) for h in outcome.plan.held],
        "waiting": [asdict(w) for w in outcome.stalled],
        "unreachable": [{"host": h.name, "why": h.why} for h in outcome.facts.hosts.values() if not h.reachable],
        "unguarded": [{"host": h.name, "why": h.unguarded} for h in _unguarded(result)],
        "volumes_removed": [{"name": name, "host": host} for name, host in result.volumes],
        "risks": [asdict(r) | {"told": r.told()} for r in result.risks],
        "status": exit_status(result),
    }


def _ready(result: Result, service: Service) -> int:
    facts, fleet = result.outcome.facts, result.goal.fleet
    replicas = facts.replicas(result.goal.app.name, service.name)
    serving = (r for r in replicas if is_serving(r, service, fleet, facts, Memory(), 0.0))
    return len({r.host if service.is_global else r.slot for r in serving})


def _wanted(result: Result, service: Service) -> int:
    return len(wanted_slots(result.goal, service, result.outcome.facts))


def _tell_services(result: Result, console: Console, took: float, *, changed: bool) -> None:
    app = result.goal.app
    if not app.services:
        told = (
            f"[bold]{app.name}[/] is down" if result.goal.release else f"there is no [bold]{app.name}[/]: nothing to do"
        )
        silent = [h.name for h in result.outcome.facts.hosts.values() if not h.reachable]
        if silent:
            told += f" where hosts answered; what {' and '.join(silent)} has of it goes with the next bayplan down"
        mark = "[yellow]![/]" if exit_status(result) else "[green]✓[/]"
        console.print(f"{mark} {told}  [dim]{took:.1f} s[/]")
        for name, host in result.volumes:
            console.print(f"  the volume {name} of {host} is gone")
        return
    wanted = [s for s in app.services.values() if s.name not in result.stopped]
    ready = {s.name: _ready(result, s) for s in wanted}
    whole = all(ready[s.name] == _wanted(result, s) for s in wanted)
    is_done = whole and not exit_status(result)
    mark = "[green]✓[/]" if is_done else "[yellow]![/]"
    counts = ", ".join(f"{s.name} {ready[s.name]}/{_wanted(result, s)}" for s in wanted) + (" ready" if wanted else "")
    counts += (", " if wanted and result.stopped else "") + ", ".join(f"{n} stopped" for n in sorted(result.stopped))
    what = "  nothing to do" if is_done and not changed else ""
    console.print(f"{mark} [bold]{app.name}[/] release {result.goal.release}: {counts}{what}  [dim]{took:.1f} s[/]")
    for address in _addresses(result):
        console.print(f"  {address}")


def _stands(result: Result, service: str) -> bool:
    """Whether a replica of it runs that has not failed."""
    failed = {f.replica for f in result.outcome.failures}
    there = result.outcome.facts.replicas(result.goal.app.name, service)
    return any(r.alive and not r.job and r.name not in failed for r in there)


def _addresses(result: Result) -> Iterator[str]:
    """Where clients reach it, as far as anything answers there."""
    services = result.goal.app.services.values()
    for service in (s for s in services if s.external or _stands(result, s.name)):
        for port in service.ports:
            if port.mode == "ingress":
                yield from _urls(service, port, port.address or result.goal.fleet.balancer.address)


def _urls(service: Service, port: Port, at: str) -> Iterator[str]:
    if port.app_protocol != "http":
        yield f"{port.protocol}://{at}:{port.published}"
        return
    hosts = service.http.hosts if service.http and service.http.hosts else (at,)
    path = service.http.path if service.http else "/"
    yield from (f"http://{host}{'' if port.published == HTTP else f':{port.published}'}{path}" for host in hosts)


def tell_problems(result: Result, console: Console) -> None:
    """What did not go as it should, and what to do about it."""
    outcome = result.outcome
    for failure in outcome.failures:
        console.print(
            f"[bold red]✗[/] [bold]{failure.replica or failure.service}[/] on {failure.host}: {escape(failure.why)}"
        )
        for line in result.logs.get(failure.replica, ()):
            console.print(f"  [dim]│[/] {escape(plain(line.text))}", soft_wrap=True)
        if failure.replica and failure.service in result.went_back:
            console.print(f"  {failure.service} is as it was before, as release {result.goal.release}")
        elif failure.replica:
            on = "; what served before serves on" if _stands(result, failure.service) else ""
            console.print(f"  its rollout stands still{on}. Its log: bayplan logs {failure.service}")
    for step, error in outcome.errors:
        console.print(f"[bold red]✗[/] [bold]{step.host}[/]: {escape(step_failed(step, error))}")
        if error.todo:
            console.print(f"  {escape(error.todo)}")
    _tell_held(result, console)
    for unplaced in outcome.plan.unplaced:
        _tell_unplaced(unplaced, console)
    for host in _unguarded(result):
        told = f"its guard cannot keep the firewall: {host.unguarded}; replicas' ports there may answer from outside"
        console.print(f"[yellow]![/] [bold]{host.name}[/]: {escape(told)}, and no more are started there")
        console.print(f"  {escape(see_guard(result.goal.fleet.name, host.name))}")
    _tell_silent(result, console)
    _tell_presumed(result, console)
    for waiting in outcome.stalled:
        console.print(f"[yellow]![/] {waiting.replica} on {waiting.host} {waiting.why}")


def _tell_held(result: Result, console: Console) -> None:
    for name in _unfetched(result):
        console.print(f"[yellow]![/] [bold]{name}[/] waits for its image; what served before serves on")
    for held in result.outcome.plan.held:
        on = "; what it had serves on" if _stands(result, held.service) else ""
        console.print(f"[yellow]![/] [bold]{held.service}[/] {escape(held.why)}{on}")


def _unfetched(result: Result) -> list[str]:
    """Services that stand as they were, since their image could not be fetched."""
    wanted = {step.image for step, _ in result.outcome.errors if isinstance(step, Pull)}
    waiting = {w.service for w in result.outcome.stalled}
    services = (s for s in result.goal.app.services.values() if s.image in wanted and s.name in waiting)
    return [s.name for s in services if _stands(result, s.name)]


def _tell_unplaced(unplaced: Unplaced, console: Console) -> None:
    console.print(f"[yellow]![/] no host can take {unplaced.count} of [bold]{unplaced.service}[/]:")
    for reason in unplaced.why:
        console.print(f"    {reason.host}  {escape(reason.reason)}")
    console.print(f"  {_way_out(unplaced)}; see bayplan explain {unplaced.service}")


def _way_out(unplaced: Unplaced) -> str:
    """More room helps nobody who lacks a volume."""
    if unplaced.why and all(reason.reason.endswith(NO_VOLUME) for reason in unplaced.why):
        return "make that volume on the host that is to have it: docker volume create, or bayplan volume restore"
    if unplaced.why and all("its volume" in reason.reason for reason in unplaced.why):
        return "its volume says where it can live, however much room there is"
    return "add a host, lower what it reserves, or its count"


def tell_risks(found: Sequence[Risk], console: Console) -> None:
    """Losses of hosts that are not survived: told, and no failure."""
    for risk in found:
        asked = "" if risk.volume else "tolerate: "
        console.print(f"[yellow]![/] {asked}{escape(risk.told())}")
        for reason in risk.why:
            console.print(f"    {reason.host}  {escape(reason.reason)}")
    if any(risk.kind in ("no room", "no host") for risk in found):
        console.print("  add a host, or lower what is reserved; bayplan size tells how many hosts it takes")


def _tell_silent(result: Result, console: Console) -> None:
    for host in result.outcome.facts.hosts.values():
        if not host.reachable:
            console.print(f"[yellow]![/] [bold]{host.name}[/] {escape(host.silence)}")
            if host.todo:
                console.print(f"  {escape(host.todo)}")


def _tell_presumed(result: Result, console: Console) -> None:
    presumed = result.outcome.plan.presumed
    if not presumed:
        return
    services = ", ".join(sorted({p.service for p in presumed}))
    hosts = sorted({h for p in presumed for h in p.hosts})
    where = " or ".join(hosts)
    console.print(
        f"[yellow]![/] {len(presumed)} of {services} may still run on {where}; none was started in their place"
    )
    silent = [host for host in hosts if not result.outcome.facts.hosts[host].refused]
    gone = f"if that host is gone for good: bayplan up --assume-down {silent[0]}" if silent else ""
    console.print(f"  {gone or 'once it lets us in: bayplan up'}")
