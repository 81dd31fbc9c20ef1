"""Beginning a project: what the hosts tell, and which files are written. Nothing is overwritten unless asked."""

from __future__ import annotations

import asyncio
import errno
import itertools
import json
import re
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from urllib.parse import urlsplit

from bayplan.errors import BayplanError, UsageError, in_words
from bayplan.operate.doors import Door
from bayplan.operate.private_net import PRIVATE, is_private
from bayplan.operate.registry_door import first_free, listened
from bayplan.operate.starter import SCHEMAS, HostEntry, label
from bayplan.ports import FleetPorts
from bayplan.spec.model import Balancer, Fleet, Host, Registry, Ssh, Tls
from bayplan.spec.port_syntax import is_port
from bayplan.spec.reading import expanded
from bayplan.spec.schema import json_schema

LOOK_DEADLINE = 20.0  # seconds for a host to answer
_NOT_A_NETWORK_CARD = re.compile(r"lo|docker\d*|br-.*|veth.*|bp[0-9a-f]{4,}|virbr.*|cni.*|flannel.*|cali.*")
_TYPED = re.compile(r"(?:(?P<user>[^@/:\s]+)@)?(?P<host>[^@/:\s]+)(?::(?P<port>\d+))?")
_OVER_TLS = "tcp://"
_TLS_PORT = 2376  # IANA: docker-s
CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")  # as Docker's own client has them in a folder
_GUESSED = "is private_ip its address in private_net? over TLS nobody could be asked"
_WHOLE = IPv4Network("0.0.0.0/0")
_GUESSED_PREFIX = 24


@dataclass(frozen=True, slots=True)
class Seen:
    """One host as it was found. at: its private address and network; why, todo: what is wrong, "" if nothing is.

    is_guessed: the host did not tell it. listens: what anything there listens on. has_begun: the fleet of that name is
    there already.
    """

    host: Host
    at: IPv4Interface | None
    engine: str = ""
    why: str = ""
    todo: str = ""
    is_guessed: bool = False
    listens: tuple[Door, ...] = ()
    has_begun: bool = False


def hosts_of(typed: Sequence[str], tls: Tls | None = None) -> tuple[Host, ...]:
    """Hosts as people type them (deploy@10.0.0.11, web1, ssh://…, tcp://…), named. tls: of the latter. Raises
    UsageError.
    """
    hosts: dict[str, Host] = {}
    for text in typed:
        is_tls = text.startswith(_OVER_TLS)
        match = _TYPED.fullmatch(text.removeprefix("ssh://").removeprefix(_OVER_TLS).rstrip("/"))
        if not match or (is_tls and match["user"]):
            todo = "write it as you would for ssh: deploy@10.0.0.11; or, over TLS, tcp://10.0.0.11:2376"
            raise UsageError(f"{text!r} is not a host", todo=todo)
        if match["port"] and not is_port(match["port"]):
            raise UsageError(f"{text!r} has no port that there is", todo="ports are 1 to 65535")
        user = f"{match['user']}@" if match["user"] else ""
        port = f":{match['port'] or _TLS_PORT}" if match["port"] or is_tls else ""
        name = _name(match["host"], hosts)
        address = f"{_OVER_TLS if is_tls else 'ssh://'}{user}{match['host']}{port}"
        hosts[name] = Host(name=name, address=address, private_ip=_ip(match["host"]), tls=tls if is_tls else None)
    addresses = [h.address for h in hosts.values()]
    twice = next((a for a in addresses if addresses.count(a) > 1), None)
    if twice:
        raise UsageError(f"{twice} is named twice", todo="name each host once")
    return tuple(hosts.values())


def certificates(typed: Sequence[str], folder: Path | None, usual: Path) -> Path | None:
    """The folder of those for hosts over TLS; None where no such host is typed. folder: that was named; usual: where
    Docker's own client finds them. Raises UsageError.
    """
    over_tls = [text for text in typed if text.startswith(_OVER_TLS)]
    if not over_tls:
        if folder:
            raise UsageError(
                "--tls is for hosts over TLS, and none is named", todo="name them so: tcp://10.0.0.11:2376"
            )
        return None
    found = expanded(str(folder or usual)).absolute()
    if missing := [name for name in CERTIFICATES if not (found / name).is_file()]:
        told = f"{over_tls[0]} is reached with certificates, and {found} has no {', no '.join(missing)}"
        raise UsageError(told, todo=f"name the folder that has {', '.join(CERTIFICATES)}: --tls FOLDER")
    return found


def tls_of(folder: Path) -> Tls:
    """Its certificates."""
    ca, cert, key = (str(folder / name) for name in CERTIFICATES)
    return Tls(ca=ca, cert=cert, key=key)


def _name(host: str, taken: Mapping[str, Host]) -> str:
    first = "" if _ip(host) else label(host.partition(".")[0], "")
    return first if first and first not in taken else f"h{len(taken) + 1}"


def _ip(text: str) -> str:
    try:
        return str(IPv4Address(text))
    except AddressValueError:
        return ""


def provisional(name: str, hosts: Sequence[Host], ssh: Ssh) -> Fleet:
    """A fleet that is only good for reaching its hosts."""
    names = {h.name: h for h in hosts}
    return Fleet(name=name, private_net=_WHOLE, hosts=names, balancer=Balancer(hosts=(), address=""), ssh=ssh)


async def look(ports: FleetPorts) -> tuple[Seen, ...]:
    """Every host at once: its private address, and whether an engine answers."""
    return tuple(await asyncio.gather(*(_look(ports, h) for h in ports.fleet.hosts.values())))


async def _look(ports: FleetPorts, host: Host) -> Seen:
    ip = host.private_ip or (await _looked_up(host) if host.tls else "")
    guess = IPv4Interface(f"{ip}/{_GUESSED_PREFIX}") if ip else None
    at, told = guess, None
    try:
        async with asyncio.timeout(LOOK_DEADLINE):
            told = private_address(await _addresses(ports, host), host.private_ip)
            at = told or guess
            engine = await ports.engines[host.name].info()
            listens, has_begun = await listened(ports, host.name), await _has_begun(ports, host.name)
    except TimeoutError:
        return Seen(host, at, why=f"no answer within {LOOK_DEADLINE:g} s", todo="look at it later: bayplan doctor")
    except BayplanError as error:
        return Seen(host, at, why=error.what, todo=error.todo)
    version, is_guessed = str(engine.get("ServerVersion", "")), told is None
    return Seen(host, at, version, is_guessed=is_guessed, listens=listens, has_begun=has_begun)


async def _addresses(ports: FleetPorts, host: Host) -> str:
    """As `ip` tells them. A host over TLS has nobody to ask before its first `up`."""
    try:
        return await ports.reaches[host.name].run(["ip", "-o", "-4", "address", "show", "up"])
    except BayplanError:
        if host.tls:
            return ""
        raise


async def _looked_up(host: Host) -> str:
    """The address that its name has here; "" if none."""
    with suppress(OSError):
        name = urlsplit(host.address).hostname
        found = await asyncio.get_running_loop().getaddrinfo(name, None, family=socket.AF_INET)
        return str(found[0][4][0])
    return ""


async def _has_begun(ports: FleetPorts, host: str) -> bool:
    try:
        return bool((await ports.engines[host].observe(ports.fleet.name)).system)
    except BayplanError:
        return False


def registry_port(seen: Sequence[Seen]) -> int | None:
    """Where the fleet's registry is to be found on each host's loopback, if something has the usual port on one of
    them. Of a fleet that has begun, it is its own registry that has it.
    """
    usual = Registry().port
    free = first_free(usual, (door for host in seen for door in host.listens))
    return None if free == usual or any(host.has_begun for host in seen) else free


def private_address(said: str, typed: str) -> IPv4Interface | None:
    """From `ip -o -4 address`: the address that was typed if it is private, else the first private one, else any."""
    rows = (line.split() for line in said.splitlines())
    cards = [(r[1], IPv4Interface(r[3])) for r in rows if len(r) > 3 and r[2] == "inet"]  # noqa: PLR2004  its columns
    found = [address for card, address in cards if not _NOT_A_NETWORK_CARD.fullmatch(card)]
    private = [a for a in found if any(a.ip in net for net in PRIVATE)]
    same = [a for a in private if str(a.ip) == typed]
    return next(iter((*same, *private, *found)), None)


def common_network(addresses: Sequence[IPv4Interface]) -> IPv4Network:
    """The smallest network that holds all of theirs."""
    net = addresses[0].network
    while not all(a.network.subnet_of(net) for a in addresses):
        net = net.supernet()
    return net


def entries(seen: Sequence[Seen]) -> tuple[tuple[HostEntry, ...], IPv4Network]:
    """The lines under `hosts:`, and private_net. Raises UsageError for a host whose private address is not known, and
    for hosts that no private network holds: replicas' ports would be open to whoever else is in it.
    """
    unknown = next((s for s in seen if s.at is None), None)
    if unknown:
        by = "tcp://10.0.0.11:2376" if unknown.host.tls else "deploy@10.0.0.11"
        todo = f"{unknown.todo}\n  or name it by its private address: {by}"
        raise UsageError(f"its private address is not known: {unknown.why}", where=unknown.host.name, todo=todo)
    at = [s.at for s in seen if s.at is not None]
    notes = ["not reached: check private_ip" if s.why and not s.engine else _GUESSED * s.is_guessed for s in seen]
    lines = [
        HostEntry(s.host.name, s.host.address, str(a.ip), note, s.host.tls)
        for s, a, note in zip(seen, at, notes, strict=True)
    ]
    net = common_network(at)
    if len(at) == 1 and not is_private(net):
        return tuple(lines), IPv4Network(at[0].ip)
    if not is_private(net):
        told = (
            f"no private network holds {', '.join(str(a.ip) for a in at)}, and all of {net} would reach replicas' ports"
        )
        todo = (
            "join the hosts by one (a VPC, WireGuard), and name them by their addresses in it; "
            "or write fleet.yaml by hand, with private_net: the network from which replicas' ports may be reached"
        )
        raise UsageError(told, todo=todo)
    return tuple(lines), net


def write(directory: Path, texts: Mapping[str, str], *, force: bool) -> tuple[Path, ...]:
    """The files, or none of them; force keeps what was there as NAME.old, then NAME.old.2: the first may be
    a person's, the others ours. The old ones that were kept.

    Raises UsageError when one is there and force is not given; BayplanError when the directory cannot be written.
    """
    there = [directory / name for name in texts if (directory / name).exists()]
    if there and not force:
        names = " and ".join(p.name for p in there)
        raise UsageError(f"{names} is there already", todo="edit it, or write it anew (the old one is kept): --force")
    parts = {directory / name: directory / f".{name}.part" for name in texts}
    try:
        for path, part in parts.items():
            part.write_text(texts[path.name], encoding="utf-8")
        kept = tuple(path.rename(_unused(path.with_name(f"{path.name}.old"))) for path in there)
        for path, part in parts.items():
            part.rename(path)
    except OSError as error:
        raise _unwritten(directory, error) from error
    finally:
        for part in parts.values():
            with suppress(OSError):  # of a file system that cannot be written at all
                part.unlink(missing_ok=True)
    return kept


def _unwritten(directory: Path, error: OSError) -> BayplanError:
    """A write that fails names no file."""
    todo = "make room there" if error.errno == errno.ENOSPC else "may this user write here?"
    return BayplanError(f"cannot be written: {in_words(error)}", where=str(directory), todo=todo)


def _unused(path: Path) -> Path:
    numbered = (path.with_name(f"{path.name}.{n}") for n in itertools.count(2))
    return next(p for p in itertools.chain((path,), numbered) if not p.exists() and not p.is_symlink())


def write_schemas(directory: Path) -> None:
    """What the first line of each file tells editors to check it by. Generated: always written anew.

    Raises BayplanError when they cannot be written.
    """
    target = directory / SCHEMAS
    try:
        target.mkdir(parents=True, exist_ok=True)
        for file in ("compose", "fleet"):
            (target / f"{file}.json").write_text(json.dumps(json_schema(file), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise _unwritten(target, error) from error
