"""What was observed: a frozen snapshot of hosts, replicas, gateways and their pools.

*Unknown* is never *empty*: a host that did not answer is a HostFacts with `reachable=False` and nothing else in it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from bayplan.routing import Route, Server, Table

ContainerState = Literal["creating", "created", "running", "restarting", "paused", "exited", "dead", "removing"]
Health = Literal["none", "starting", "healthy", "unhealthy"]
Role = Literal["gateway", "guard", "registry"]
ServerState = Literal["ready", "drain", "maint"]


@dataclass(frozen=True, slots=True)
class Binding:
    """A container's port on its host. address: the host's address that it is bound to."""

    target: int
    port: int
    address: str
    protocol: Literal["tcp", "udp"] = "tcp"


DEFAULT_DRAIN = 30.0  # seconds, as in the Compose file


@dataclass(frozen=True, slots=True)
class Replica:
    """One container of a service, as its labels and its engine tell.

    slot: 1..n within the service, across the fleet. release: the number that started it. spec: digest of the
    definition that it was started with. cpus, memory: what it reserves. job: it runs to its end. everywhere: each host
    has one of its service. volumes: names of those of its host that it mounts. drain: seconds that what it is asked
    gets to end, as it was started. made: when, in seconds since 1970 by its host's clock; 0 if that is not known.
    young: its process has run for less than a second, be it that it was restarted again. cut: the network that it was
    made in is gone, whatever has its name by now: once stopped, it cannot be started again.
    """

    id: str
    name: str
    host: str
    app: str
    service: str
    slot: int
    release: int
    spec: str
    state: ContainerState
    health: Health = "none"
    exit_code: int | None = None
    image: str = ""
    ports: tuple[Binding, ...] = ()
    cpus: float = 0.0
    memory: int = 0
    job: bool = False
    everywhere: bool = False
    volumes: tuple[str, ...] = ()
    drain: float = DEFAULT_DRAIN
    made: float = 0.0
    young: bool = False
    cut: bool = False

    @property
    def held_ports(self) -> frozenset[tuple[str, int]]:
        """(protocol, port) of its host that are its own."""
        return frozenset((b.protocol, b.port) for b in self.ports)

    @property
    def done(self) -> bool:
        """Whether it is a job that ended well."""
        return self.job and self.state == "exited" and self.exit_code == 0

    @property
    def ended(self) -> bool:
        """Whether it is a job that ended, well or not: it uses nothing any more, and stays for its log and status."""
        return self.job and self.state in ("exited", "dead")

    @property
    def alive(self) -> bool:
        """Whether it runs and its own health check, if any, has passed."""
        return self.state == "running" and self.health in ("none", "healthy")


ASIDE: Final = ".old"  # how the name of a gateway ends that the next one is to relieve


@dataclass(frozen=True, slots=True)
class OneOff:
    """A container that `run` made for one command: no replica, and nothing leads to it.

    service "": of an image alone.
    """

    name: str
    host: str
    app: str
    service: str
    state: ContainerState
    image: str = ""


@dataclass(frozen=True, slots=True)
class SystemContainer:
    """A container that bayplan itself needs on a host: a gateway, the guard, the registry.

    aside: a gateway that goes on until the next one has taken over.
    """

    id: str
    role: Role
    spec: str
    state: ContainerState
    ports: tuple[Binding, ...] = ()
    name: str = ""

    @property
    def aside(self) -> bool:
        return self.name.endswith(ASIDE)


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    """How a volume was made, which does not change. options: its driver's, as the Compose file's `driver_opts`."""

    driver: str = "local"
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stranger:
    """A container that runs and is none of the fleet's. project: for which docker compose runs it, fleet: for which
    bayplan does, "" if neither; ports: (protocol, port) that it publishes; writes: the volumes that it may write to.
    """

    name: str
    project: str = ""
    fleet: str = ""
    ports: frozenset[tuple[str, int]] = frozenset()
    writes: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """What one engine said. taken: (protocol, port) that anything else on it publishes; networks: of ours, by name.

    arch: "x86_64", "aarch64", … as the kernel calls it. volumes: all that are there, by name, whoever made them.
    """

    version: str = ""
    api: str = ""
    cpus: float = 0.0
    memory: int = 0
    replicas: tuple[Replica, ...] = ()
    system: tuple[SystemContainer, ...] = ()
    taken: frozenset[tuple[str, int]] = frozenset()
    networks: frozenset[str] = frozenset()
    arch: str = ""
    volumes: Mapping[str, VolumeFacts] = field(default_factory=dict)
    oneoffs: tuple[OneOff, ...] = ()
    strangers: tuple[Stranger, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """A server of a pool, as the gateway runs it.

    state: ready takes traffic, drain finishes what it has (or is new and being checked), maint takes nothing.
    up: whether its last check passed (None: not checked yet). sessions: open now. since: seconds in this state.
    """

    server: Server
    state: ServerState
    up: bool | None
    check: str = ""
    sessions: int = 0
    since: float = 0.0

    @property
    def takes_traffic(self) -> bool:
        """Whether it is led to; one that has not been checked yet is."""
        return takes_traffic(self.state, up=self.up)

    @property
    def has_passed(self) -> bool:
        """Whether it is led to, and its last check passed: somebody is there."""
        return self.state == "ready" and bool(self.up)


def takes_traffic(state: ServerState, *, up: bool | None) -> bool:
    """Whether a gateway leads to a server in that state, whose last check ended so."""
    return state == "ready" and up is not False


@dataclass(frozen=True, slots=True)
class GatewayFacts:
    """What a gateway runs with. in_step: the file that a restart reads says the same as the running process.

    spec: the definition of the container that answered; "" is not known. away: by pool, where a service is that is not
    run here; "maint" is that its name is not found.
    """

    table: Table = field(default_factory=Table)
    pools: Mapping[str, tuple[ServerFacts, ...]] = field(default_factory=dict)
    in_step: bool = True
    spec: str = ""
    away: Mapping[str, ServerFacts] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HostFacts:
    """One host. why: the reason that it did not answer; todo: what may help; refused: it did, and let us not in.

    gateway None: none runs or answers.
    missing: of the paths that the app's bind mounts need, those that it does not have. delivered: paths of secrets and
    configs that this run put into its memory. unguarded: why its guard, which runs, does not keep the firewall; "" if
    it does, or was not asked.
    """

    name: str
    reachable: bool
    why: str = ""
    todo: str = ""
    engine: EngineFacts = field(default_factory=EngineFacts)
    gateway: GatewayFacts | None = None
    images: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    delivered: frozenset[str] = frozenset()
    unguarded: str = ""
    refused: bool = False

    @property
    def lacks(self) -> str:
        """What it does not do, of which nothing is known; after its name."""
        return "does not let us in" if self.refused else "does not answer"

    @property
    def silence(self) -> str:
        """The same, and why."""
        return f"{self.lacks}: {self.why}"

    def system(self, role: Role) -> SystemContainer | None:
        """The container of that role, in whatever state."""
        return next((c for c in self.engine.system if c.role == role and not c.aside), None)

    @property
    def is_guarded(self) -> bool:
        """Whether its guard runs: nothing but listeners answers from outside, and no replica starts before."""
        guard = self.system("guard")
        return guard is not None and guard.state == "running"

    def aside(self) -> tuple[SystemContainer, ...]:
        """Gateways that were replaced and have not ended."""
        return tuple(c for c in self.engine.system if c.aside)

    @property
    def hands_over(self) -> bool:
        """Whether one that was replaced still answers where the next one is to."""
        now = self.system("gateway")
        return bool(now and self.gateway and self.aside() and self.gateway.spec != now.spec)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One replica's server in one pool of one gateway."""

    gateway: str
    pool: str
    facts: ServerFacts


@dataclass(frozen=True)  # no slots: an index, once asked for, stays with the facts that it is of
class Facts:
    """The whole fleet at one moment, by host name in fleet.yaml's order."""

    hosts: Mapping[str, HostFacts] = field(default_factory=dict)

    def reachable(self) -> Iterator[HostFacts]:
        """Hosts that answered."""
        return (h for h in self.hosts.values() if h.reachable)

    def tables(self) -> Iterator[Table]:
        """What the gateways that answered are configured with."""
        return (h.gateway.table for h in self.reachable() if h.gateway)

    def replicas(self, app: str | None = None, service: str | None = None) -> Iterator[Replica]:
        """Replicas on the hosts that answered, by host, then as the engine lists them."""
        if app is not None and service is not None:
            yield from self._by_service.get((app, service), ())
            return
        for host in self.reachable():
            yield from (r for r in host.engine.replicas if app in (None, r.app) and service in (None, r.service))

    def oneoffs(self, app: str) -> Iterator[OneOff]:
        """The app's containers that `run` made, on the hosts that answered."""
        return (one for host in self.reachable() for one in host.engine.oneoffs if one.app == app)

    @cached_property
    def endpoints(self) -> Mapping[str, tuple[Endpoint, ...]]:
        """Every server of every pool of every gateway that answered, by the server's name."""
        found: dict[str, list[Endpoint]] = defaultdict(list)
        for host in self.reachable():
            for pool, servers in host.gateway.pools.items() if host.gateway else ():
                for known in servers:
                    found[known.server.name].append(Endpoint(host.name, pool, known))
        return {name: tuple(there) for name, there in found.items()}

    @cached_property
    def routed(self) -> Mapping[str, frozenset[str]]:
        """The pools that a listener for clients leads to, by gateway."""
        fronts = {
            h.name: [f for f in h.gateway.table.listeners if not f.is_inner] for h in self.reachable() if h.gateway
        }
        return {name: frozenset(r.pool for f in there for r in f.routes) for name, there in fronts.items()}

    @cached_property
    def routed_of(self) -> Mapping[tuple[str, str], frozenset[str]]:
        """The same of one service, by gateway and `app.service`."""
        found: dict[tuple[str, str], set[str]] = defaultdict(set)
        for name, pool in ((name, pool) for name, pools in self.routed.items() for pool in pools):
            found[name, pool.rpartition(".")[0]].add(pool)
        return {key: frozenset(pools) for key, pools in found.items()}

    @cached_property
    def registries(self) -> tuple[tuple[str, SystemContainer], ...]:
        """The fleet's own, and the hosts on which they are: there may be one of before."""
        there = ((h.name, h.system("registry")) for h in self.reachable())
        return tuple((name, container) for name, container in there if container)

    @cached_property
    def ways_to_registry(self) -> frozenset[tuple[int, str, int]]:
        """As gateways that answered are configured: nearly always one."""
        return frozenset(table.registry for table in self.tables() if table.registry)

    @cached_property
    def routes_of(self) -> Mapping[tuple[str, str], frozenset[tuple[str, int, Route]]]:
        """Where a listener for clients leads to one service from, and which requests: by gateway and `app.service`."""
        found: dict[tuple[str, str], set[tuple[str, int, Route]]] = defaultdict(set)
        for host in self.reachable():
            for front in host.gateway.table.listeners if host.gateway else ():
                for route in front.routes if not front.is_inner else ():
                    found[host.name, route.pool.rpartition(".")[0]].add((front.address, front.port, route))
        return {key: frozenset(there) for key, there in found.items()}

    @cached_property
    def _by_service(self) -> Mapping[tuple[str, str], tuple[Replica, ...]]:
        found: dict[tuple[str, str], list[Replica]] = defaultdict(list)
        for replica in self.replicas():
            found[replica.app, replica.service].append(replica)
        return {key: tuple(there) for key, there in found.items()}
