"""A service's run-time options."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from bayplan.spec.options import NO_BRIDGE, Blkio, Device, DeviceRequest, Logging, Options, Throttle, Ulimit
from bayplan.spec.reading import expanded, read_text
from bayplan.spec.resolve.around import Surroundings, blank
from bayplan.spec.written.runtime import BlkioFile, DeviceFile, DeviceRequestFile, LoggingFile, RateFile, UlimitFile
from bayplan.spec.written.service import ServiceFile

# Written as they are meant: the field has the key's name and value.
_PLAIN = (
    "cap_add", "cap_drop", "cgroup", "cgroup_parent", "cpu_period", "cpu_quota", "cpu_rt_period", "cpu_rt_runtime",
    "cpu_shares", "cpuset", "device_cgroup_rules", "dns", "dns_opt", "dns_search", "domainname", "extra_hosts",
    "group_add", "hostname", "ipc", "mac_address", "mem_swappiness", "memswap_limit", "oom_kill_disable",
    "oom_score_adj", "pid", "privileged", "read_only", "runtime", "shm_size", "stdin_open", "tmpfs", "tty",
    "userns_mode", "uts",
)  # fmt: skip
_SECCOMP = re.compile(r"seccomp[:=]([^{].*)")
_PAIRS = ("annotations", "storage_opt", "sysctls")


def options(name: str, written: ServiceFile, around: Surroundings) -> Options:
    """The options; what is not written keeps the engine's default."""
    plain: dict[str, Any] = {key: value for key in _PLAIN if (value := getattr(written, key)) is not None}
    pairs: dict[str, Any] = {key: blank(getattr(written, key)) for key in _PAIRS}
    return Options(
        **plain,
        **pairs,
        blkio_config=_blkio(written.blkio_config or BlkioFile()),
        devices=tuple(_device(entry) for entry in written.devices or ()),
        gpus=_gpus(written),
        logging=_logging(written.logging),
        network_mode=written.network_mode if written.network_mode in NO_BRIDGE else "",
        security_opt=tuple(_security(name, written, around)),
        ulimits=ulimits(written.ulimits),
    )


def ulimits(written: Mapping[str, UlimitFile] | None) -> dict[str, Ulimit]:
    """`ulimits:`."""
    return {key: Ulimit(soft=limit.soft, hard=limit.hard) for key, limit in (written or {}).items()}


def _device(entry: DeviceFile) -> Device:
    return Device(source=entry.source, target=entry.target or entry.source, permissions=entry.permissions or "rwm")


def _logging(written: LoggingFile | None) -> Logging | None:
    return Logging(driver=written.driver or "", options=blank(written.options)) if written else None


def _blkio(written: BlkioFile) -> Blkio:
    def rates(entries: Iterable[RateFile] | None) -> tuple[Throttle, ...]:
        return tuple(Throttle(path=entry.path, rate=entry.rate) for entry in entries or ())

    return Blkio(
        weight=written.weight or 0,
        weight_device=tuple(Throttle(path=w.path, rate=w.weight) for w in written.weight_device or ()),
        device_read_bps=rates(written.device_read_bps),
        device_write_bps=rates(written.device_write_bps),
        device_read_iops=rates(written.device_read_iops),
        device_write_iops=rates(written.device_write_iops),
    )


def _gpus(written: ServiceFile) -> tuple[DeviceRequest, ...]:
    """`gpus`, which are of the capability gpu, and the devices that `deploy` reserves."""
    resources = written.deploy.resources if written.deploy else None
    reserved = (resources.reservations.devices if resources and resources.reservations else None) or ()
    return (
        *(_request(entry, ("gpu", *(entry.capabilities or ()))) for entry in written.gpus or ()),
        *(_request(entry, entry.capabilities or ()) for entry in reserved),
    )


def _request(entry: DeviceRequestFile, capabilities: tuple[str, ...]) -> DeviceRequest:
    """All of them, unless a count or ids are written (Compose Specification, "devices")."""
    count = entry.count if entry.count is not None else 0 if entry.device_ids else -1
    return DeviceRequest(
        driver=entry.driver or "",
        count=count,
        device_ids=entry.device_ids or (),
        capabilities=tuple(dict.fromkeys(capabilities)),
        options=blank(entry.options),
    )


def _security(name: str, written: ServiceFile, around: Surroundings) -> Iterable[str]:
    """A seccomp profile is a file of the operator's; the engine takes its text."""
    for index, entry in enumerate(written.security_opt or ()):
        match = _SECCOMP.fullmatch(entry)
        if match is None or match[1] in {"unconfined", "builtin"}:
            yield entry
            continue
        place = around.place("services", name, "security_opt", index)
        path = around.directory / expanded(match[1])
        text = read_text(path, place, around.mistakes, f"services.{name}.security_opt: ")
        yield f"seccomp={_compact(text)}" if text is not None else entry


def _compact(text: str) -> Any:
    import json

    try:
        return json.dumps(json.loads(text), separators=(",", ":"))
    except ValueError:
        return text
