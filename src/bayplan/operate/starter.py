"""The files that `init` begins a project with, as text, and what a Dockerfile tells for them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path

from bayplan.spec.model import Tls

SCHEMAS = ".bayplan/schemas"
# What tells that there is a program in a folder, and not how its image is built.
MANIFESTS = (
    "package.json", "pyproject.toml", "requirements.txt", "go.mod", "Cargo.toml", "Gemfile", "composer.json", "pom.xml",
    "build.gradle", "build.gradle.kts", "mix.exs", "deno.json",
)  # fmt: skip
_WEB = frozenset({80, 3000, 4000, 5000, 8000, 8080, 8081, 8888, 9000})  # what web servers in containers listen on
_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)(?::?-([^}]*))?\})")
_PLAIN = re.compile(r"[\w./~+-]+")  # what needs no quotes
_EXPOSED = re.compile(r"(\d+)(?:/tcp)?")


@dataclass(frozen=True, slots=True)
class HostEntry:
    """A line under `hosts:`. note: a comment after it, "" for none. tls: its certificates, if it needs any."""

    name: str
    address: str
    private_ip: str
    note: str = ""
    tls: Tls | None = None

    @property
    def text(self) -> str:
        """As it is written."""
        files = ", ".join(f"{key}: {_path(path)}" for key, path in self.tls.model_dump().items()) if self.tls else ""
        tls = f", tls: {{{files}}}" if files else ""
        return f"{self.name}: {{address: {self.address}, private_ip: {self.private_ip}{tls}}}"


def fleet_text(
    name: str, net: IPv4Network, hosts: Sequence[HostEntry], dialled: str, ssh_config: str = "", port: int | None = None
) -> str:
    """fleet.yaml. dialled: the address that clients use; ssh_config: a file for ssh, "" for the user's own; port: the
    registry's on each host's loopback, None for the usual one.
    """
    first = hosts[0].name
    wide = max(len(h.text) for h in hosts)
    lines = "".join(f"  {_host(h, wide)}\n" for h in hosts)
    registry = f"host: {first}, port: {port}" if port else f"host: {first}"
    ssh = f"ssh: {{config_file: {ssh_config}}}\n" if ssh_config else ""
    return f"""\
# yaml-language-server: $schema={SCHEMAS}/fleet.json
# The fleet: where apps run. Look it over: bayplan doctor
name: {name}
private_net: {net}    # only these sources reach replicas' ports
{ssh}hosts:    # hosts that fail together share a zone: add zone: a, zone: b, …
{lines}balancer: {{hosts: [{first}], address: {dialled}}}    # which hosts take clients' requests; what clients dial
registry: {{{registry}}}    # where images are kept; each host pulls through its own loopback
"""


def _path(path: str) -> str:
    """As a person would write it, beside the file or in a home."""
    for start, short in ((Path.cwd(), ""), (Path.home(), "~/")):
        if Path(path).is_relative_to(start):
            path = f"{short}{Path(path).relative_to(start)}"
            break
    return path if _PLAIN.fullmatch(path) else json.dumps(path, ensure_ascii=False)


def _host(h: HostEntry, wide: int) -> str:
    return f"{h.text:{wide}}    # {h.note}" if h.note else h.text


def compose_text(name: str, *, image: str, target: int | None, published: int | None, replicas: int) -> str:
    """compose.yaml with one service. image "": it is built here; target: its port, None for not known."""
    source = f"image: {image}" if image else "build: .    # the Dockerfile here"
    return f"""\
# yaml-language-server: $schema={SCHEMAS}/compose.json
# The app. See it resolved: bayplan config. Start it: bayplan up
name: {name}

services:
  web:
    {source}
{_ports(target, published)}    deploy:
      replicas: {replicas}    # or: bayplan scale web={replicas + 2}
      resources:
        reservations: {{cpus: "0.1", memory: 64M}}    # what packing counts
        limits: {{memory: 512M}}    # what the engine enforces
"""


def _ports(target: int | None, published: int | None) -> str:
    if target is None:
        return '    # ports: ["80:8080"]    # clients\' port 80 to the port that your program listens on\n'
    shown = published or public_port(target)
    return (
        f'    ports:\n      - "{shown}:{target}"    # clients\' port {shown} leads to port {target} of each replica\n'
    )


def public_port(target: int) -> int:
    """The port that clients use for a container's: 80 for a web server's, else the same."""
    return 80 if target in _WEB else target


def exposed_port(dockerfile: str) -> int | None:
    """The first TCP port that the last stage EXPOSEs (Dockerfile reference, "EXPOSE"), ARG and ENV filled in."""
    variables: dict[str, str] = {}
    found: int | None = None
    for word, rest in _instructions(dockerfile):
        if word == "FROM":
            found = None
        elif word in {"ARG", "ENV"}:
            variables |= _assigned(rest, variables)
        elif word == "EXPOSE" and found is None:
            ports = (_EXPOSED.fullmatch(p) for p in _filled(rest, variables).split())
            found = next((int(p[1]) for p in ports if p), None)
    return found


def _instructions(dockerfile: str) -> Sequence[tuple[str, str]]:
    lines = "\n".join(line for line in dockerfile.splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\[ \t]*\n", " ", lines).splitlines()
    parts = (line.strip().partition(" ") for line in joined if line.strip())
    return [(word.upper(), rest.strip()) for word, _, rest in parts]


def _assigned(rest: str, variables: Mapping[str, str]) -> dict[str, str]:
    """`A=1 B="2"`, or the old `A 1`."""
    if "=" not in rest:
        key, _, value = rest.partition(" ")
        return {key: value.strip()} if value else {}
    pairs = (pair.partition("=") for pair in rest.split())
    return {key: _filled(value.strip("\"'"), variables) for key, sign, value in pairs if sign}


def _filled(text: str, variables: Mapping[str, str]) -> str:
    return _VARIABLE.sub(lambda m: variables.get(m[1] or m[2], m[3] or ""), text)


def label(text: str, default: str) -> str:
    """A name of a fleet or an app made of any text: lower-case letters, digits and -."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:63].strip("-") or default
