"""Where a gateway's files are in its container, and the script that picks the one to start with."""

from __future__ import annotations

from typing import Final

from bayplan.container import File
from bayplan.haproxy.config import ADMIN, COMPLETE, MASTER
from bayplan.haproxy.lost import FILE as LOST
from bayplan.haproxy.words import DIRECTORY, ca_path, paths, paths_path
from bayplan.routing import INNER, Table

START: Final = f"{DIRECTORY}/start.sh"
INITIAL: Final = f"{DIRECTORY}/initial.cfg"  # what the container was made with
LIVE: Final = f"{DIRECTORY}/haproxy.cfg"  # what a reload reads
# What changes at run time is written here, in turn: a write that is cut short leaves the one before it.
SAVED: Final = (f"{DIRECTORY}/saved.0.cfg", f"{DIRECTORY}/saved.1.cfg")

SPEC: Final = "BAYPLAN_SPEC"  # a gateway's environment: its container's definition

# A shell's question: whether the host has the way to the services' addresses, which the guard makes.
HAS_WAY: Final = f"grep -q {INNER} /proc/net/fib_trie"

_WAIT_FOR_GUARD = 50  # tenths of a second
_WAIT_FOR_CLOSING = 40  # twentieths of a second
# Seconds for what is served when nobody listens any more: TCP has a caller ask again after one, and after three.
_LEFT_ALONE = 2

OWNER: Final = "owner"  # which gateway has the listening sockets: each writes its own mark as it starts
CLOSING: Final = "closing"  # a pipe that the guard reads: the gateway is about to stop listening
LET_CLOSE: Final = "closing.wait"  # removed by the guard once nobody is on the way in


def named_files(table: Table) -> tuple[File, ...]:
    """The files that a configuration of the table names: certificates, the paths that servers are asked for, and what
    cuts those who are with a server that is lost.
    """
    certificates = sorted({pool.ca for pool in table.pools} - {""})
    asked = sorted({paths(pool) for pool in table.pools} - {""})
    named = (*((ca_path(c), c) for c in certificates), *((paths_path(p), p) for p in asked))
    return (LOST, *(File(path, text.encode()) for path, text in named))


def start_script(run: str) -> str:
    """Start HAProxy with the newest whole file. run: the directory of its sockets.

    The guard gives that directory the engine's group, and sockets made in it inherit it: that is waited for; so is the
    route to the addresses of services, without which none can be bound. From a gateway that still runs it takes over
    the listening sockets, so that no connection is refused while one follows the other.

    What has been connected and not accepted when HAProxy stops listening the kernel resets. So a gateway that is told
    to end, and that nobody has followed, has the guard keep new callers waiting first, and does not keep them waiting
    for as long as somebody stays connected. One that ends beside its guard may write where the pipe was a moment
    before: the plain file that this makes goes again.
    """
    return f"""\
#!/bin/sh
mkdir -p /var/empty
newest={INITIAL} top=-1
for file in {" ".join((*SAVED, LIVE, INITIAL))}; do
    [ "$(tail -n 1 "$file" 2>/dev/null)" = "{COMPLETE}" ] || continue
    generation=$(sed -n 's/^# generation //p' "$file" | head -n 1)
    if [ "$generation" -gt "$top" ] && haproxy -c -q -f "$file"; then
        newest=$file top=$generation
    fi
done
[ "$newest" = {LIVE} ] || cp "$newest" {LIVE}
waited=0
while [ ! -g {run} ] && [ "$waited" -lt {_WAIT_FOR_GUARD} ]; do
    sleep 0.1
    waited=$((waited + 1))
done
has_way() {{ {HAS_WAY}; }}
while grep -q '^  bind {INNER}' {LIVE} && ! has_way && [ "$waited" -lt {_WAIT_FOR_GUARD} ]; do
    sleep 0.1
    waited=$((waited + 1))
done
[ "$(grep -c '{run}/{ADMIN}$' /proc/net/unix)" = 0 ] || set -- -x {run}/{ADMIN}
mark=$(cat /proc/sys/kernel/random/uuid)
echo "$mark" >{run}/{OWNER}
haproxy "$@" -W -db -S {run}/{MASTER},mode,660,level,admin -f {LIVE} &
haproxy=$!
is_last() {{ [ "$(cat {run}/{OWNER})" = "$mark" ]; }}
let_close() {{
    is_last && [ -p {run}/{CLOSING} ] || return
    touch {run}/{LET_CLOSE}
    timeout 1 sh -c 'echo >{run}/{CLOSING}' || return
    [ -p {run}/{CLOSING} ] || {{ rm -f {run}/{CLOSING}; return; }}
    waited=0
    while [ -e {run}/{LET_CLOSE} ] && [ "$waited" -lt {_WAIT_FOR_CLOSING} ]; do
        sleep 0.05
        waited=$((waited + 1))
    done
}}
let_end() {{
    kill -USR1 $haproxy
    {{ sleep {_LEFT_ALONE}; is_last && kill -TERM $haproxy; }} &
}}
trap 'let_close; let_end' USR1
for signal in HUP INT TERM USR2; do trap "kill -$signal $haproxy" $signal; done
while :; do
    wait $haproxy
    status=$?
    kill -0 $haproxy 2>/dev/null || exit $status
done
"""
