"""The resolved form of both files: what the rest of bayplan works with, and what a release records.

Durations are seconds, memory is bytes, cpus are cores. A field that the file leaves out has its default here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from ipaddress import IPv4Network
from typing import Any, Final, Literal

from pydantic import SerializerFunctionWrapHandler, model_serializer

from bayplan.spec.options import Options, Ulimit, Value
from bayplan.spec.storage import Config, Grant, Mount, Secret, Volume

Frozen = Value
ENGINE_SOCKET: Final = "/var/run/docker.sock"  # where an engine listens on its host unless it is told otherwise
Protocol = Literal["tcp", "udp"]
Order = Literal["start-first", "stop-first"]
WEB_PORTS = frozenset({80, 8080})  # ports that speak HTTP unless something says otherwise
Mode = Literal["replicated", "global", "replicated-job", "global-job"]
Condition = Literal["service_started", "service_healthy", "service_completed_successfully"]
OnFailure = Literal["pause", "continue", "rollback"]


class Port(Frozen):
    """One entry under `ports:`.

    mode ingress: `published` is a listener on the balancer (bound to `address`, "" is all), `target` the container's
    port. mode host: `published` is that very port on the host, bound to `address` ("" is the host's private one).
    """

    target: int
    published: int
    protocol: Protocol = "tcp"
    mode: Literal["ingress", "host"] = "ingress"
    address: str = ""
    app_protocol: Literal["tcp", "http"] = "tcp"


class Http(Frozen):
    """`x-bayplan.http`: which requests of a shared listener are this service's. No hosts: any; path is a prefix."""

    hosts: tuple[str, ...] = ()
    path: str = "/"
    sticky: bool = False


class Probe(Frozen):
    """`x-bayplan.probe`: how a gateway asks a replica from outside whether it may have traffic.

    kind http: GET `path` answers 2xx or 3xx; kind tcp: the port accepts. Seconds.
    """

    kind: Literal["tcp", "http"] = "tcp"
    path: str = "/"
    interval: float = 2.0
    timeout: float = 2.0


class Healthcheck(Frozen):
    """`healthcheck:`, as the engine is asked to run it. test: argv with CMD or CMD-SHELL first; ("NONE",): none.

    What is not set, None or (), is as the image's own says, or else as engines have it (`plan.health`).
    """

    test: tuple[str, ...] = ()
    interval: float | None = None
    timeout: float | None = None
    start_period: float | None = None
    retries: int | None = None
    start_interval: float | None = None

    @model_serializer(mode="wrap")
    def _what_is_set(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Digests of definitions from before a field was there stay as they were."""
        fields: dict[str, Any] = dump(self)
        return {key: value for key, value in fields.items() if value is not None}


class Resources(Frozen):
    """`deploy.resources`: reservations are what packing counts, limits what the engine enforces. None: not limited."""

    reserved_cpus: float = 0.0
    reserved_memory: int = 0
    limit_cpus: float | None = None
    limit_memory: int | None = None
    limit_pids: int | None = None


class Placement(Frozen):
    """`deploy.placement`. constraints: as written, `node.labels.disk == ssd`; spread: `node.zone`, `node.labels.x`."""

    constraints: tuple[str, ...] = ()
    spread: tuple[str, ...] = ()
    max_per_host: int | None = None


class Update(Frozen):
    """`deploy.update_config`, `deploy.rollback_config`.

    parallelism 0: a quarter of the replicas at a time, at least one. delay: between groups. monitor: how long after its
    start a replica's failure counts. max_failure_ratio: of replicas.
    """

    order: Order = "start-first"
    parallelism: int = 0
    delay: float = 0.0
    failure_action: OnFailure = "pause"
    monitor: float = 0.0
    max_failure_ratio: float = 0.0


class Dependency(Frozen):
    """One entry of `depends_on:`. restart: the dependent is restarted after the other one is."""

    condition: Condition = "service_started"
    required: bool = True
    restart: bool = False


class Link(Frozen):
    """One entry of `links:`: the service is found by this name too, by the one that links."""

    service: str
    alias: str


class Exposed(Frozen):
    """A port of a service's own address, which the services that share a network with it reach."""

    port: int
    protocol: Protocol = "tcp"


class External(Frozen):
    """`x-bayplan.external`: the service is not run; its name leads to this address and port.

    address: a host name or an IPv4 address. tls: the gateway speaks TLS to it, and believes a certificate of `name`
    that is signed by one of `ca` (PEM text), or, without, by one that the gateway's own system knows. check None: it is
    not asked.
    """

    address: str
    port: int
    tls: bool = False
    name: str = ""
    ca: str = ""
    check: Probe | None = None


class Hook(Frozen):
    """One entry of `post_start:` or `pre_stop:`: a command run in the replica."""

    command: tuple[str, ...]
    user: str = ""
    privileged: bool = False
    working_dir: str = ""
    environment: Mapping[str, str] = {}


class Network(Frozen):
    """One entry of the top-level `networks:`: services on it find each other by name.

    name: what engines call it (`APP_KEY` unless it is written). external: shared with other apps. internal: who is on
    no other one reaches nobody outside the fleet.
    """

    name: str
    external: bool = False
    internal: bool = False
    labels: Mapping[str, str] = {}


class Build(Frozen):
    """`build:`. context: an absolute directory on the operator's machine, or where it is fetched from.

    dockerfile: relative to it, unless inline.
    """

    context: str
    dockerfile: str = "Dockerfile"
    dockerfile_inline: str | None = None
    args: Mapping[str, str] = {}
    target: str | None = None
    labels: Mapping[str, str] = {}
    no_cache: bool = False
    pull: bool = False
    additional_contexts: Mapping[str, str] = {}
    cache_from: tuple[str, ...] = ()
    cache_to: tuple[str, ...] = ()
    entitlements: tuple[str, ...] = ()
    extra_hosts: tuple[str, ...] = ()
    network: str = ""
    platforms: tuple[str, ...] = ()
    privileged: bool = False
    provenance: str = ""
    sbom: str = ""
    secrets: tuple[Grant, ...] = ()
    shm_size: int = 0
    ssh: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    ulimits: Mapping[str, Ulimit] = {}


class Service(Frozen):
    """One entry under `services:`. image: as written, or, in a release, pinned by digest.

    environment: None is none of its image's either. init None: as the engine has it for all.
    networks: the key of each network, and the service's aliases on it. depends_on: by service. platform: "os/arch".
    service_labels: of the service and not of its replicas (`deploy.labels`). rollback None: as `update`. In a release,
    address: its own (198.18.…), "" of one that nobody else could ask; listens: TCP ports that its image names;
    image_healthcheck: its image's own, None in releases that do not tell. image_architectures: what it is for, by the
    kernel's names; () is not known.
    """

    name: str
    image: str = ""
    build: Build | None = None
    command: tuple[str, ...] | None = None
    entrypoint: tuple[str, ...] | None = None
    environment: Mapping[str, str | None] = {}
    labels: Mapping[str, str] = {}
    user: str = ""
    working_dir: str = ""
    init: bool | None = None
    restart: str = "always"
    stop_signal: str = ""
    stop_grace_period: float = 10.0
    healthcheck: Healthcheck | None = None
    ports: tuple[Port, ...] = ()
    replicas: int = 1
    resources: Resources = Resources()
    placement: Placement = Placement()
    update: Update = Update()
    http: Http | None = None
    probe: Probe = Probe()
    drain: float = 30.0
    proxy_protocol: bool = False
    mode: Mode = "replicated"
    rollback: Update | None = None
    service_labels: Mapping[str, str] = {}
    expose: tuple[Exposed, ...] = ()
    networks: Mapping[str, tuple[str, ...]] = {"default": ()}
    links: tuple[Link, ...] = ()
    depends_on: Mapping[str, Dependency] = {}
    mounts: tuple[Mount, ...] = ()
    secrets: tuple[Grant, ...] = ()
    configs: tuple[Grant, ...] = ()
    platform: str = ""
    pull_policy: str = ""
    post_start: tuple[Hook, ...] = ()
    pre_stop: tuple[Hook, ...] = ()
    external: External | None = None
    options: Options = Options()
    address: str = ""
    listens: tuple[int, ...] = ()
    image_healthcheck: Healthcheck | None = None
    image_architectures: tuple[str, ...] = ()

    @property
    def is_job(self) -> bool:
        """Whether it runs to its end."""
        return self.mode in ("replicated-job", "global-job")

    @property
    def is_global(self) -> bool:
        """Whether each host that its constraints allow has one."""
        return self.mode in ("global", "global-job")


class App(Frozen):
    """One Compose project. networks, volumes, secrets, configs: by the keys that services name."""

    name: str
    services: Mapping[str, Service] = {}
    networks: Mapping[str, Network] = {}
    volumes: Mapping[str, Volume] = {}
    secrets: Mapping[str, Secret] = {}
    configs: Mapping[str, Config] = {}

    def with_needed(self, services: Collection[str]) -> frozenset[str]:
        """The services, and all that they depend on, as Compose brings them up."""
        found, left = set(services), list(services)
        while left:
            needed = self.services[name].depends_on if (name := left.pop()) in self.services else {}
            fresh = [n for n in needed if n in self.services and n not in found]
            found.update(fresh)
            left += fresh
        return frozenset(found)


class Host(Frozen):
    """One entry under `hosts:`. address: ssh://user@host[:port], unix:///path or tcp://host:port (TLS)."""

    name: str
    address: str
    private_ip: str
    zone: str = ""
    labels: Mapping[str, str] = {}
    tls: Tls | None = None


class Tls(Frozen):
    """Client certificates for a tcp:// engine. Paths of PEM files on the operator's machine."""

    ca: str
    cert: str
    key: str


class Balancer(Frozen):
    """`balancer:`. hosts: where listeners are; address: what clients dial (shown, not bound)."""

    kind: Literal["haproxy"] = "haproxy"
    hosts: tuple[str, ...]
    address: str


class Registry(Frozen):
    """`registry:`: on a host of the fleet, or an existing one by address ("registry.example.com/shop").

    port: on every host's loopback, where engines find the fleet's own registry.
    """

    host: str | None = None
    image: str = "registry:2"
    port: int = 5000
    address: str | None = None
    username: str | None = None
    password_command: str | None = None


class Ssh(Frozen):
    """`ssh:`: what the system's OpenSSH is told beside the user's own configuration. config_file: absolute path."""

    config_file: str | None = None


class Usage(Frozen):
    """What a replica of a service takes over the day, a number for each slot; () where that is not known.

    cpus: cores; memory: bytes.
    """

    cpus: tuple[float, ...] = ()
    memory: tuple[float, ...] = ()


class Elsewhere(Frozen):
    """Who names an engine that is not this machine's, and how one is rid of that."""

    by: str
    undo: str


class Fleet(Frozen):
    """What one fleet.yaml names. local: there was no file, and this machine's own engine is all of it.

    elsewhere: of a local one, which is not, and so cannot be opened.
    usage: by `service` or `app/service`; counts in place of what a service reserves.
    """

    name: str
    private_net: IPv4Network
    hosts: Mapping[str, Host]
    balancer: Balancer
    registry: Registry | None = None
    gateway_image: str = "haproxy:3.2"
    ports: tuple[int, int] = (20000, 29999)
    tolerate: int = 0
    headroom: float = 0.0
    store: str = ""
    ssh: Ssh = Ssh()
    local: bool = False
    elsewhere: Elsewhere | None = None
    usage: Mapping[str, Usage] = {}

    @property
    def is_this_machine(self) -> bool:
        """Whether its one host is where bayplan runs, so that paths mean the same to both."""
        return len(self.hosts) == 1 and all(host.address.startswith("unix://") for host in self.hosts.values())


Host.model_rebuild()
