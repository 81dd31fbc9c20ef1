"""Where everything of a lab is: its addresses, namespaces, directories. All of it follows from a name and a number."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from bayplan.errors import LabError

RUN = Path("/run/bayplan-lab")
DATA = Path("/var/lib/bayplan-lab")
MOST_HOSTS = 200
MOST_LABS = 64
HUB_PORT = 5000

_NAME = re.compile(r"[a-z][a-z0-9-]{0,19}")

Say = Callable[[str, str, bool], None]
"""say(stage, what happens, whether the stage is done): how `up` tells its progress."""


def cache() -> Path:
    """Roots and images, kept between labs; BAYPLAN_CACHE names another place."""
    return Path(os.environ.get("BAYPLAN_CACHE", "/var/cache/bayplan"))


@dataclass(frozen=True)
class Member:
    """A host's place in a lab."""

    name: str
    zone: str
    private_ip: str
    public_ip: str
    netns: str
    data: Path
    group: str


@dataclass(frozen=True)
class Layout:
    """A lab's places. index: 0 to 63, which keeps labs side by side apart.

    10.77.INDEX.0/24 is the private network, 198.19.INDEX.0/24 (RFC 2544, never routed on the internet) the public one,
    198.19.(128+INDEX).0/31 the link between the lab's router and this machine.
    """

    name: str
    index: int

    @property
    def private_net(self) -> str:
        return f"10.77.{self.index}.0/24"

    @property
    def public_net(self) -> str:
        return f"198.19.{self.index}.0/24"

    @property
    def operator_ip(self) -> str:
        return f"10.77.{self.index}.1"

    @property
    def router_ip(self) -> str:
        """The hosts' way out, where the Docker Hub mirror also is."""
        return f"198.19.{self.index}.1"

    @property
    def mirror(self) -> str:
        """The Docker Hub mirror's URL, as hosts and this machine reach it."""
        return f"http://{self.router_ip}:{HUB_PORT}"

    @property
    def outside_ip(self) -> str:
        return f"198.19.{self.index}.2"

    @property
    def uplink(self) -> tuple[str, str]:
        """(this machine's end, the router's end)."""
        return f"198.19.{128 + self.index}.0", f"198.19.{128 + self.index}.1"

    @property
    def operator_link(self) -> str:
        return f"bp{self.index}op"

    @property
    def up_link(self) -> str:
        return f"bp{self.index}up"

    @property
    def state(self) -> Path:
        return RUN / self.name

    @property
    def data(self) -> Path:
        return DATA / self.name

    @property
    def comment(self) -> str:
        """Marks this lab's rules in the machine's firewall."""
        return f"bayplan-lab:{self.name}"

    def netns(self, part: str) -> str:
        """part: switch, router, outside or a host's name."""
        return f"bayplan.{self.name}.{part}"

    def group(self, part: str) -> str:
        """The part's control group, relative to a hierarchy's root."""
        return f"bayplan-lab/{self.name}/{part}"

    def member(self, number: int) -> Member:
        """number: from 1."""
        name = f"h{number}"
        return Member(
            name=name,
            zone=chr(ord("a") + (number - 1) % 3),
            private_ip=f"10.77.{self.index}.{10 + number}",
            public_ip=f"198.19.{self.index}.{10 + number}",
            netns=self.netns(name),
            data=self.data / name,
            group=self.group(name),
        )

    def members(self, hosts: int) -> tuple[Member, ...]:
        return tuple(self.member(number) for number in range(1, hosts + 1))


def check_name(name: str) -> str:
    """A name that fits in namespaces' and directories' names."""
    if _NAME.fullmatch(name):
        return name
    raise LabError(f"'{name}' cannot name a lab", todo="use 1 to 20 of a-z, 0-9 and -, a letter first")
