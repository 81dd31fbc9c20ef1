"""A release as bytes: the same in a registry and in a directory."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bayplan.errors import RegistryError, UnreadableError
from bayplan.ports import Release, Source
from bayplan.spec.model import App

MEDIA_TYPE = "application/vnd.bayplan.release.v1+json"
FORMAT = 1  # raise it when an older bayplan could no longer read, or would misread, what is written

_RELEASE = TypeAdapter(Release)
_UPDATE = "update bayplan on this machine"


def write(release: Release) -> bytes:
    """Readable JSON, so that a person with a browser or a text editor can see what runs."""
    fields: dict[str, Any] = {
        "format": FORMAT,
        "app": release.app,
        "number": release.number,
        "by": release.by,
        "at": release.at,
        "why": release.why,
        "commit": release.source.commit,
        "dirty": release.source.dirty,
        "stopped": list(release.stopped),
        "spec": json.loads(release.spec),
    }
    return json.dumps(fields, indent=1, ensure_ascii=False).encode()


def read(content: bytes, where: str) -> Release:
    """The release. where: for messages. Raises RegistryError when another version wrote it, UnreadableError for what
    is none.
    """
    try:
        fields = json.loads(content)
        version = int(fields["format"])
    except (ValueError, TypeError, KeyError, RecursionError) as wrong:
        raise UnreadableError("this is not a release that bayplan wrote", where=where, todo="see what it is") from wrong
    if version > FORMAT:
        raise RegistryError(
            f"a newer bayplan wrote this release (format {version}; this one reads {FORMAT})", where=where, todo=_UPDATE
        )
    try:
        spec = App.model_validate(fields["spec"]).model_dump_json()
        source = Source(fields.get("commit", ""), fields.get("dirty", False))
        told = {name: fields[name] for name in ("number", "app", "by", "at", "why")}
        return _RELEASE.validate_python({**told, "spec": spec, "source": source, "stopped": fields.get("stopped", ())})
    except (ValidationError, KeyError) as wrong:
        raise RegistryError("this release says what this bayplan does not know", where=where, todo=_UPDATE) from wrong


def taken(release: Release, where: str) -> RegistryError:
    """The refusal of a number that is there."""
    return RegistryError(
        f"release {release.number} of {release.app} is there already",
        where=where,
        todo="somebody else released at the same moment; look at what they did, then run it again",
    )
