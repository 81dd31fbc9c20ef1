"""Run-time options as the engine's API has them: parts of the body of POST /containers/create.

What is not set is not in the body: the engine's default stays, and an older engine is not asked for what it cannot.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from bayplan.spec.options import Blkio, Device, DeviceRequest, Options, Throttle, Ulimit

# Fields whose value the engine takes as it is: ours -> its name (Docker Engine API, "HostConfig").
_HOST_CONFIG: Final = {
    "annotations": "Annotations",
    "cgroup": "CgroupnsMode",
    "cgroup_parent": "CgroupParent",
    "cpu_period": "CpuPeriod",
    "cpu_quota": "CpuQuota",
    "cpu_rt_period": "CpuRealtimePeriod",
    "cpu_rt_runtime": "CpuRealtimeRuntime",
    "cpu_shares": "CpuShares",
    "cpuset": "CpusetCpus",
    "device_cgroup_rules": "DeviceCgroupRules",
    "dns": "Dns",
    "dns_opt": "DnsOptions",
    "dns_search": "DnsSearch",
    "group_add": "GroupAdd",
    "ipc": "IpcMode",
    "isolation": "Isolation",
    "mem_swappiness": "MemorySwappiness",
    "memswap_limit": "MemorySwap",
    "oom_kill_disable": "OomKillDisable",
    "oom_score_adj": "OomScoreAdj",
    "read_only": "ReadonlyRootfs",
    "runtime": "Runtime",
    "security_opt": "SecurityOpt",
    "shm_size": "ShmSize",
    "storage_opt": "StorageOpt",
    "sysctls": "Sysctls",
    "userns_mode": "UsernsMode",
    "uts": "UTSMode",
}
_BLKIO: Final = {
    "device_read_bps": "BlkioDeviceReadBps",
    "device_write_bps": "BlkioDeviceWriteBps",
    "device_read_iops": "BlkioDeviceReadIOps",
    "device_write_iops": "BlkioDeviceWriteIOps",
}


def host_config(options: Options) -> dict[str, Any]:
    """The options that are HostConfig's."""
    set_ = options.model_dump(exclude_defaults=True)
    config = {theirs: _plain(set_[ours]) for ours, theirs in _HOST_CONFIG.items() if ours in set_}
    if options.extra_hosts:
        config["ExtraHosts"] = extra_hosts(options.extra_hosts)
    if options.tmpfs:
        config["Tmpfs"] = {path: how for path, _, how in (entry.partition(":") for entry in options.tmpfs)}
    if options.ulimits:
        config["Ulimits"] = ulimits(options.ulimits)
    return config | _devices(options) | _blkio(options.blkio_config)


def extra_hosts(entries: Iterable[str]) -> list[str]:
    """ "name=address", as the Specification has it, as "name:address"."""
    return [entry.replace("=", ":", 1) for entry in entries]


def ulimits(limits: Mapping[str, Ulimit]) -> list[dict[str, Any]]:
    """The limits by name, as a list."""
    return [{"Name": name, "Soft": u.soft, "Hard": u.hard} for name, u in limits.items()]


def top_level(options: Options) -> dict[str, Any]:
    """The options that are the container's own."""
    found = {
        "Domainname": options.domainname,
        "MacAddress": options.mac_address,  # for engines before API 1.44, which look for it here
        "OpenStdin": options.stdin_open,
        "Tty": options.tty,
    }
    return {key: value for key, value in found.items() if value}


def log_config(options: Options, default: str) -> dict[str, Any] | None:
    """What `logging:` says; None if it is not written. default: the engine's own driver."""
    if options.logging is None:
        return None
    return {"Type": options.logging.driver or default, "Config": dict(options.logging.options)}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _devices(options: Options) -> dict[str, Any]:
    """Paths of the host; names of the Container Device Interface, and what drivers choose, are requests."""
    names = [d.source for d in options.devices if "=" in d.source]
    paths = [_path(d) for d in options.devices if "=" not in d.source]
    requests = [_request(r) for r in options.gpus]
    if names:
        requests.append({"Driver": "cdi", "DeviceIDs": names})
    return ({"Devices": paths} if paths else {}) | ({"DeviceRequests": requests} if requests else {})


def _path(device: Device) -> dict[str, str]:
    return {
        "PathOnHost": device.source,
        "PathInContainer": device.target,
        "CgroupPermissions": device.permissions,
    }


def _request(request: DeviceRequest) -> dict[str, Any]:
    return {
        "Driver": request.driver,
        "Count": request.count,
        "DeviceIDs": list(request.device_ids),
        "Capabilities": [list(request.capabilities)],
        "Options": dict(request.options),
    }


def _blkio(blkio: Blkio) -> dict[str, Any]:
    config: dict[str, Any] = {
        theirs: _throttles(found, "Rate") for ours, theirs in _BLKIO.items() if (found := getattr(blkio, ours))
    }
    if blkio.weight:
        config["BlkioWeight"] = blkio.weight
    if blkio.weight_device:
        config["BlkioWeightDevice"] = _throttles(blkio.weight_device, "Weight")
    return config


def _throttles(found: Iterable[Throttle], name: str) -> list[dict[str, Any]]:
    return [{"Path": throttle.path, name: throttle.rate} for throttle in found]
