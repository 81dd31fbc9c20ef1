"""What an engine lets a container be beside its image and command: the run-time options of a service.

Fields have the names of their Compose keys (Compose Specification, "Services"). Each has its engine's own meaning; a
field that the file leaves out is the engine's to choose. Bytes, microseconds, cores as in the Specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel, ConfigDict

NO_BRIDGE: Final = ("none", "host")  # network modes of replicas that are on none of the app's networks


class Value(BaseModel):
    """A value: it does not change, and an unknown field is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True, protected_namespaces=())


class Device(Value):
    """A device of the host in the container. A source such as `vendor.com/class=name` is CDI's."""

    source: str
    target: str
    permissions: str = "rwm"


class DeviceRequest(Value):
    """Devices that a driver chooses, such as GPUs. count -1: all; 0: those of device_ids."""

    driver: str = ""
    count: int = 0
    device_ids: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()
    options: Mapping[str, str] = {}


class Logging(Value):
    """`logging:`. driver "": the engine's own."""

    driver: str = ""
    options: Mapping[str, str] = {}


class Ulimit(Value):
    """One of `ulimits:`; -1 is no limit."""

    soft: int
    hard: int


class Throttle(Value):
    """A limit of one block device: bytes or operations a second, or its weight."""

    path: str
    rate: int


class Blkio(Value):
    """`blkio_config:`. weight 0: not set."""

    weight: int = 0
    weight_device: tuple[Throttle, ...] = ()
    device_read_bps: tuple[Throttle, ...] = ()
    device_write_bps: tuple[Throttle, ...] = ()
    device_read_iops: tuple[Throttle, ...] = ()
    device_write_iops: tuple[Throttle, ...] = ()


class Options(Value):
    """A service's run-time options.

    extra_hosts: "name=address". tmpfs: "/path" or "/path:options". gpus: of `gpus` and of reserved `devices`.
    memswap_limit -1: as much as the host has. network_mode none: no network but loopback; host: the host's own.
    """

    annotations: Mapping[str, str] = {}
    blkio_config: Blkio = Blkio()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    cgroup: str = ""
    cgroup_parent: str = ""
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    cpu_shares: int = 0
    cpuset: str = ""
    device_cgroup_rules: tuple[str, ...] = ()
    devices: tuple[Device, ...] = ()
    dns: tuple[str, ...] = ()
    dns_opt: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    domainname: str = ""
    extra_hosts: tuple[str, ...] = ()
    gpus: tuple[DeviceRequest, ...] = ()
    group_add: tuple[str, ...] = ()
    hostname: str = ""
    ipc: str = ""
    isolation: str = ""
    logging: Logging | None = None
    mac_address: str = ""
    mem_swappiness: int | None = None
    memswap_limit: int | None = None
    network_mode: str = ""
    oom_kill_disable: bool = False
    oom_score_adj: int = 0
    pid: str = ""
    privileged: bool = False
    read_only: bool = False
    runtime: str = ""
    security_opt: tuple[str, ...] = ()
    shm_size: int = 0
    stdin_open: bool = False
    storage_opt: Mapping[str, str] = {}
    sysctls: Mapping[str, str] = {}
    tmpfs: tuple[str, ...] = ()
    tty: bool = False
    ulimits: Mapping[str, Ulimit] = {}
    userns_mode: str = ""
    uts: str = ""
