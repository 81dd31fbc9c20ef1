"""Plain values as YAML that every reader of Compose files takes alike."""

from __future__ import annotations

from typing import Any

from bayplan.spec.yaml_syntax import scalar

_WIDE = 1 << 30  # a line that is broken is harder to search than a long one


def write(value: Any) -> str:
    """The text. A string that some YAML would take for a number, a boolean or nothing is put in quotes."""
    import yaml

    base: Any = getattr(yaml, "CSafeDumper", yaml.SafeDumper)

    class Dumper(base):  # type: ignore[misc]
        def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  values that are alike are written out
            return True

    def text(dumper: Any, data: str) -> Any:
        is_number = not isinstance(scalar(data, None, is_plain=True), str)  # to YAML 1.2; 1.1 is the library's own
        return dumper.represent_scalar("tag:yaml.org,2002:str", data, style="'" if is_number else None)

    Dumper.add_representer(str, text)
    written: str = yaml.dump(
        value, Dumper=Dumper, default_flow_style=False, sort_keys=False, width=_WIDE, allow_unicode=True
    )
    return written
