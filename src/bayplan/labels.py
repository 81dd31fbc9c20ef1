"""The labels that a container of ours carries: facts live where they are true. They never change."""

from __future__ import annotations

from typing import Final

FLEET: Final = "bayplan.fleet"
ROLE: Final = "bayplan.role"  # replica, gateway, guard or registry
APP: Final = "bayplan.app"
SERVICE: Final = "bayplan.service"
SLOT: Final = "bayplan.slot"
RELEASE: Final = "bayplan.release"
SPEC: Final = "bayplan.spec"  # digest of the definition
PORTS: Final = "bayplan.ports"  # "80=10.77.0.11:20080/tcp,…": a stopped container's bindings are in no list
RESERVED: Final = "bayplan.reserved"  # "0.5,536870912": cores, bytes
