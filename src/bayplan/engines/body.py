"""What the engine is asked to create: a Container as the body of POST /containers/create."""

from __future__ import annotations

import math
from typing import Any

from bayplan.container import Container
from bayplan.engines.mounts_body import as_binds, as_mounts
from bayplan.engines.options_body import host_config, log_config, top_level
from bayplan.spec.model import Healthcheck

_NANO = 1_000_000_000
_ROTATION = {"max-size": "10m", "max-file": "3"}  # an engine's default keeps every line for ever


def create_body(container: Container, *, cores: float = 0.0, log_driver: str = "json-file") -> dict[str, Any]:
    """The request's body.

    cores: the host's, 0 if not known. An engine refuses a limit above them, which would limit nothing.
    log_driver: the engine's default. Another than Docker's own is its owner's choice, and stays.
    """
    body: dict[str, Any] = {
        "Image": container.image,
        "Env": [k if v is None else f"{k}={v}" for k, v in container.environment.items()],
        "Labels": dict(container.labels),
        "Hostname": container.hostname,
        "User": container.user,
        "WorkingDir": container.working_dir,
        # With 0 and an init, `docker restart -t 0` leaves a container of engine 20.10 without its root: no exec then.
        "StopTimeout": max(1, math.ceil(container.stop_grace)),
        "ExposedPorts": {f"{b.target}/{b.protocol}": {} for b in container.ports},
        "HostConfig": _host_config(container, cores, log_driver),
        **top_level(container.options),
    }
    if container.command is not None:
        body["Cmd"] = list(container.command)
    if container.entrypoint is not None:
        body["Entrypoint"] = list(container.entrypoint)
    if container.stop_signal:
        body["StopSignal"] = container.stop_signal
    if container.healthcheck is not None:
        body["Healthcheck"] = _healthcheck(container.healthcheck)
    if _named_network(container):
        mac = {"MacAddress": container.options.mac_address} if container.options.mac_address else {}
        endpoint = {"Aliases": list(container.aliases), **mac}
        body["NetworkingConfig"] = {"EndpointsConfig": {container.network: endpoint}}
    return body


def restart_policy(text: str) -> dict[str, Any]:
    """Of "no", "always", "unless-stopped", "on-failure" and "on-failure:3"."""
    name, _, count = text.partition(":")
    return {"Name": name, "MaximumRetryCount": int(count or 0)}


def _named_network(container: Container) -> bool:
    return container.network not in ("", "host", "bridge", "none")


def _host_config(container: Container, cores: float, log_driver: str) -> dict[str, Any]:
    config: dict[str, Any] = {
        "NetworkMode": container.network or "default",
        "PortBindings": _port_bindings(container),
        "Binds": [*(f"{source}:{target}" for source, target in container.binds.items()), *as_binds(container.mounts)],
        "RestartPolicy": restart_policy(container.restart),
        **({} if container.init is None else {"Init": container.init}),
        "Privileged": container.privileged,
        "CapAdd": list(container.cap_add),
        "CapDrop": list(container.cap_drop),
        "PidMode": container.pid_mode,
        **_limits(container, cores),
        **host_config(container.options),
    }
    if found := as_mounts(container.mounts):
        config["Mounts"] = found
    if (said := log_config(container.options, log_driver)) is not None:
        config["LogConfig"] = said
    elif log_driver == "json-file":
        config["LogConfig"] = {"Type": log_driver, "Config": dict(_ROTATION)}
    return config


def _port_bindings(container: Container) -> dict[str, list[dict[str, str]]]:
    bound: dict[str, list[dict[str, str]]] = {}
    for b in container.ports:
        bound.setdefault(f"{b.target}/{b.protocol}", []).append({"HostIp": b.address, "HostPort": str(b.port)})
    return bound


def _limits(container: Container, cores: float) -> dict[str, int]:
    limits: dict[str, int] = {}
    if container.limit_cpus:
        limits["NanoCpus"] = round(min(container.limit_cpus, cores or container.limit_cpus) * _NANO)
    if container.limit_memory:
        limits["Memory"] = container.limit_memory
        limits["MemorySwap"] = container.limit_memory  # memory and swap together: no swap beyond the limit
    if container.limit_pids:
        limits["PidsLimit"] = container.limit_pids
    return limits


def _healthcheck(check: Healthcheck) -> dict[str, Any]:
    """What is not in it is as the image's own says: the engine sees to it."""
    times = {
        "Interval": check.interval,
        "Timeout": check.timeout,
        "StartPeriod": check.start_period,
        "StartInterval": check.start_interval,
    }
    body: dict[str, Any] = {key: round(seconds * _NANO) for key, seconds in times.items() if seconds is not None}
    if check.retries is not None:
        body["Retries"] = check.retries
    return {"Test": list(check.test), **body} if check.test else body
