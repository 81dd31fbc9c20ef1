"""A fleet of real hosts on this machine: namespaces, Docker Engines, sshd, a Docker Hub mirror."""

from bayplan.lab.lifecycle import down, down_all, find, names, status, up
from bayplan.lab.recipes import EngineKind
from bayplan.lab.running import Fault, HostStatus, Lab, LabStatus

__all__ = [
    "EngineKind",
    "Fault",
    "HostStatus",
    "Lab",
    "LabStatus",
    "down",
    "down_all",
    "find",
    "names",
    "status",
    "up",
]
