"""The guard of a host: what keeps its firewall so that only listeners answer from outside the private network.

It runs the host's own shell and iptables, in the host's root: whichever of nftables and the legacy tables the host's
engine writes to, so does the guard.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network

from bayplan.haproxy.fronts import INNER_PORTS
from bayplan.haproxy.places import CLOSING, LET_CLOSE, OWNER
from bayplan.plan.addresses import BLOCK
from bayplan.plan.names import ANY_BRIDGE, cut_off_among, system_name

LOOK = 3  # seconds between looks at the firewall, each of which takes some ten processes

KEPT = "the firewall is kept"  # a guard's last words while it is, since it last looked
BEGINS = 4  # seconds within which one that has begun, or that finds its rules gone, has written them
_USER = "DOCKER-USER"
_REFUSAL = "--tcp-flags RST RST -m conntrack ! --ctstatus ASSURED"  # of a connection that was never made
_ESTABLISHED = "-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN"


@dataclass(frozen=True, slots=True)
class Watch:
    """What a guard keeps. bridges: prefix of the fleet's interfaces. registry: its address, port and who may reach it.

    run: directory of the gateway's sockets, for the group of engine_socket.
    """

    bridges: str
    private_net: IPv4Network
    private_ip: str
    ports: tuple[int, int]
    run: str
    engine_socket: str
    registry: tuple[str, int] | None = None
    peers: tuple[str, ...] = ()

    @property
    def chain(self) -> str:
        return f"BAYPLAN-{self.bridges}"


def question(bridges: str) -> str:
    """For /bin/sh in the host's root: whether a guard's rules are there. It waits for those of one that has just begun;
    prints why, and ends with 1, when they do not come. bridges: as a Watch has them.
    """
    asked = (f"-A FORWARD -j {_USER}", f"-A {_USER} -j BAYPLAN-{bridges}", f"-A INPUT -j BAYPLAN-{bridges}-IN")
    return f"""\
lacks() {{
    now=$(iptables -w 5 -S 2>&1) || {{ echo "$now" | tail -n 1; return; }}
    for rule in {" ".join(shlex.quote(rule) for rule in asked)}; do
        echo "$now" | grep -qxFe "$rule" || {{ echo "the firewall lacks '$rule'"; return; }}
    done
}}
left={BEGINS * 5}
while why=$(lacks) && [ -n "$why" ]; do
    [ $left -gt 0 ] || {{ echo "$why"; exit 1; }}
    left=$((left - 1))
    sleep 0.2
done
"""


def unmasked(bridges: str) -> str:
    """For /bin/sh in the host's root: prints the fleet's bridges whose replicas reach nothing outside, as the engine's
    own rules for that are in the firewall no more. bridges: as a Watch has them.
    """
    return f"""\
nft list table ip docker-bridges >/dev/null 2>&1 && exit
rules=$(iptables -w 5 -t nat -S POSTROUTING) || exit
for link in /sys/class/net/{bridges}*; do
    name=${{link##*/}}
    [ ! -e "$link" ] || echo "$rules" | grep -q -e "! -o $name .*MASQUERADE" || echo "$name"
done
"""


def see_guard(fleet: str, host: str) -> str:
    """What to do about one that cannot keep the firewall."""
    name = system_name("guard", fleet)
    return (
        f"does iptables work on {host}? docker logs {name} there says what it cannot do; mended, it goes on by itself"
    )


def rules(watch: Watch) -> Iterator[str]:
    """What iptables-restore is given: a chain for what is forwarded to replicas, one for what the host itself takes.

    And one for what it says, which the script fills in.
    """
    yield "*filter"
    yield f":{watch.chain} - [0:0]"
    yield f":{watch.chain}-IN - [0:0]"
    yield f":{watch.chain}-OUT - [0:0]"
    yield from (f"-A {watch.chain} {rule}" for rule in _forwarded(watch))
    yield from (f"-A {watch.chain}-IN {rule}" for rule in _taken_in(watch))
    yield "COMMIT"


def ways(watch: Watch) -> Iterator[str]:
    """The same for the nat table: what is sent to a service's own address arrives there, whatever ports others have the
    host redirect; at the port where the gateway listens in place of one that the host itself has.
    """
    yield "*nat"
    yield f":{watch.chain} - [0:0]"
    for port, at in INNER_PORTS.items():
        yield f"-A {watch.chain} -d {BLOCK} -p tcp -m tcp --dport {port} -j DNAT --to-destination :{at}"
    yield f"-A {watch.chain} -d {BLOCK} -j ACCEPT"
    yield "COMMIT"


def _forwarded(watch: Watch) -> Iterator[str]:
    yield _ESTABLISHED
    if watch.registry:  # gateways reach it from their hosts; what is forwarded comes from containers
        yield f"-d {watch.registry[0]}/32 -p tcp -m tcp --dport {watch.registry[1]} -j DROP"
    yield f"-i {cut_off_among(watch.bridges)}+ ! -o {watch.bridges}+ -j REJECT --reject-with icmp-net-unreachable"
    yield f"! -o {watch.bridges}+ -j RETURN"
    yield f"-i {watch.bridges}+ -j RETURN"
    yield f"-s {watch.private_net} -j RETURN"
    yield "-j DROP"


def _taken_in(watch: Watch) -> Iterator[str]:
    """Docker's proxy listens on published ports too: it answers once someone has flushed the nat table."""
    yield _ESTABLISHED
    yield "-i lo -j RETURN"
    here = f"-d {watch.private_ip}/32 -p"
    if watch.registry and watch.registry[0] == watch.private_ip:
        to_registry = f"{here} tcp -m tcp --dport {watch.registry[1]}"
        yield from (f"-s {peer}/32 {to_registry} -j RETURN" for peer in watch.peers)
        yield f"{to_registry} -j DROP"
    yield f"-i {watch.bridges}+ -d {BLOCK} -j ACCEPT"  # whatever the host's own firewall says of containers
    yield f"! -i {ANY_BRIDGE}+ -d {BLOCK} -j DROP"  # another fleet's replicas are for its own guard to judge
    yield f"-i {watch.bridges}+ -j RETURN"
    yield f"-s {watch.private_net} -j RETURN"
    first, last = watch.ports
    yield from (f"{here} {p} -m {p} --dport {first}:{last} -j DROP" for p in ("tcp", "udp"))


def script(watch: Watch) -> str:
    """The guard, for /bin/sh in the host's root.

    It leaves the rules when it is stopped while bridges of the fleet are there: an engine that restarts must not open
    their ports. When they are gone (or go within three seconds: the fleet is taken down), so do the rules, and with the
    gateway gone, too, the directory of its sockets.

    Where a gateway listens, the host refuses nobody: what would tell a caller that no one is there does not leave.
    While a gateway restarts, callers ask again after a second, as TCP does, and find it. A gateway that is about to
    stop listening says so: from then on callers do not get in, and it goes on once all who are in are accepted. While
    it ends, it has no say in who listens.
    """
    chain, run = watch.chain, watch.run
    pipe, wait, owner = (f"{run}/{name}" for name in (CLOSING, LET_CLOSE, OWNER))
    return f"""\
rules() {{
    cat <<'RULES'
{chr(10).join(rules(watch))}
RULES
}}
ways() {{
    cat <<'WAYS'
{chr(10).join(ways(watch))}
WAYS
}}
nat() {{
    iptables -w 5 -t nat "$@"
}}
kept() {{
    iptables -w 5 -S 2>/dev/null | grep -e '^-A {chain} ' -e '^-A {chain}-IN ' -e '^-A FORWARD -j DOCKER-USER$' \\
        -e '^-A DOCKER-USER -j {chain}$' -e '^-A INPUT -j {chain}-IN$' -e '^-A OUTPUT -j {chain}-OUT$'
    nat -S 2>/dev/null | grep -e '^-A {chain} ' -e '^-A .* -j {chain}$'
}}
first() {{
    iptables -w 5 -C "$1" -j "$2" 2>/dev/null || iptables -w 5 -I "$1" -j "$2"
}}
lead() {{
    ways | iptables-restore -w 5 --noflush || return
    for one in PREROUTING OUTPUT; do
        nat -C $one -d {BLOCK} -j {chain} 2>/dev/null || nat -I $one -d {BLOCK} -j {chain}
    done
}}
ensure() {{
    heard=
    lead
    rules | iptables-restore -w 5 --noflush &&
        {{ iptables -w 5 -N DOCKER-USER 2>/dev/null || :; }} &&
        first DOCKER-USER {chain} && first FORWARD DOCKER-USER && first INPUT {chain}-IN &&
        first OUTPUT {chain}-OUT
}}
listening() {{
    inodes=$(for one in $(grep -lx haproxy /proc/[0-9]*/comm); do ls -l "${{one%/comm}}/fd"; done |
        awk -F'[][]' '/socket:/ {{ print " ino:" $2 " " }}' | sort -u)
    [ -z "$inodes" ] || ss -Hltne | grep -F "$inodes" | awk '{{ print $4 }}' | sort -u
}} 2>/dev/null
doors() {{
    listening | while read -r door; do
        case ${{door%:*}} in
            127.*|*[!0-9.*]*) ;;
            *) echo "$door" ;;
        esac
    done
}}
rule_a_door() {{
    echo '*filter'
    [ -z "$2" ] || echo "$2"
    echo "$open" | while IFS=: read -r address port; do
        case $address in
            '') continue ;;
            [*]|0.0.0.0) address=0/0 ;;
        esac
        echo "$1" | sed -e "s,ADDRESS,$address," -e "s,PORT,$port,"
    done
    echo COMMIT
}}
everyone() {{
    ss -Hltn | while read -r _ _ _ door _; do echo "$door"; done
}}
patient() {{
    has_gateway && [ "$(owner)" != "$ended" ] && now=$(everyone) && [ "$now" != "$heard" ] || return 0
    found=$(doors)
    [ "$(everyone)" = "$now" ] || return 0
    open=$found
    rule_a_door '-A {chain}-OUT -s ADDRESS -p tcp --sport PORT {_REFUSAL} -j DROP' ':{chain}-OUT - [0:0]' |
        iptables-restore -w 5 --noflush && heard=$now
}}
seen() {{
    ss -Hltn | grep -F "$(echo "$open" | sed 's/.*/ & /')"
}}
queued() {{
    seen | grep -q 'LISTEN *[1-9]'
}}
within() {{
    tries=$1 && shift
    while "$@" >/dev/null && [ "$tries" -gt 0 ]; do sleep 0.05; tries=$((tries - 1)); done
}}
close() {{
    [ -e {wait} ] && [ -n "$open" ] || {{ rm -f {wait}; return 0; }}
    shut='{chain}-IN -d ADDRESS -p tcp --syn --dport PORT -j DROP'
    ended=$(owner)
    rule_a_door "-I $shut" '' | iptables-restore -w 5 --noflush
    sleep 0.05
    within 20 queued
    rm -f {wait}
    within 40 seen
    rule_a_door "-D $shut" '' | iptables-restore -w 5 --noflush
}}
forget() {{
    iptables -w 5 -D DOCKER-USER -j {chain}
    iptables -w 5 -D INPUT -j {chain}-IN
    iptables -w 5 -D OUTPUT -j {chain}-OUT
    for one in {chain} {chain}-IN {chain}-OUT; do iptables -w 5 -F $one; iptables -w 5 -X $one; done
    for one in PREROUTING OUTPUT; do nat -D $one -d {BLOCK} -j {chain}; done
    nat -F {chain}
    nat -X {chain}
    iptables -w 5 -S | grep -q BAYPLAN- || ip route del local {BLOCK} dev lo
    has_gateway || rm -rf {run}
}}
open_run() {{
    group=$(stat -L -c %g {shlex.quote(watch.engine_socket)} || echo 0)
    mkdir -p {run} && chgrp "$group" {run} && chmod 2770 {run}
    for socket in {run}/*.sock; do [ ! -S "$socket" ] || chgrp "$group" "$socket"; done
    [ -p {pipe} ] || {{ rm -f {pipe}; mkfifo -m 600 {pipe}; }}
}}
open_services() {{
    [ -n "$(ip route show table local {BLOCK})" ] || ip route add local {BLOCK} dev lo
}}
has_bridges() {{
    ls /sys/class/net | grep -q '^{watch.bridges}'
}}
owner() {{
    read -r whose < {owner} && echo "$whose"
}} 2>/dev/null
has_gateway() {{
    grep -q '{run}/' /proc/net/unix
}}
leave() {{
    rm -f {pipe}
    left=30
    while {{ has_bridges || has_gateway; }} && [ $left -gt 0 ]; do sleep 0.1; left=$((left - 1)); done
    has_bridges || forget
    exit 0
}}
listen() {{
    [ -p {pipe} ] || {{ sleep {LOOK}; return 1; }}
    exec timeout {LOOK} head -n 1 {pipe} >/dev/null
}}
trap leave TERM INT
echo 'begins to keep the firewall'
open_run
want= open= ended=none
while :; do
    [ -g {run} ] && [ -p {pipe} ] || open_run
    open_services
    if [ -z "$want" ] || [ "$(kept)" != "$want" ]; then
        if ensure; then want=$(kept) && echo '{KEPT}'
        else echo 'the firewall cannot be kept: see the lines above' >&2; want=; fi
    fi
    patient
    listen & wait $! && close
done
"""
