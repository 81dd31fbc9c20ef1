"""Keys of the Compose Specification that we refuse, and what to write in their place."""

from __future__ import annotations

from typing import Final

_LATER: Final = ""

# Model that lacks the key -> key -> the alternative ("" if there is none). "not supported yet" unless in NEVER.
NOT_YET: Final[dict[str, dict[str, str]]] = {
    "ReservationsFile": {"generic_resources": "devices, or labels of hosts and placement.constraints"},
    "Extension": {"standby": _LATER, "autoscale": "deploy.replicas", "login": "bayplan exec"},
}

NEVER: Final[dict[str, dict[str, str]]] = {
    "ComposeFile": {"models": "a service of its own that serves the model"},
    "ServiceFile": {
        "cpu_count": "cpus: this one is for engines on Windows",
        "cpu_percent": "cpus: this one is for engines on Windows",
        "credential_spec": "remove it: it is for engines on Windows",
        "external_links": "x-bayplan: {external: …} on a service of that name",
        "models": "a service of its own that serves the model, and environment that says where",
        "provider": "x-bayplan: {external: …}",
        "pull_refresh_after": "bayplan up --pull: images are pinned by digest at each release",
        "use_api_socket": "volumes: [/var/run/docker.sock:/var/run/docker.sock], which is the host's root",
    },
    "BuildFile": {"isolation": "remove it: it is for engines on Windows"},
    "SecretFile": {
        "driver": "file or environment: a driver is a swarm's",
        "driver_opts": "file or environment: a driver is a swarm's",
        "template_driver": "file or environment: a driver is a swarm's",
    },
    "ConfigFile": {"template_driver": "content, with ${VARIABLES}: a driver is a swarm's"},
    "AttachmentFile": {
        "driver_opts": "remove it: there is one interface, and it is the engine's own",
        "interface_name": "remove it: there is one interface, and it is the engine's own",
        "link_local_ips": "remove it: addresses are the engines' own; use the service's name",
        "mac_address": "mac_address of the service",
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


def is_refused(key: str) -> bool:
    """Whether the Specification has the key somewhere where we refuse it."""
    return any(key in keys for keys in (*NEVER.values(), *NOT_YET.values()))
