"""What a lab leaves for its user: fleet.yaml, and an SSH configuration, so that ~/.ssh stays as it is."""

from __future__ import annotations

import os
from pathlib import Path

from bayplan.errors import LabError
from bayplan.lab.layout import Layout, Member
from bayplan.lab.process import run

_KEY = ("id_ed25519", "id_ed25519.pub")
_SIGNED = ("fleet.yaml", "ssh_config")
MADE = (*_SIGNED, "known_hosts", *_KEY)  # what `down` removes
_SIGNATURE = "# Written by `bayplan lab up`"


def check_place(directory: Path) -> None:
    """Raises LabError for a directory whose own files a lab would overwrite, and remove when it goes down."""
    there = [name for name in MADE if (directory / name).exists()]
    signed = [name for name in _SIGNED if name in there and _is_ours(directory / name)]
    foreign = [name for name in there if name not in signed and (name in _SIGNED or not signed)]
    if foreign:
        raise LabError(
            f"{', '.join(foreign)} is there already, and is not a lab's",
            where=str(directory),
            todo="name another directory with --dir, or move it away",
        )


def _is_ours(path: Path) -> bool:
    return path.read_text(errors="replace").startswith(_SIGNATURE)


def make_key(path: Path, comment: str) -> Path:
    """An ed25519 key pair, unless it is there."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path)])
    return path


def host_key(lab: Layout, member: Member) -> Path:
    return make_key(lab.data / "host-keys" / member.name, member.name)


def write(lab: Layout, hosts: tuple[Member, ...], directory: Path) -> None:
    """fleet.yaml, ssh_config and known_hosts; they belong to whoever called sudo."""
    (directory / "known_hosts").write_text("".join(_known(lab, member) for member in hosts))
    (directory / "ssh_config").write_text(ssh_config(hosts, directory))
    (directory / "fleet.yaml").write_text(fleet(lab, hosts))
    _hand_over(directory)


def _known(lab: Layout, member: Member) -> str:
    key = Path(f"{host_key(lab, member)}.pub").read_text().split()[:2]
    return f"{member.name},{member.private_ip} {' '.join(key)}\n"


def ssh_config(hosts: tuple[Member, ...], directory: Path) -> str:
    aliases = "".join(f"Host {m.name}\n    HostName {m.private_ip}\n\n" for m in hosts)
    return f"""{_SIGNATURE}. Use it as: ssh -F {directory / "ssh_config"} h1
{aliases}Host *
    User deploy
    IdentityFile "{directory / "id_ed25519"}"
    IdentitiesOnly yes
    UserKnownHostsFile "{directory / "known_hosts"}"
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
    PreferredAuthentications publickey
"""


def fleet(lab: Layout, hosts: tuple[Member, ...]) -> str:
    lines = "".join(
        f"  {m.name}: {{address: ssh://deploy@{m.private_ip}, private_ip: {m.private_ip}, zone: {m.zone}}}\n"
        for m in hosts
    )
    first = hosts[0]
    return f"""{_SIGNATURE}: the hosts of lab '{lab.name}', on this machine.
name: {lab.name}
private_net: {lab.private_net}
ssh: {{config_file: ./ssh_config}}
hosts:
{lines}balancer: {{kind: haproxy, hosts: [{first.name}], address: {first.private_ip}}}
registry: {{host: {first.name}}}
gateway: {{image: "haproxy:3.0"}}
"""


def _hand_over(directory: Path) -> None:
    """SSH refuses a key that another user owns. A directory in which there is more stays whose it is."""
    uid, gid = int(os.environ.get("SUDO_UID", "0")), int(os.environ.get("SUDO_GID", "0"))
    if not uid:
        return
    own = [directory] if {p.name for p in directory.iterdir()} <= set(MADE) else []
    parents = [p for p in directory.parents if p.name in {".bayplan", "labs"}]
    for path in (*own, *(directory / name for name in MADE), *parents):
        os.chown(path, uid, gid)
