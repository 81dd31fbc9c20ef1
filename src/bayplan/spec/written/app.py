"""The whole Compose file."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from bayplan.spec.shapes import FileModel, List, Map, Maybe, Text, Texts, long_form
from bayplan.spec.written.fields import key, required
from bayplan.spec.written.networks import TopNetwork
from bayplan.spec.written.service import ServiceFile
from bayplan.spec.written.storage import ConfigFile, SecretFile, VolumeFile, nothing_is_a_map


def _include(value: Any) -> Any:
    return long_form(value, "path")


class IncludeFile(FileModel):
    """An entry of `include:`, long."""

    path: Texts = required("one, or several that are merged; a local one")
    project_directory: Maybe[Text] = key("the first path's folder unless written")
    env_file: Maybe[Texts] = key("`.env` in that folder unless written")


Include = Annotated[IncludeFile, BeforeValidator(_include, json_schema_input_type=str | IncludeFile)]
TopVolume = Annotated[VolumeFile, BeforeValidator(nothing_is_a_map, json_schema_input_type=VolumeFile | None)]


class ComposeFile(FileModel):
    """The whole file."""

    version: Any = Field(default=None, deprecated=True, description="obsolete; changes nothing")
    name: Maybe[Text] = key("the app's, unless -p or `COMPOSE_PROJECT_NAME` says another")
    services: Map[ServiceFile] = required("names: letters, digits, `-`, `_` and dots, a letter or digit first")
    include: Maybe[List[Include]] = key("other apps' files; what is there twice is told")
    networks: Maybe[Map[TopNetwork]] = key("names resolve between services that share one; no firewall")
    volumes: Maybe[Map[TopVolume]] = key("made on the host of the service that mounts it, or found there")
    secrets: Maybe[Map[SecretFile]] = key("a release keeps their names, never their values")
    configs: Maybe[Map[ConfigFile]] = key("their content is the release's; as secrets, files in the memory of the host")
