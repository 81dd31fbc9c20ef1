"""Which hosts may take one more replica of a service: each filter checks *and explains*, and returns None to pass."""

from __future__ import annotations

from collections.abc import Callable

from bayplan.plan.board import Berth, Board
from bayplan.plan.constraints import foreign, unmet
from bayplan.plan.demand import fullest
from bayplan.plan.packing.amount import Amount
from bayplan.plan.replica import free_targets, host_ports
from bayplan.plan.volumes import unmountable
from bayplan.spec.model import Service
from bayplan.units import show_bytes

Filter = Callable[[Service, Berth, Board, tuple[int, int]], str | None]

ROUNDING = 1e-9  # 0.1 + 0.2 cores fit into 0.3


def constraints(service: Service, berth: Berth, _board: Board, _range: tuple[int, int]) -> str | None:
    """`deploy.placement.constraints`, all of which must hold (Compose Deploy Specification)."""
    return unmet(service, berth.host, berth.facts.engine.arch)


def per_host(service: Service, berth: Berth, board: Board, _range: tuple[int, int]) -> str | None:
    """`deploy.placement.max_replicas_per_node`."""
    limit, has = service.placement.max_per_host, board.counts[service.name][berth.host.name]
    return f"has {has} of at most {limit} a host" if limit is not None and has >= limit else None


def cpus(service: Service, berth: Berth, board: Board, _range: tuple[int, int]) -> str | None:
    """Cores that are reserved, or used over the day, within the host's, less headroom."""
    asked = board.demand(service).cpus
    used, wanted = fullest(berth.used_cpus, asked)
    if wanted and used + wanted > berth.cpus + ROUNDING:
        left = f"{max(berth.cpus - used, 0):.2g} of {berth.cpus:.3g} free"
        return f"{wanted:g} core{'' if wanted == 1 else 's'} wanted, {left}{_when(berth.used_cpus, asked)}"
    return None


def memory(service: Service, berth: Berth, board: Board, _range: tuple[int, int]) -> str | None:
    """Bytes that are reserved, or used over the day, within the host's, less headroom."""
    asked = board.demand(service).memory
    used, wanted = fullest(berth.used_memory, asked)
    if wanted and used + wanted > berth.memory:
        left = f"{show_bytes(max(berth.memory - used, 0))} of {show_bytes(berth.memory)} free"
        return f"{show_bytes(wanted)} of memory wanted, {left}{_when(berth.used_memory, asked)}"
    return None


def _when(*amounts: Amount) -> str:
    return " at the fullest time of the day" if any(isinstance(a, tuple) for a in amounts) else ""


def fixed_ports(service: Service, berth: Berth, _board: Board, _range: tuple[int, int]) -> str | None:
    """Ports with `mode: host` are one a host."""
    held = next((p for p in host_ports(service) if berth.holds(p)), None)
    return f"port {held.published}/{held.protocol} is taken" if held else None


def range_ports(service: Service, berth: Berth, board: Board, port_range: tuple[int, int]) -> str | None:
    """A free port in the fleet's range for each listener target."""
    if board.ports_for(berth, service, port_range) is None:
        return f"no free port in {port_range[0]}-{port_range[1]}"
    return None


def volumes(service: Service, berth: Berth, board: Board, _range: tuple[int, int]) -> str | None:
    """A service lives where its volumes are, where the paths that it mounts are, on an engine that can mount them."""
    return board.homes.rejection(berth.host.name, service) or unmountable(service, berth.facts)


def fetched(service: Service, berth: Berth, board: Board, _range: tuple[int, int]) -> str | None:
    """Its image, and the gateway's, which other hosts have, can be fetched there."""
    return board.unfetched.get((berth.host.name, service.image))


def guarded(_service: Service, berth: Berth, _board: Board, _range: tuple[int, int]) -> str | None:
    """What is started where no rules are written answers from outside the private network."""
    return f"its guard cannot keep the firewall: {berth.facts.unguarded}" if berth.facts.unguarded else None


def architecture(service: Service, berth: Berth, board: Board, _range: tuple[int, int]) -> str | None:
    """Its image is for the host's architecture."""
    return foreign(service, berth.facts.engine.arch, board.kinds)


def barred(service: Service, berth: Berth, board: Board) -> str | None:
    """Why a host can never take a replica, however much is free on it."""
    never = unmet(service, berth.host, berth.facts.engine.arch) or volumes(service, berth, board, (0, 0))
    return never or fetched(service, berth, board, (0, 0)) or architecture(service, berth, board, (0, 0))


FILTERS: tuple[Filter, ...] = (
    constraints,
    per_host,
    cpus,
    memory,
    fixed_ports,
    range_ports,
    volumes,
    fetched,
    guarded,
    architecture,
)


def filters_of(service: Service, board: Board) -> tuple[Filter, ...]:
    """Those that can reject it at all: of ten thousand hosts, each is asked that often."""
    (cores, bytes_), placement = board.demand(service).peaks, service.placement
    speak = (
        bool(placement.constraints),
        placement.max_per_host is not None,
        bool(cores),
        bool(bytes_),
        bool(host_ports(service)),
        bool(free_targets(service)),
        bool(service.mounts),
        bool(board.unfetched),
        board.has_unguarded,
        len(board.kinds) > 1 and bool(service.image_architectures),
    )
    return tuple(f for f, may in zip(FILTERS, speak, strict=True) if may)


def reject(
    service: Service,
    berth: Berth,
    board: Board,
    port_range: tuple[int, int],
    filters: tuple[Filter, ...] | None = None,
) -> str | None:
    """Every reason why this host cannot take one more replica; None if it can. filters: `filters_of`, if known."""
    asked = filters_of(service, board) if filters is None else filters
    return "; ".join([r for f in asked if (r := f(service, berth, board, port_range))]) or None
