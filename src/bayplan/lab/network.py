"""The lab's wires: a namespace for each host, a switch with two networks, a router to the world, a place outside.

    this machine --private--+                +-- outside
                            |                |
                        [ switch: private | public ] --- router (and Docker Hub mirror) --- NAT --- the world
                            |                |
                          h1 eth0          h1 eth1   ...

The switch has a namespace of its own: on the machine's own bridges Docker's FORWARD DROP would stop bridged frames too.
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path

from bayplan.errors import LabError
from bayplan.lab.layout import RUN, Layout, Member
from bayplan.lab.process import run, succeeds, wait_for

# Worse than any route that leads somewhere: it counts only when the lab's own routes are gone.
_LAST_RESORT = "metric 65535"
_NETNS = Path("/run/netns")
_FORWARD = Path("/proc/sys/net/ipv4/ip_forward")


def inside(netns: str, argv: Sequence[str]) -> list[str]:
    """The command that runs argv in the network namespace (`ip netns exec` would remount /sys and lose the cgroups)."""
    return ["nsenter", f"--net={_NETNS / netns}", "--", *argv]


def _ip(lines: Iterable[str], netns: str | None = None) -> None:
    argv = ["ip", "-batch", "-"]
    run(inside(netns, argv) if netns else argv, stdin="\n".join(lines) + "\n")


def guard(lab: Layout) -> None:
    """From now on nothing meant for the lab's addresses leaves this machine, whether the lab is up or not."""
    _ip(
        f"route replace unreachable {net} {_LAST_RESORT}"
        for net in (lab.private_net, lab.public_net, f"{lab.uplink[0]}/31")
    )


def unguard() -> None:
    """Take the guards of all labs away."""
    for route in json.loads(run(["ip", "-json", "route", "show", "type", "unreachable"]) or "[]"):
        if route.get("metric") == 65535 and route["dst"].startswith(("10.77.", "198.19.")):  # noqa: PLR2004
            run(["ip", "route", "del", "unreachable", route["dst"], *_LAST_RESORT.split()])


def make_switch(lab: Layout) -> None:
    """Switch, router, outside, and this machine's links to them."""
    switch, router, outside = lab.netns("switch"), lab.netns("router"), lab.netns("outside")
    here, there = lab.uplink
    _ip(f"netns add {netns}" for netns in (switch, router, outside))
    _ip(
        [
            f"link add {lab.operator_link} type veth peer name operator netns {switch}",
            f"link add {lab.up_link} mtu {_mtu()} type veth peer name uplink mtu {_mtu()} netns {router}",
            f"link add public netns {router} type veth peer name router netns {switch}",
            f"link add public netns {outside} type veth peer name outside netns {switch}",
            f"addr add {lab.operator_ip}/24 dev {lab.operator_link}",
            f"addr add {here}/31 dev {lab.up_link}",
            f"link set {lab.operator_link} up",
            f"link set {lab.up_link} up",
            f"route replace {lab.public_net} via {there} dev {lab.up_link}",
        ]
    )
    _ip(
        [
            "link add private type bridge",
            "link add public type bridge",
            "link set operator master private up",
            "link set router master public up",
            "link set outside master public up",
            "link set private up",
            "link set public up",
        ],
        switch,
    )
    _ip(
        [
            "link set lo up",
            f"addr add {there}/31 dev uplink",
            f"addr add {lab.router_ip}/24 dev public",
            "link set uplink up",
            "link set public up",
            f"route add default via {here}",
        ],
        router,
    )
    _ip(["link set lo up", f"addr add {lab.outside_ip}/24 dev public", "link set public up"], outside)
    _translate(lab)


def _mtu() -> int:
    """The largest packet that the way out of this machine takes."""
    routes = json.loads(run(["ip", "-json", "route", "show", "default"]) or "[]")
    with contextlib.suppress(OSError, KeyError, IndexError):
        return int((Path("/sys/class/net") / routes[0]["dev"] / "mtu").read_text())
    return 1500


def _translate(lab: Layout) -> None:
    """NAT for what hosts send to the world, first at the router, then here; labs do not reach each other."""
    run(inside(lab.netns("router"), ["sh", "-c", f"echo 1 > {_FORWARD}"]))
    clamp = "-p tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu"
    for rule in ("-t nat -A POSTROUTING -o uplink -j MASQUERADE", f"-t mangle -A FORWARD -o uplink {clamp}"):
        run(inside(lab.netns("router"), ["iptables", "-w", *rule.split()]))
    _remember_forwarding()
    _FORWARD.write_text("1")
    mark = f"-m comment --comment {lab.comment}"
    for rule in (
        f"-I FORWARD -o {lab.up_link} -m conntrack --ctstate RELATED,ESTABLISHED {mark} -j ACCEPT",
        f"-I FORWARD -i {lab.up_link} {mark} -j ACCEPT",
        f"-I FORWARD -i {lab.up_link} -d 10.77.0.0/16 {mark} -j REJECT",
        f"-t nat -A POSTROUTING -s {lab.uplink[1]}/32 ! -o {lab.up_link} {mark} -j MASQUERADE",
    ):
        run(["iptables", "-w", *rule.split()])


def _remember_forwarding() -> None:
    """What ip_forward was before the first lab, so that the last one to go can put it back."""
    before = RUN / "ip_forward"
    if not before.exists():
        before.write_text(_FORWARD.read_text())


def plug_in(lab: Layout, member: Member) -> None:
    """The host's namespace, and its two wires to the switch; what a host that went off had of them goes first."""
    switch = lab.netns("switch")
    _unplug(member.netns)
    for side in ("private", "public"):  # a namespace's wires go some time after it, these now
        succeeds(inside(switch, ["ip", "link", "del", f"{member.name}-{side}"]))
    _ip([f"netns add {member.netns}"])
    _ip(
        [
            f"link add eth0 netns {member.netns} type veth peer name {member.name}-private netns {switch}",
            f"link add eth1 netns {member.netns} type veth peer name {member.name}-public netns {switch}",
        ]
    )
    _ip((f"link set {member.name}-{side} master {side} up" for side in ("private", "public")), switch)
    _ip(
        [
            "link set lo up",
            f"addr add {member.private_ip}/24 dev eth0",
            f"addr add {member.public_ip}/24 dev eth1",
            "link set eth0 up",
            "link set eth1 up",
            f"route add default via {lab.router_ip}",
        ],
        member.netns,
    )


def _unplug(netns: str) -> None:
    if (_NETNS / netns).exists():
        run(["ip", "netns", "del", netns])


def is_plugged_in(netns: str) -> bool:
    return (_NETNS / netns).exists()


def _namespaces(lab: Layout) -> list[str]:
    prefix = lab.netns("")
    return sorted(path.name for path in _NETNS.glob(f"{prefix}*")) if _NETNS.exists() else []


def remove(lab: Layout) -> None:
    """All links, rules and namespaces of the lab. The guard stays."""
    for link in (lab.operator_link, lab.up_link):
        if Path("/sys/class/net", link).exists():
            run(["ip", "link", "del", link])
    for netns in _namespaces(lab):
        _unplug(netns)
    _remove_rules(lab.comment)
    for link in (lab.operator_link, lab.up_link):
        wait_for(lambda link=link: not Path("/sys/class/net", link).exists(), f"{link} goes", deadline=10)  # type: ignore[misc]


def _remove_rules(comment: str) -> None:
    for table in ("filter", "nat"):
        for line in run(["iptables-save", "-t", table]).splitlines():
            words = shlex.split(line)
            if words[:1] == ["-A"] and comment in words:
                run(["iptables", "-w", "-t", table, "-D", *words[1:]])


def release(last_forwarding: Path) -> None:
    """After the last lab: forwarding as it was, and no trace of ip-netns(8) if nobody else uses it."""
    if last_forwarding.exists():
        _FORWARD.write_text(last_forwarding.read_text())
        last_forwarding.unlink()
    if _NETNS.is_dir() and not any(_NETNS.iterdir()):
        succeeds(["umount", str(_NETNS)])
        with contextlib.suppress(OSError):
            _NETNS.rmdir()


def free_index(taken: Iterable[int], most: int) -> int:
    """The lowest number whose networks nothing on this machine uses."""
    used = {route["dst"] for route in json.loads(run(["ip", "-json", "route"])) if route.get("type") != "unreachable"}
    busy = set(taken)
    for index in range(most):
        lab = Layout("x", index)
        if index not in busy and not {lab.private_net, lab.public_net} & used:
            return index
    raise LabError(f"all {most} networks for labs are in use", todo="bayplan lab down --all")
