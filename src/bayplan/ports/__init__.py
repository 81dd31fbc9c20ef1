"""What bayplan needs of the world, as protocols, a file each; `wiring.py` chooses who gives it."""

from bayplan.ports.engine import (
    AS_IT_IS,
    BuildRequest,
    Engine,
    ExecResult,
    ExecStream,
    HeldContainer,
    How,
    LogLine,
    OnTransfer,
    Transfer,
    Usage,
    VolumeEntry,
)
from bayplan.ports.fleet import Clock, FleetPorts
from bayplan.ports.gateway import Gateway
from bayplan.ports.lock import Claim, Hold, Lock
from bayplan.ports.reach import Reach
from bayplan.ports.registry import Credentials, Registry, Repository, Stored
from bayplan.ports.releases import Release, Releases, Source
from bayplan.ports.usage import Sample, UsageStore

__all__ = [
    "AS_IT_IS",
    "BuildRequest",
    "Claim",
    "Clock",
    "Credentials",
    "Engine",
    "ExecResult",
    "ExecStream",
    "FleetPorts",
    "Gateway",
    "HeldContainer",
    "Hold",
    "How",
    "Lock",
    "LogLine",
    "OnTransfer",
    "Reach",
    "Registry",
    "Release",
    "Releases",
    "Repository",
    "Sample",
    "Source",
    "Stored",
    "Transfer",
    "Usage",
    "UsageStore",
    "VolumeEntry",
]
