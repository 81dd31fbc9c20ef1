"""What a service says of the hosts that it may be on: `deploy.placement.constraints` (Compose Deploy Specification),
and what its image is for.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from bayplan.spec.architecture import kernels_name, runs
from bayplan.spec.model import Host, Service

_CONSTRAINT = re.compile(r"^\s*(?P<key>[\w.\-/]+)\s*(?P<op>==|!=)\s*(?P<value>.+?)\s*$")


def attribute(host: Host, key: str) -> str | None:
    """What `node.labels.disk`, `node.hostname`, `node.zone` and so on are on a host; None if it has no such thing."""
    fixed = {
        "node.hostname": host.name,
        "node.id": host.name,
        "node.zone": host.zone,
        "node.labels.zone": host.labels.get("zone", host.zone),
        "node.platform.os": "linux",
        "node.role": "worker",
    }
    if key in fixed:
        return fixed[key]
    return host.labels.get(key.removeprefix("node.labels.")) if key.startswith("node.labels.") else None


def unmet(service: Service, host: Host, arch: str) -> str | None:
    """The first constraint that the host does not meet, in words. arch: what its engine tells."""
    for constraint in service.placement.constraints:
        match = _CONSTRAINT.match(constraint)
        if match is None:
            return f"the constraint {constraint!r} cannot be read"
        is_arch = match["key"] == "node.platform.arch"
        has = arch if is_arch else attribute(host, match["key"])
        wanted = kernels_name(match["value"]) if is_arch else match["value"]
        if (has == wanted) != (match["op"] == "=="):
            return f"needs {constraint}, " + (f"but it is {has}" if has else "which it does not say")
    return None


def foreign(service: Service, arch: str, kinds: Collection[str]) -> str | None:
    """That its image is for another architecture than a host's, where it is for that of any host at all: others may
    emulate it. arch, kinds: the host's, and those of all hosts.
    """
    made_for = service.image_architectures
    if any(runs(arch, image) for image in made_for) or not any(runs(k, i) for k in kinds for i in made_for):
        return None
    return f"its image is for {' and '.join(made_for)}, and the host is {arch}"
