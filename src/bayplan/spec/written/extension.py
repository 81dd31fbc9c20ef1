"""`x-bayplan:` on a service: what the Compose Specification has no words for."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, model_validator

from bayplan.spec.port_syntax import port_range
from bayplan.spec.shapes import FileModel, Flag, Maybe, Seconds, Text, Texts, flag_or_map, wrong
from bayplan.spec.written.fields import key, required

_HOST_NAME = re.compile(r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*")


def _http_host(value: str) -> str:
    if not _HOST_NAME.fullmatch(value.lower()):
        raise wrong(f"{value!r} is not a host name", "write one such as www.example.com: no scheme, port or wildcard")
    return value.lower()


def _url_path(value: str) -> str:
    if not re.fullmatch(r"/[^\s?#]*", value):
        raise wrong(f"{value!r} is not a path", "it starts with / and has no spaces, ? or #")
    return value


HostName = Annotated[Text, AfterValidator(_http_host)]


class HttpFile(FileModel):
    """`x-bayplan.http`."""

    host: Maybe[Annotated[tuple[HostName, ...], Texts.__metadata__[0]]] = key("one, or a list")
    path: Maybe[Annotated[Text, AfterValidator(_url_path)]] = key("a prefix")
    sticky: Maybe[Flag] = key("a client stays with its replica, by cookie")


class ProbeFile(FileModel):
    """`x-bayplan.probe`, `x-bayplan.external.check`."""

    path: Maybe[Annotated[Text, AfterValidator(_url_path)]] = key("GET answers 2xx or 3xx")
    tcp: Maybe[Flag] = key("the port accepts; the default")
    interval: Maybe[Seconds] = key("2s")
    timeout: Maybe[Seconds] = key("2s")

    @model_validator(mode="after")
    def _one_way(self) -> ProbeFile:
        if self.path and self.tcp:
            raise wrong("has both path (an HTTP probe) and tcp", "keep one")
        return self


class ExternalTlsFile(FileModel):
    """`x-bayplan.external.tls`, as a map."""

    name: Maybe[HostName] = key("the name in its certificate, which is asked for (SNI); `address` unless written")
    ca: Maybe[Text] = key(
        "a file of PEM certificates, or their text: one of them signed its. Those of the gateway's system else"
    )


class TlsFile(ExternalTlsFile):
    """`x-bayplan.external.tls`, true or false, or a map."""

    is_spoken: Flag = True


def _tls(value: Any) -> Any:
    return flag_or_map(value, "is_spoken")


class ExternalServiceFile(FileModel):
    """`x-bayplan.external`: the service is somebody else's; its name and address here lead there."""

    address: HostName = required("a host name or an IPv4 address, without a port")
    port: Maybe[Annotated[int, BeforeValidator(lambda v: port_range(v)[0], json_schema_input_type=int)]] = key(
        "the one port that `expose` or `ports` names, unless written"
    )
    tls: Maybe[Annotated[TlsFile, BeforeValidator(_tls, json_schema_input_type=bool | str | ExternalTlsFile)]] = key(
        "gateways speak TLS to it, from the first byte, and check its certificate: `true`, or a map"
    )
    check: Maybe[ProbeFile] = key("as `probe`; a TCP connection unless written")


class Extension(FileModel):
    """`x-bayplan:` on a service."""

    http: Maybe[HttpFile] = key("which requests of a shared listener are this service's")
    probe: Maybe[ProbeFile] = key(
        "how a gateway asks whether a replica may have traffic; with another path, replicas are replaced one by one"
    )
    drain: Maybe[Seconds] = key("how long a leaving replica may finish what it has; 30s")
    proxy_protocol: Maybe[Flag] = key("the service reads the client's address from PROXY v2")
    external: Maybe[ExternalServiceFile] = key(
        "not run here: the name leads to a managed service. One line moves an app there, and back"
    )
