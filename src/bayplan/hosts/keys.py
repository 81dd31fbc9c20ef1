"""Which keys ssh has to offer, for somebody who is refused."""

from __future__ import annotations

import binascii
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

_MAGIC = b"openssh-key-v1\0"


def told(files: Sequence[str], agent: str) -> str:
    """A sentence. files: as `ssh -G` names them, there or not; agent: its socket, "" for none."""
    there = [f for f in files if Path(f).expanduser().is_file()]
    has = [*(["the agent's"] if agent else []), *there]
    offered = f"keys that were offered: {', '.join(has)}" if has else _none(files)
    locked = "".join(f"; {f} has a passphrase, and counts only in an agent: ssh-add {f}" for f in there if _locked(f))
    return offered + locked


def agent_of(identity_agent: str, environment: Mapping[str, str]) -> str:
    """The socket, "" for none. identity_agent: what ssh's configuration says, "" for nothing."""
    if identity_agent == "none":
        return ""
    named = identity_agent if identity_agent not in ("", "SSH_AUTH_SOCK") else "$SSH_AUTH_SOCK"
    return environment.get(named[1:].strip("{}"), "") if named.startswith("$") else named


def _none(files: Sequence[str]) -> str:
    none = f", and there is no {' nor '.join(files)}" if files else ""
    return f"no key was offered: no agent runs{none}"


def _locked(file: str) -> bool:
    """By its own format (PROTOCOL.key: the cipher's name comes first), or by PEM's words; False if unclear."""
    try:
        text = Path(file).expanduser().read_text(encoding="ascii")
    except (OSError, ValueError):
        return False
    if "BEGIN OPENSSH PRIVATE KEY" not in text:
        return "ENCRYPTED" in text
    try:
        body = binascii.a2b_base64("".join(line for line in text.splitlines() if not line.startswith("-----")))
    except binascii.Error:
        return False
    rest = body.removeprefix(_MAGIC)
    size = int.from_bytes(rest[:4])
    return rest[4 : 4 + size] != b"none"


def here(effective: Mapping[str, Sequence[str]]) -> str:
    """For this process. effective: what `ssh -G` said."""
    agent = agent_of(next(iter(effective.get("identityagent", [])), ""), os.environ)
    return told(effective.get("identityfile", []), agent)
