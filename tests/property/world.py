"""A small world that steps act upon and time moves: hosts, engines and gateways as plain values in one object.

It knows nothing of planning. Its own invariants (`check`) hold at every instant, or the plan was wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from bayplan import labels
from bayplan.errors import (
    BayplanError,
    ConflictError,
    GatewayError,
    HostUnreachableError,
    NotFoundError,
    PortTakenError,
    RegistryError,
)
from bayplan.facts import (
    Binding,
    EngineFacts,
    Facts,
    GatewayFacts,
    HostFacts,
    Replica,
    ServerFacts,
    SystemContainer,
    VolumeFacts,
)
from bayplan.haproxy.words import AWAY
from bayplan.plan.steps import (
    Configure,
    Deliver,
    Network,
    PoolChange,
    Pull,
    Remove,
    Rename,
    Rewrite,
    Run,
    Start,
    Step,
    Stop,
    System,
)
from bayplan.plan.system import plan_system
from bayplan.routing import Pool, Server, Table
from bayplan.spec.model import Fleet

SECONDS_TO_START = 2.0
SECONDS_TO_FAIL = 5.0  # of a job
GB = 1024**3


@dataclass
class Container:
    """A replica on an engine. An image with "bad" in its name never becomes ready, with "exits" ends at once; a job
    ends in either case, well of any other image.
    """

    facts: Replica
    has_healthcheck: bool
    started: float

    def listens(self, now: float) -> bool:
        """Whether its port answers."""
        slow = now - self.started < SECONDS_TO_START
        return self.facts.state == "running" and not slow and "bad" not in self.facts.image


@dataclass
class Gateway:
    """What runs and what its file says; a restart reads the file."""

    table: Table = field(default_factory=Table)
    pools: dict[str, dict[str, ServerFacts]] = field(default_factory=dict)
    answers: bool = True


@dataclass
class Machine:
    """One host. silent: the operator cannot reach it, though it may well run."""

    cpus: float = 4.0
    memory: int = 8 * GB
    containers: dict[str, Container] = field(default_factory=dict)
    system: dict[str, SystemContainer] = field(default_factory=dict)
    networks: set[str] = field(default_factory=set)
    images: set[str] = field(default_factory=set)
    foreign: set[tuple[str, int]] = field(default_factory=set)
    hidden: set[tuple[str, int]] = field(default_factory=set)
    volumes: set[str] = field(default_factory=set)
    delivered: set[str] = field(default_factory=set)
    gateway: Gateway = field(default_factory=Gateway)
    silent: bool = False
    powered: bool = True


class BrokenPromiseError(AssertionError):
    """The plan did what it must never do."""


class World:
    """Hosts by name, and the time."""

    def __init__(self, fleet: Fleet) -> None:
        self.fleet = fleet
        self.hosts = {name: Machine() for name in fleet.hosts}
        self.addresses = {name: host.private_ip for name, host in fleet.hosts.items()}
        self.now = 1000.0
        self.made = 0
        for machine in self.hosts.values():
            machine.images.add(fleet.gateway_image)
        for step in plan_system(fleet, self.facts()):
            self.apply(step)

    # -- time ---------------------------------------------------------------------------------------------------------

    def tick(self, seconds: float = 1.0) -> None:
        """Containers come up, gateways check them, sessions end."""
        self.now += seconds
        for machine in self.hosts.values():
            for container in machine.containers.values():
                self._age(container)
        self.check_servers(seconds)

    def _age(self, container: Container) -> None:
        facts = container.facts
        fails = "exits" in facts.image or (facts.job and self.now - container.started >= SECONDS_TO_FAIL)
        if facts.job and facts.state == "running" and container.listens(self.now):
            container.facts = replace(facts, state="exited", exit_code=0)
        elif fails and facts.state == "running":
            container.facts = replace(facts, state="exited", exit_code=1)
        elif container.has_healthcheck and facts.state == "running":
            health = "healthy" if container.listens(self.now) else "starting"
            container.facts = replace(facts, health=health)

    def check_servers(self, seconds: float = 0.0) -> None:
        """Every gateway that runs probes every endpoint."""
        for machine in self.hosts.values():
            if machine.powered:
                table = {pool.name: pool for pool in machine.gateway.table.pools}
                for pool, servers in machine.gateway.pools.items():
                    for name, known in servers.items():
                        servers[name] = self._checked(table[pool], known, seconds)

    def _checked(self, pool: Pool, known: ServerFacts, seconds: float) -> ServerFacts:
        if known.state == "maint":
            return replace(known, up=None, since=known.since + seconds)
        left = max(0, known.sessions - int(seconds)) if known.state == "drain" else known.sessions
        return replace(known, up=self.is_well(pool, known.server), sessions=left, since=known.since + seconds)

    def is_well(self, _pool: Pool, server: Server) -> bool:
        """Whether it answers as the pool asks it."""
        return self.answers(server)

    def answers(self, server: Server) -> bool:
        """Whether something behind the endpoint answers now."""
        holder = self.holder(server.address, server.port)
        return holder is not None and holder.listens(self.now)

    def holder(self, address: str, port: int) -> Container | None:
        """The container that runs on an endpoint."""
        for name, machine in self.hosts.items():
            if self.addresses[name] == address and machine.powered:
                for c in machine.containers.values():
                    if c.facts.state == "running" and any(b.port == port for b in c.facts.ports):
                        return c
        return None

    # -- what the operator sees ---------------------------------------------------------------------------------------

    def facts(self) -> Facts:
        """One look at all that is of the fleet."""
        return Facts({name: self._host(name, self.hosts[name]) for name in self.fleet.hosts})

    def _host(self, name: str, machine: Machine) -> HostFacts:
        if machine.silent or not machine.powered:
            return HostFacts(name, reachable=False, why="no route to host")
        engine = EngineFacts(
            cpus=machine.cpus,
            memory=machine.memory,
            replicas=tuple(c.facts for c in machine.containers.values()),
            system=tuple(machine.system.values()),
            taken=frozenset(machine.foreign),
            networks=frozenset(machine.networks),
            volumes=dict.fromkeys(machine.volumes, VolumeFacts()),
        )
        gateway = machine.gateway if machine.gateway.answers else None
        pools = {pool: tuple(servers.values()) for pool, servers in gateway.pools.items()} if gateway else {}
        away = {pool.name: self._seen_away(pool) for pool in gateway.table.pools if pool.fixed} if gateway else {}
        seen = GatewayFacts(gateway.table, pools, away=away) if gateway else None
        return HostFacts(
            name,
            reachable=True,
            engine=engine,
            gateway=seen,
            images=frozenset(machine.images),
            delivered=frozenset(machine.delivered),
        )

    def _seen_away(self, pool: Pool) -> ServerFacts:
        address, _, port = pool.fixed.rpartition(":")
        return ServerFacts(Server(AWAY, address, int(port)), "ready", up=self.away_answers)

    # -- steps --------------------------------------------------------------------------------------------------------

    def apply(self, step: Step) -> str:
        """Do one step; the id of the container that it started, if any. Raises what the ports would."""
        if step.host not in self.fleet.hosts:
            raise BrokenPromiseError(f"{step.host} is not of the fleet: {step}")
        machine = self.hosts[step.host]
        if machine.silent or not machine.powered:
            raise HostUnreachableError("no route to host", where=step.host)
        serving = self.serving()
        started = self._to_gateway(step, machine.gateway) or self._to_engine(step, machine)
        self.check()
        self._check_not_emptied(step, serving)
        return started

    def _to_gateway(self, step: Step, gateway: Gateway) -> str:
        if isinstance(step, Configure):
            self._configure(step, gateway)
        elif isinstance(step, PoolChange):
            self._change(step, gateway)
        return ""

    def _to_engine(self, step: Step, machine: Machine) -> str:
        match step:
            case Network():
                machine.networks.add(step.name)
            case Pull():
                self._pull(step, machine)
            case Deliver():
                machine.delivered |= {item.path for item in step.items}
            case System():
                self._system(step, machine)
            case Run():
                return self._run(step, machine)
            case Start():
                return self._start(step, machine)
            case Stop():
                container = machine.containers[step.replica]
                container.facts = replace(container.facts, state="exited", exit_code=137)
            case Remove():
                machine.containers.pop(step.replica, None)
            case Configure() | PoolChange() | Rewrite() | Rename():
                pass
        return ""

    def _pull(self, step: Pull, machine: Machine) -> None:
        if step.image in self.unfetched:
            raise RegistryError("the registry does not answer", where=step.host)
        machine.images.add(step.image)

    def _system(self, step: System, machine: Machine) -> None:
        told, ports = step.container.labels, step.container.ports
        made = SystemContainer(step.container.name, step.role, told[labels.SPEC], "running", ports)
        machine.system[step.role] = made

    def _run(self, step: Run, machine: Machine) -> str:
        made = step.container
        if made.name in machine.containers:
            raise BrokenPromiseError(f"{made.name} is there already on {step.host}")
        if made.image not in machine.images:
            raise BrokenPromiseError(f"{made.image} was not pulled to {step.host}")
        if made.network not in machine.networks:
            raise BrokenPromiseError(f"the network {made.network} is not on {step.host}")
        lacking = {m.mount.source for m in made.mounts if m.mount.kind == "bind"} - machine.delivered
        if lacking:
            raise BrokenPromiseError(f"{step.host} has no {lacking}, which {made.name} mounts")
        self._bind(machine, made.ports, made.name)
        cpus, memory = made.labels[labels.RESERVED].split(",")
        self.made += 1
        facts = Replica(
            id=f"c{self.made}",
            name=made.name,
            host=step.host,
            app=made.labels[labels.APP],
            service=made.labels[labels.SERVICE],
            slot=int(made.labels[labels.SLOT]),
            release=int(made.labels[labels.RELEASE]),
            spec=made.labels[labels.SPEC],
            state="running",
            health="starting" if made.healthcheck else "none",
            image=made.image,
            ports=made.ports,
            cpus=float(cpus),
            memory=int(memory),
            job=labels.JOB in made.labels,
            everywhere=labels.EVERYWHERE in made.labels,
            volumes=tuple(name for name in made.labels.get(labels.VOLUMES, "").split(",") if name),
        )
        self._check_one_home(facts.volumes, step.host)
        machine.volumes |= set(facts.volumes)
        machine.containers[made.name] = Container(facts, made.healthcheck is not None, self.now)
        return facts.id

    def _check_one_home(self, volumes: tuple[str, ...], host: str) -> None:
        """Data is never left behind for an empty volume elsewhere."""
        for name in volumes:
            homes = [h for h in self.fleet.hosts if name in self.hosts[h].volumes]
            if homes and host not in homes:
                raise BrokenPromiseError(f"the volume {name} is on {homes}, and is to be on {host}")

    def _bind(self, machine: Machine, ports: tuple[Binding, ...], name: str) -> None:
        asked = {(b.protocol, b.port) for b in ports}
        running = (c.facts for n, c in machine.containers.items() if n != name and c.facts.state == "running")
        if there := [r.name for r in running if asked & r.held_ports]:
            raise BrokenPromiseError(f"{name} is to have a port that {there} has")
        if asked & (machine.foreign | machine.hidden):
            raise PortTakenError(f"a port of {name} is taken")

    def _start(self, step: Start, machine: Machine) -> str:
        if step.replica not in machine.containers:
            raise NotFoundError(f"{step.replica} is not there", where=step.host)
        container = machine.containers[step.replica]
        if container.facts.state == "paused":
            container.facts = replace(container.facts, state="running")
            return container.facts.id
        self._bind(machine, container.facts.ports, step.replica)
        container.started = self.now
        health = "starting" if container.has_healthcheck else "none"
        container.facts = replace(container.facts, state="running", health=health, exit_code=None)
        return container.facts.id

    def _configure(self, step: Configure, gateway: Gateway) -> None:
        if not gateway.answers:
            raise GatewayError("the gateway does not answer", where=step.host)
        names = {p.name for p in step.table.pools}
        routed = {r.pool for front in step.table.listeners for r in front.routes}
        if routed - names:
            raise BrokenPromiseError(f"routes lead to pools that are not there: {routed - names}")
        gateway.table = step.table
        gateway.pools = {name: gateway.pools.get(name, {}) for name in sorted(names)}

    def _change(self, step: PoolChange, gateway: Gateway) -> None:
        if not gateway.answers or step.pool not in gateway.pools:
            raise GatewayError(f"no pool {step.pool}", where=step.host)
        servers, name = gateway.pools[step.pool], step.server.name
        if step.action == "join":
            if name not in servers or servers[name].state == "maint":
                servers[name] = ServerFacts(step.server, "drain", up=None, check="tcp")
        elif step.action == "leave":
            servers.pop(name, None)
        elif name in servers and servers[name].state != step.action:
            servers[name] = replace(servers[name], state=step.action, since=0.0)
            if step.action == "ready":
                self._check_ready(step)

    # -- what happens to it -------------------------------------------------------------------------------------------

    def lose_power(self, host: str) -> None:
        """Everything on a host ends; what it is made of stays on its disk."""
        self.hosts[host].powered = False
        self.hosts[host].delivered.clear()

    def come_back(self, host: str) -> None:
        """A host answers again; what ran is started again by its restart policy, if its ports are free. A job is not."""
        machine = self.hosts[host]
        if not machine.powered:
            for container in machine.containers.values():
                if container.facts.state == "running" and container.facts.job:
                    container.facts = replace(container.facts, state="exited", exit_code=255)
                elif container.facts.state == "running":
                    container.started = self.now
        machine.silent, machine.powered = False, True

    def all_come_back(self) -> None:
        """And every gateway answers."""
        for host, machine in self.hosts.items():
            self.come_back(host)
            machine.gateway.answers = True

    def stop_by_hand(self, which: int) -> None:
        """Some replica's container, as `docker stop` does."""
        there = sorted((r.host, r.name) for r in self.replicas())
        if there:
            host, name = there[which % len(there)]
            container = self.hosts[host].containers[name]
            container.facts = replace(container.facts, state="exited", exit_code=0)

    def open_sessions(self, host: str) -> None:
        """Somebody is connected to every server of its gateway."""
        for servers in self.hosts[host].gateway.pools.values():
            for name, known in servers.items():
                servers[name] = replace(known, sessions=5)

    def replicas(self) -> Iterator[Replica]:
        """All of them, wherever they are."""
        return (c.facts for m in self.hosts.values() for c in m.containers.values())

    # -- what must hold -----------------------------------------------------------------------------------------------

    def serving(self) -> dict[tuple[str, str], set[str]]:
        """The servers that really take traffic, by balancer and service: routed, ready, and answering."""
        found: dict[tuple[str, str], set[str]] = {}
        for name, machine in self.hosts.items():
            table = machine.gateway.table
            routed = {r.pool for front in table.listeners for r in front.routes}
            for pool in (p for p in table.pools if p.name in routed):
                servers = machine.gateway.pools.get(pool.name, {}).values()
                good = {s.server.name for s in servers if s.state == "ready" and self.is_well(pool, s.server)}
                found.setdefault((name, pool.service), set()).update(good)
        return found

    may_be_emptied: frozenset[str] = frozenset()  # services of which nothing need serve: scaled to none, stop-first
    addressed: frozenset[str] = frozenset()  # services that others reach at the gateway of every host
    away_answers: bool = True  # where services are that are not run here
    unfetched: frozenset[str] = frozenset()  # images that no host can fetch now
    judged_down: frozenset[str] = frozenset()  # whoever says so answers for what they still serve

    def _check_not_emptied(self, step: Step, before: dict[tuple[str, str], set[str]]) -> None:
        after = self.serving()
        for (host, service), servers in before.items():
            excused = service in self.may_be_emptied or host in self.judged_down or self._is_not_asked(host, service)
            if servers and not after.get((host, service)) and not excused:
                raise BrokenPromiseError(f"{step} emptied the pool of {service} on {host}")

    def _is_not_asked(self, host: str, service: str) -> bool:
        """Clients come through balancers, and for them all wait; the service's own address is at each gateway that
        answers.
        """
        machine = self.hosts[host]
        if host in self.fleet.balancer.hosts:
            return False
        answers = machine.powered and not machine.silent and machine.gateway.answers
        return service not in self.addressed or not answers

    def check(self) -> None:
        """Invariants 1 and 5, whatever happened."""
        for name, machine in self.hosts.items():
            self._check_endpoints(name, machine)
            room = 1 - self.fleet.headroom
            there = [c.facts for c in machine.containers.values() if not c.facts.ended]
            cpus = sum(r.cpus for r in there)
            memory = sum(r.memory for r in there)
            if cpus > machine.cpus * room + 1e-6 or memory > machine.memory * room:
                raise BrokenPromiseError(f"{name} has {cpus} cores and {memory} bytes reserved")

    def _check_endpoints(self, name: str, machine: Machine) -> None:
        there = (c.facts for c in machine.containers.values() if not c.facts.ended)
        ports = [(b.protocol, b.port) for r in there for b in r.ports]
        if len(ports) != len(set(ports)):
            raise BrokenPromiseError(f"two replicas share an endpoint on {name}: {sorted(ports)}")

    def _check_ready(self, step: PoolChange) -> None:
        """What is given traffic is that very replica, and it answers."""
        holder = self.holder(step.server.address, step.server.port)
        name = f"{holder.facts.name}.{holder.facts.host}" if holder else "nobody"
        if holder and name != step.server.name:
            raise BrokenPromiseError(f"{step.pool} sends requests for {step.server.name} to {name}")
        if holder and "bad" in holder.facts.image:
            raise BrokenPromiseError(f"{step.server.name} was never ready and takes traffic")


def outcome_of(world: World, step: Step) -> tuple[str, BayplanError | None]:
    """Apply, and what became of it."""
    try:
        return world.apply(step), None
    except ConflictError as error:
        raise BrokenPromiseError(str(error)) from error
    except BayplanError as error:
        return "", error
