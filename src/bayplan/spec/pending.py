"""What is read and resolved, and cannot be run yet: told with its place before anything is done.

`bayplan config` shows it; whatever would start or plan the app refuses it. Whoever makes one of these work takes its
line out of here, and its word out of the key's description in `written/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from bayplan.spec.model import App, Build, Service
from bayplan.spec.resolve import Surroundings
from bayplan.spec.resolve.build import is_remote

_Path = tuple[str, ...]


def _image_mounts(service: Service) -> object:
    return [mount for mount in service.mounts if mount.kind == "image"]


# What of a service is there that is not run yet: its path below the service, and what to do instead.
_SERVICES: Final[tuple[tuple[_Path, Callable[[Service], object], str], ...]] = (
    (("volumes",), _image_mounts, "put its files into the service's image with build (COPY --from)"),
    (("post_start",), lambda s: s.post_start, "the image's entrypoint"),
    (("pre_stop",), lambda s: s.pre_stop, "a handler of stop_signal in the image"),
)
_BUILD: Final = (
    "additional_contexts", "cache_to", "entitlements", "platforms", "privileged", "provenance", "sbom",
    "secrets", "ssh", "tags",
)  # fmt: skip


def check_pending(app: App, around: Surroundings) -> None:
    """Adds a mistake for everything of the app that is not run yet."""
    for service in app.services.values():
        for path, todo in _of(service):
            around.wrong(
                f"services.{service.name}: {'.'.join(path)} is not supported yet",
                "services", service.name, *path,
                todo=f"instead: {todo}" if todo else "remove it for now",
            )  # fmt: skip
    for kind, there in (("secrets", app.secrets), ("configs", app.configs), ("networks", app.networks)):
        for name, value in there.items():
            if value.external:
                around.wrong(
                    f"{kind}.{name}: nothing here keeps {kind} of others", kind, name, "external",
                    todo="write where its value is found" if kind != "networks" else "remove it",
                )  # fmt: skip


def _of(service: Service) -> Iterator[tuple[_Path, str]]:
    yield from ((path, todo) for path, there, todo in _SERVICES if there(service))
    if service.build is not None and is_remote(service.build.context):
        yield ("build", "context"), "clone it, and name the directory"
    if service.build is not None:
        yield from ((("build", key), "") for key in _BUILD if _is_set(service.build, key))


def _is_set(build: Build, key: str) -> bool:
    return bool(getattr(build, key) != Build.model_fields[key].default)
