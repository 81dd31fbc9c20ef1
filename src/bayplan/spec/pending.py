"""What is read and resolved, and cannot be run yet, or at all: told with its place before anything is done.

`bayplan config` shows it, and warns; whatever would start or plan the app refuses it. Whoever makes one of these work
takes its line out of here, and its word out of the key's description in `written/`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bayplan.spec.model import App, Build, Service
from bayplan.spec.resolve import Surroundings
from bayplan.spec.resolve.build import is_remote

_Path = tuple[str, ...]


def _image_mounts(service: Service) -> object:
    return [mount for mount in service.mounts if mount.kind == "image"]


def _remote_build(service: Service) -> object:
    return service.build and is_remote(service.build.context)


# What of a service is there that is not run yet: its path below the service, what it is, and what to do instead.
_SERVICES: Final[tuple[tuple[_Path, Callable[[Service], object], str, str], ...]] = (
    (
        ("volumes",),
        _image_mounts,
        "a volume of type image",
        "put its files into the service's image with build (COPY --from); engines have it from API 1.48 on",
    ),
    (("build", "context"), _remote_build, "a build.context on another machine", "clone it, and name the directory"),
)
_VALUE: Final = "write where its value is found"
_PLAIN = "an engine's own builder has no such thing; build it elsewhere, push it, and name it with image"
_BUILD: Final[Mapping[str, str]] = {
    "additional_contexts": "widen the context, or COPY --from=IMAGE in the Dockerfile",
    "cache_to": "remove it: what is built is kept in the fleet's registry, and found there by its content",
    "entitlements": _PLAIN,
    "platforms": "name one, or which of them with platform: what runs is one image, of no use to hosts of another one",
    "privileged": _PLAIN,
    "provenance": "remove it: one image is kept, and no index that could hold it",
    "sbom": "remove it: one image is kept, and no index that could hold it",
}


def check_pending(app: App, around: Surroundings) -> None:
    """Adds a mistake for everything of the app that is not run yet; of an app that is only read, a warning."""
    for service in app.services.values():
        for path, what, todo in _of(service):
            around.missing(
                f"services.{service.name}: {what} is not supported yet",
                "services", service.name, *path,
                todo=todo if todo.startswith("remove it") else f"instead: {todo}",
            )  # fmt: skip
    for kind, there in (("secrets", app.secrets), ("configs", app.configs)):
        for name, value in there.items():
            if value.external:
                what = f"{kind}.{name}: nothing here keeps {kind} of others"
                around.missing(what, kind, name, "external", todo=_VALUE)


def _of(service: Service) -> Iterator[tuple[_Path, str, str]]:
    yield from ((path, what, todo) for path, there, what, todo in _SERVICES if there(service))
    if service.build is not None:
        yield from (
            (("build", key), f"build.{key}", todo) for key, todo in _BUILD.items() if _is_set(service.build, key)
        )


def _is_set(build: Build, key: str) -> bool:
    one_will_do = key == "platforms" and len(build.platforms) == 1
    return bool(getattr(build, key) != Build.model_fields[key].default) and not one_will_do
