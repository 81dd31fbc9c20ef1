"""Which ports that are published want the same listener."""

from __future__ import annotations

from bayplan.spec.model import Http, Port, Service


def same_listener(one: Service, two: Service) -> int | None:
    """The port of the balancer that both are to have for the same requests, if there is one."""
    return next((b.published for a in one.ports for b in two.ports if clash(one, a, two, b)), None)


def clash(one: Service, a: Port, two: Service, b: Port) -> tuple[str, str] | None:
    """Why both cannot be had, and what to do. a, b: a port of each."""
    if not meet(a, b):
        return None
    if one.name == two.name:
        return "is listed twice", "remove one"
    if a.mode == "host":
        return None  # on different hosts both can be: placement sees to it
    other = f"is {one.name}'s too"
    if a.app_protocol != b.app_protocol:
        return f"{other}, one as http and one as tcp", "publish another port, or write app_protocol on both"
    if a.app_protocol == "tcp":
        return other, "publish another port"
    if _same_requests(one.http or Http(), two.http or Http()):
        return f"{other}, for the same requests", "tell them apart with x-bayplan: {http: {host: NAME, path: /PATH}}"
    return None


def meet(a: Port, b: Port) -> bool:
    """Whether they want the same number at an address."""
    if (a.published, a.mode, a.protocol) != (b.published, b.mode, b.protocol):
        return False
    return a.address == b.address or not a.address or not b.address


def _same_requests(one: Http, two: Http) -> bool:
    same_host = bool(set(one.hosts) & set(two.hosts)) or (not one.hosts and not two.hosts)
    return same_host and one.path.rstrip("/") == two.path.rstrip("/")
