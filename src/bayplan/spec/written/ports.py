"""`ports:` and `expose:` of a service."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from bayplan.spec.port_syntax import exposed, listen_address, long_port, port_range
from bayplan.spec.shapes import FileModel, List, Maybe, Text, wrong
from bayplan.spec.written.fields import key, required

PortRange = Annotated[tuple[int, ...], BeforeValidator(port_range, json_schema_input_type=int | str)]


class PortFile(FileModel):
    """An entry of `ports:`, long. A range in target or published only comes from the short syntax."""

    target: PortRange = required("the replica's port")
    published: Maybe[PortRange] = key("the listener's; the same as target unless written")
    protocol: Literal["tcp", "udp"] = Field(
        default="tcp", description="`udp` with `mode: host`, which it has where the fleet is one host"
    )
    mode: Literal["ingress", "host"] = Field(
        default="ingress", description="`ingress`: a listener of the balancer; `host`: that very port on the host"
    )
    host_ip: Annotated[Text, AfterValidator(listen_address)] = Field(
        default="", description="IPv4: what the balancer binds, or, with `mode: host`, the host"
    )
    app_protocol: Maybe[Text] = key("`http` lets gateways route by host name and path")
    name: Maybe[Text] = key("for people")

    @model_validator(mode="after")
    def _as_many(self) -> PortFile:
        if self.published is not None and len(self.target) == 1 < len(self.published):
            raise wrong(
                f"any of {len(self.published)} ports cannot be meant: a listener has a port that clients know",
                "write the one that they are to call",
            )
        if self.published is not None and len(self.published) != len(self.target):
            raise wrong(
                f"publishes {len(self.published)} ports for {len(self.target)} of the container",
                "write as many on both sides",
            )
        return self


Ports = List[Annotated[PortFile, BeforeValidator(long_port, json_schema_input_type=int | str | PortFile)]]
Expose = List[
    Annotated[tuple[tuple[int, Literal["tcp", "udp"]], ...], BeforeValidator(exposed, json_schema_input_type=int | str)]
]
