"""Run-time options of a service that have a form of their own: what an engine lets a container be."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator

from bayplan.spec.node import kind, written
from bayplan.spec.shapes import (
    TEXT_OR_MAP,
    FileModel,
    Flag,
    Integer,
    List,
    Map,
    Maybe,
    Memory,
    Natural,
    Pairs,
    Text,
    Words,
    either,
    quantity,
    whole,
    wrong,
)
from bayplan.spec.written.fields import key, required
from bayplan.units import parse_bytes, parse_duration

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")
_MOST_WEIGHT = 1000
_LEAST_WEIGHT = 10
_WORST_SCORE = 1000


def _device(value: Any) -> Any:
    """`source[:target[:permissions]]`, or the name of a CDI device."""
    either(value, TEXT_OR_MAP, str, dict)
    if not isinstance(value, str):
        return value
    if "=" in value:  # Container Device Interface: vendor.com/class=name
        return {"source": value, "target": value}
    source, target, permissions, *rest = [*value.split(":"), "", ""]
    if rest != ["", ""][: len(rest)] or not source:
        raise wrong(f"{value!r} is not a device", "write /dev/NAME, or /dev/NAME:/dev/NAME:rwm")
    if target and not target.startswith("/"):
        target, permissions = "", target
    return {"source": source, "target": target or source, "permissions": permissions or "rwm"}


def _permissions(value: str) -> str:
    if not re.fullmatch(r"[rwm]{1,3}", value):
        raise wrong(f"{value!r} are no permissions of a device", "write some of r, w and m")
    return value


class DeviceFile(FileModel):
    """An entry of `devices:`, long."""

    source: Text = required("a device of every host that may run the service")
    target: Maybe[Text] = key()
    permissions: Maybe[Annotated[Text, AfterValidator(_permissions)]] = key()


Devices = List[Annotated[DeviceFile, BeforeValidator(_device, json_schema_input_type=str | DeviceFile)]]


def _count(value: Any) -> int:
    if value == "all":
        return -1
    if isinstance(value, bool) or not str(value).isdecimal():
        raise wrong(f"must be a number of devices, or all, not {kind(value)}")
    return int(value)


class DeviceRequestFile(FileModel):
    """An entry of `deploy.resources.reservations.devices`, or of `gpus`."""

    capabilities: Maybe[List[Text]] = key("`gpu` of `gpus:` unless written")
    driver: Maybe[Text] = key()
    count: Maybe[Annotated[int, BeforeValidator(_count, json_schema_input_type=int | str)]] = key("or `all`")
    device_ids: Maybe[List[Text]] = key()
    options: Maybe[Pairs] = key()


def _gpus(value: Any) -> Any:
    if value == "all":
        return [{"count": "all"}]
    return either(value, "all or a list", list)


Gpus = Annotated[
    List[DeviceRequestFile], BeforeValidator(_gpus, json_schema_input_type=Literal["all"] | list[DeviceRequestFile])
]


class LoggingFile(FileModel):
    """`logging:`."""

    driver: Maybe[Text] = key("the engine's own unless written; `bayplan logs` needs one that can be read")
    options: Maybe[Pairs] = key()


def _ulimit(value: Any) -> Any:
    if isinstance(either(value, "a whole number or a map (soft, hard)", int, str, dict), dict):
        return value
    return {"soft": (limit := whole(value)), "hard": limit}


class UlimitFile(FileModel):
    """An entry of `ulimits:`, long."""

    soft: Integer = required()
    hard: Integer = required()


Ulimits = Map[Annotated[UlimitFile, BeforeValidator(_ulimit, json_schema_input_type=int | str | UlimitFile)]]


def _weight(value: int) -> int:
    if value and not _LEAST_WEIGHT <= value <= _MOST_WEIGHT:
        raise wrong(f"must be from {_LEAST_WEIGHT} to {_MOST_WEIGHT}, not {value}")
    return value


Weight = Annotated[Integer, AfterValidator(_weight)]


class WeightDeviceFile(FileModel):
    """An entry of `blkio_config.weight_device`."""

    path: Text = required()
    weight: Weight = required()


class RateFile(FileModel):
    """A limit of a block device. rate: bytes, or operations, a second."""

    path: Text = required()
    rate: Memory = required()


class BlkioFile(FileModel):
    """`blkio_config:`."""

    weight: Maybe[Weight] = key()
    weight_device: Maybe[List[WeightDeviceFile]] = key()
    device_read_bps: Maybe[List[RateFile]] = key()
    device_read_iops: Maybe[List[RateFile]] = key()
    device_write_bps: Maybe[List[RateFile]] = key()
    device_write_iops: Maybe[List[RateFile]] = key()


def _extra_hosts(value: Any) -> Any:
    """`name=address` of each: of a map (of one or several addresses), of `name:address`, of `name=address`."""
    if isinstance(either(value, "a list of name=address or a map (name: address)", list, dict), list):
        return [_extra_host(item) for item in value]
    return [f"{name}={address}" for name, given in value.items() for address in _addresses(name, given)]


def _addresses(name: str, given: Any) -> list[Any]:
    addresses = given if isinstance(given, list) else [given]
    for address in addresses:
        if not isinstance(address, str):
            raise wrong(f"the address of {name} must be a string or a list, not {kind(address)}")
    return addresses


def _extra_host(item: Any) -> Any:
    if not isinstance(item, str):
        return item
    name, sign, address = item.partition("=" if "=" in item else ":")
    if not sign or not name.strip() or not address.strip():
        raise wrong(f"{item!r} is not a host's name and address", "write name=address")
    return f"{name.strip()}={address.strip().removeprefix('[').removesuffix(']')}"


ExtraHosts = Annotated[
    List[Text],
    BeforeValidator(_extra_hosts, json_schema_input_type=list[str] | dict[str, str | list[str]]),
]


class HookFile(FileModel):
    """An entry of `post_start` or `pre_stop`."""

    command: Words = required()
    user: Maybe[Text] = key()
    privileged: Maybe[Flag] = key()
    working_dir: Maybe[Text] = key()
    environment: Maybe[Pairs] = key()


def _microseconds(value: Any) -> int:
    """A number of them, or a duration."""
    text = written(either(value, "a number of microseconds or a duration", str, int, float))
    return int(text) if text.removeprefix("-").isdecimal() else round(parse_duration(text) * 1e6)


Microseconds = Annotated[int, BeforeValidator(_microseconds, json_schema_input_type=int | str)]


def _score(value: int) -> int:
    if abs(value) > _WORST_SCORE:
        raise wrong(f"must be from -{_WORST_SCORE} to {_WORST_SCORE}, not {value}")
    return value


Score = Annotated[Integer, AfterValidator(_score)]


def _percent(value: int) -> int:
    if value > 100:  # noqa: PLR2004
        raise wrong(f"must be from 0 to 100, not {value}")
    return value


Percent = Annotated[Natural, AfterValidator(_percent)]


def _mac(value: str) -> str:
    if value and not _MAC.fullmatch(value):  # empty, as variables may be: the engine's to choose
        raise wrong(f"{value!r} is not a MAC address", "write one such as 02:42:ac:11:65:43")
    return value.lower().replace("-", ":")


Mac = Annotated[Text, AfterValidator(_mac)]


def _swap(value: Any) -> int:
    return -1 if str(value) == "-1" else parse_bytes(quantity(value))


Swap = Annotated[int, BeforeValidator(_swap, json_schema_input_type=int | str)]
"""Bytes of memory and swap together; -1 is as much as the host has."""


def namespace(value: str) -> str:
    """What a container shares its namespace with. Raises ValueError if that is another one."""
    if value.startswith(("service:", "container:")):
        raise wrong(
            f"{value!r} joins two containers, which a fleet may run on different hosts",
            "remove it; have both programs in one container",
        )
    return value
