"""What HAProxy calls things, and how a server is written, in the file and to the runtime API alike."""

from __future__ import annotations

import re
from typing import Final

from bayplan.container import digest
from bayplan.errors import GatewayError
from bayplan.routing import Pool, Server

# A new server is checked the moment it joins, and a starting one is asked often: this is what a client waits for.
# Asked in HAProxy 3.0, 27 servers that joined at once were all up after 16 ms with 10 ms, after 257 ms with 250 ms.
_ASK_AGAIN = 0.05  # seconds, while down
_CONFIRM = 0.25  # seconds, between the first failed check and the one that takes it out
_FALL = 2

DIRECTORY: Final = "/etc/bayplan"  # of a gateway's files, in its container
AWAY = "bayplan:away"  # the one server of a pool that leads out of the fleet; a replica's name has no colon

# Configuration manual 3.0, 4 "Proxies": names are of letters, digits and these four.
_NAME = re.compile(r"[A-Za-z0-9_.:-]{1,200}")


def check_name(name: str) -> str:
    """A name that HAProxy takes. Raises GatewayError."""
    if _NAME.fullmatch(name):
        return name
    raise GatewayError(f"a gateway cannot hold the name {name!r}", todo="use letters, digits, '-', '_' and '.' only")


def quote(text: str) -> str:
    """One word of a configuration line, whatever is in it. Raises GatewayError for what no line can hold."""
    return "'" + _one_line(text).replace("'", "'\\''") + "'"


def _one_line(text: str) -> str:
    if not text.isprintable():
        raise GatewayError(f"a gateway cannot be told {text!r}", todo="leave out line ends and control characters")
    return text


def server_words(pool: Pool, server: Server) -> str:
    """Address and options. All of them: `add server` heeds no `default-server`."""
    words = [f"{server.address}:{server.port}"]
    if is_checked(pool, server.name):
        words.append(check_words(pool))
    if pool.spoken_to(server.name).proxy_protocol:
        words.append("send-proxy-v2 check-send-proxy")
    if pool.sticky:
        words.append(f"cookie {digest(server.name)}")  # a client is not told the names of replicas and hosts
    return " ".join(words)


def tls_words(pool: Pool) -> str:
    """How the one server of a pool that leads out of the fleet is spoken to.

    Configuration manual 3.0, 5.2: `sni` asks for the name and has it checked; the checks of a server have no SNI of
    their own, and `verifyhost` is what they check. `@system-ca` is what the image's ca-certificates has.
    """
    name, ca = check_name(pool.tls), ca_path(pool.ca) if pool.ca else "@system-ca"
    return f"ssl verify required ca-file {ca} sni str({name}) verifyhost {name} check-sni {name}"


def is_checked(pool: Pool, server: str) -> bool:
    """Whether HAProxy can: it asks all servers of a backend over HTTP or none, and one of before may not answer it."""
    return pool.check == "tcp" or pool.spoken_to(server).check != "tcp"


def paths(pool: Pool) -> str:
    """Which path each server is asked for, where one of before has another: a file for `map_reg`, the first line that
    fits counts. "" where all have the pool's.
    """
    former = [(name, _path(how.check)) for name, how in pool.former if how.check != "tcp"]
    if pool.check == "tcp" or all(path == _path(pool.check) for _, path in former):
        return ""
    return "".join(
        (*(f"^{re.escape(check_name(name))}$ {path}\n" for name, path in former), f"^ {_path(pool.check)}\n")
    )


def paths_path(text: str) -> str:
    """Where a gateway has that file: other ones are another file, as with certificates."""
    return f"{DIRECTORY}/paths-{digest(text)}.map"


def _path(check: str) -> str:
    return _one_line(check.partition(" ")[2]) or "/"


def ca_path(ca: str) -> str:
    """Where a gateway has those certificates: other ones are another file, a table that is refused hurts none."""
    return f"{DIRECTORY}/ca-{digest(ca)}.pem"


def check_words(pool: Pool) -> str:
    """How a server is asked whether it is well; what becomes of those who are with one that is not: haproxy/lost.py."""
    words = [
        f"check inter {_ms(pool.interval)}",
        f"fastinter {_ms(min(pool.interval, _CONFIRM))} downinter {_ms(min(pool.interval, _ASK_AGAIN))}",
        f"rise 1 fall {_FALL}",
    ]
    return " ".join(words)


def _ms(seconds: float) -> str:
    return f"{max(1, round(seconds * 1000))}ms"
