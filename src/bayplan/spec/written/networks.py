"""Networks: at the top of the file, and on a service. What only a network of one's own could give is refused."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from bayplan.spec.shapes import FileModel, Flag, Integer, List, Map, Maybe, Pairs, Text, either, wrong
from bayplan.spec.written.fields import key
from bayplan.spec.written.storage import External, nothing_is_a_map

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?")
_MEANT = {"", "default", "bridge", "overlay"}


def _driver(value: str) -> str:
    if value not in _MEANT:
        raise wrong(
            f"the driver {value!r} cannot be had on a fleet",
            "remove it: services find each other by name on every host",
        )
    return value


def _ipv4(value: bool) -> bool:
    if not value:
        raise wrong("replicas are reached by IPv4", "remove it")
    return value


class IpamPoolFile(FileModel):
    """An entry of `ipam.config`."""

    subnet: Maybe[Text] = key("changes nothing, with a warning")
    ip_range: Maybe[Text] = key("changes nothing, with a warning")
    gateway: Maybe[Text] = key("changes nothing, with a warning")
    aux_addresses: Maybe[Pairs] = key("changes nothing, with a warning")


class IpamFile(FileModel):
    """`ipam:` of a network."""

    driver: Maybe[Literal["default"]] = key("`default`")
    config: Maybe[List[IpamPoolFile]] = key("changes nothing, with a warning: addresses are each engine's own")
    options: Maybe[Pairs] = key("changes nothing, with a warning")


class NetworkFile(FileModel):
    """An entry of the top-level `networks:`."""

    name: Maybe[Text] = key()
    driver: Maybe[Annotated[Text, AfterValidator(_driver)]] = key(
        "`bridge` and `overlay` mean the same: names resolve, on every host"
    )
    driver_opts: Maybe[Pairs] = key(
        "`com.docker.network.bridge.name` and `com.docker.network.driver.mtu` change nothing, with a warning; so does "
        "`encrypted` on one host. Others are refused"
    )
    external: Maybe[External] = key(
        "shared with the fleet's other apps that name it: their services know each other, as SERVICE.APP too"
    )
    internal: Maybe[Flag] = key(
        "a service on no other network reaches nobody outside the fleet; of a shared one, each app says it of its own "
        "services (beside `external`, too)"
    )
    attachable: Maybe[Flag] = key("any container of a host can be attached; changes nothing")
    enable_ipv4: Maybe[Annotated[Flag, AfterValidator(_ipv4)]] = key("`true`")
    enable_ipv6: Maybe[Flag] = key("changes nothing, with a warning: replicas find each other by IPv4")
    ipam: Maybe[IpamFile] = key("changes nothing, with a warning: engines choose by themselves")
    labels: Maybe[Pairs] = key()


TopNetwork = Annotated[NetworkFile, BeforeValidator(nothing_is_a_map, json_schema_input_type=NetworkFile | None)]


def _alias(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise wrong(f"{value!r} cannot be a host's name", "use letters, digits, -, _ and .")
    return value


Alias = Annotated[Text, AfterValidator(_alias)]


class AttachmentFile(FileModel):
    """An entry of `networks:` of a service, long."""

    aliases: Maybe[List[Alias]] = key("two services cannot have the same one on a network")
    ipv4_address: Maybe[Text] = key(
        "changes nothing, with a warning: addresses are the engines' own. Where another value of the file names it, it "
        "is read, and refused by `up`: use the service's name there"
    )
    ipv6_address: Maybe[Text] = key("as `ipv4_address`")
    priority: Maybe[Integer] = key("there is one interface; changes nothing")
    gw_priority: Maybe[Integer] = key("there is one interface; changes nothing")


def _attachments(value: Any) -> Any:
    if isinstance(either(value, "a list of names or a map (key: value)", list, dict), list):
        return {name: {} for name in value if isinstance(name, str)} if _all_names(value) else value
    return value


def _all_names(value: list[Any]) -> bool:
    for item in value:
        if not isinstance(item, str):
            raise wrong("must be a list of names, or a map", "write networks: [front, back]")
    return True


Attachments = Annotated[
    Map[Annotated[AttachmentFile, BeforeValidator(nothing_is_a_map, json_schema_input_type=AttachmentFile | None)]],
    BeforeValidator(_attachments, json_schema_input_type=list[str] | dict[str, AttachmentFile | None]),
]
