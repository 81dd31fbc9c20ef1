"""Keys of the Compose Specification that we do not support, and what to write in their place."""

from __future__ import annotations

from typing import Final

_LATER: Final = ""

# Model that lacks the key -> key -> the alternative ("" if there is none). "not supported yet" unless in NEVER.
NOT_YET: Final[dict[str, dict[str, str]]] = {
    "ComposeFile": {
        "include": "name the other files with -f",
        "networks": "services of an app share one network here; remove it",
        "volumes": "keep data in a service outside of the fleet for now",
        "configs": "put the file into the image with build",
        "secrets": "keep it out of the file: environment with a value of the operator's own environment",
        "models": _LATER,
    },
    "ServiceFile": {
        "cap_add": _LATER,
        "cap_drop": _LATER,
        "configs": "put the file into the image with build",
        "depends_on": "services start at once here: let the service wait for what it needs",
        "devices": _LATER,
        "dns": _LATER,
        "dns_opt": _LATER,
        "dns_search": _LATER,
        "extends": "YAML anchors and merge keys (<<: *name), or several files with -f",
        "extra_hosts": _LATER,
        "gpus": _LATER,
        "group_add": _LATER,
        "hostname": _LATER,
        "label_file": "labels",
        "logging": _LATER,
        "memswap_limit": _LATER,
        "models": _LATER,
        "networks": "services of an app share one network here; remove it",
        "oom_score_adj": _LATER,
        "platform": "deploy.placement.constraints: [node.platform.arch == x86_64]",
        "post_start": "the image's entrypoint",
        "pre_stop": "a handler of stop_signal in the image",
        "privileged": _LATER,
        "profiles": "another file with -f",
        "pull_policy": "images are pinned by digest at each release",
        "read_only": _LATER,
        "runtime": _LATER,
        "secrets": "keep it out of the file: environment with a value of the operator's own environment",
        "security_opt": _LATER,
        "shm_size": _LATER,
        "stdin_open": "bayplan exec -it",
        "sysctls": _LATER,
        "tmpfs": _LATER,
        "tty": "bayplan exec -it",
        "ulimits": _LATER,
        "volumes": "put files into the image with build; keep data in a service outside of the fleet for now",
    },
    "BuildFile": {
        "additional_contexts": "copy what is needed into the context",
        "cache_from": _LATER,
        "cache_to": _LATER,
        "entitlements": _LATER,
        "extra_hosts": _LATER,
        "network": _LATER,
        "platforms": "images are built for the hosts' own platform",
        "privileged": _LATER,
        "secrets": _LATER,
        "shm_size": _LATER,
        "ssh": _LATER,
        "tags": "image names the result",
        "ulimits": _LATER,
        "provenance": _LATER,
        "sbom": _LATER,
    },
    "HealthcheckFile": {"start_interval": "interval"},
    "DeployFile": {
        "restart_policy": "restart",
        "rollback_config": _LATER,
    },
    "UpdateFile": {"delay": _LATER, "failure_action": _LATER, "monitor": _LATER, "max_failure_ratio": _LATER},
    "ReservationsFile": {"devices": _LATER, "generic_resources": _LATER, "pids": "limits.pids"},
    "Extension": {"standby": _LATER, "autoscale": "deploy.replicas", "login": "bayplan exec"},
}

NEVER: Final[dict[str, dict[str, str]]] = {
    "ServiceFile": {
        "annotations": "labels",
        "attach": "bayplan logs SERVICE",
        "blkio_config": "deploy.resources.limits",
        "cgroup": "remove it",
        "cgroup_parent": "deploy.resources.limits",
        "container_name": "replicas have names of their own: APP-SERVICE-NUMBER; remove it",
        "cpu_count": "cpus",
        "cpu_percent": "cpus",
        "cpu_period": "cpus",
        "cpu_quota": "cpus",
        "cpu_rt_period": "cpus",
        "cpu_rt_runtime": "cpus",
        "cpu_shares": "deploy.resources.reservations.cpus",
        "cpuset": "cpus",
        "credential_spec": "remove it",
        "develop": "docker compose watch, on one machine",
        "device_cgroup_rules": "remove it",
        "domainname": "x-bayplan.http.host says under which name clients find the service",
        "external_links": "services of an app find each other by name; remove it",
        "ipc": "remove it",
        "isolation": "remove it",
        "links": "services of an app find each other by name; remove it",
        "mac_address": "remove it",
        "mem_swappiness": "mem_limit",
        "network_mode": "ports with mode: host publishes on the host itself",
        "oom_kill_disable": "mem_limit",
        "pid": "remove it",
        "provider": "remove it",
        "storage_opt": "remove it",
        "use_api_socket": "remove it",
        "userns_mode": "remove it",
        "uts": "remove it",
        "volumes_from": "remove it",
    },
    "BuildFile": {"isolation": "remove it"},
    "DeployFile": {
        "endpoint_mode": "listeners are always balanced; remove it",
        "labels": "labels, which every replica carries",
    },
}


def refusal(model: str, key: str) -> tuple[str, str] | None:
    """Why a known key is refused, and what to do; None if the Specification has no such key there."""
    if key in NOT_YET.get(model, {}):
        alternative = NOT_YET[model][key]
        return "is not supported yet", f"instead: {alternative}" if alternative else "remove it for now"
    if key in NEVER.get(model, {}):
        alternative = NEVER[model][key]
        return "cannot be meant on a fleet", alternative if "remove" in alternative else f"instead: {alternative}"
    return None
