"""`healthcheck:` of a service."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator

from bayplan.spec.shapes import FileModel, Flag, Maybe, Natural, Seconds, Text, either
from bayplan.spec.written.fields import key


def _test(value: Any) -> Any:
    if isinstance(either(value, "a string or a list", str, list), str):
        return ("NONE",) if value == "NONE" else ("CMD-SHELL", value)
    if not value or value[0] not in ("NONE", "CMD", "CMD-SHELL"):  # a tuple: what is written may have no hash
        raise ValueError("must start with CMD, CMD-SHELL or NONE when it is a list")
    return value


class HealthcheckFile(FileModel):
    """`healthcheck:`."""

    test: Maybe[Annotated[tuple[Text, ...], BeforeValidator(_test, json_schema_input_type=str | list[str])]] = key(
        "a text, a list or `NONE`; the image's own unless written"
    )
    disable: Maybe[Flag] = key()
    interval: Maybe[Seconds] = key("the image's own unless written, or else 30s")
    timeout: Maybe[Seconds] = key("the image's own unless written, or else 30s")
    start_period: Maybe[Seconds] = key("the image's own unless written, or else 0s")
    start_interval: Maybe[Seconds] = key("engines from API 1.44 on; older ones ask every `interval`")
    retries: Maybe[Natural] = key("the image's own unless written, or else 3")
