"""`build:` as a Build."""

from __future__ import annotations

import os
from pathlib import Path

from bayplan.spec.architecture import arch_of, kernels_name
from bayplan.spec.model import Build
from bayplan.spec.reading import expanded, is_directory, is_file, shown
from bayplan.spec.resolve.around import Surroundings, blank, known
from bayplan.spec.resolve.mounts import grants
from bayplan.spec.resolve.options import ulimits
from bayplan.spec.written.build import BuildFile


def is_remote(context: str) -> bool:
    """Whether a context is fetched from somewhere."""
    return "://" in context or context.startswith(("git@", "github.com/"))


def build(name: str, written: BuildFile, around: Surroundings, *, platform: str = "") -> Build:
    """The build; a context or Dockerfile that is not there is a mistake. platform: the service's."""
    said = written.context or "."
    context = _normal(around.directory / expanded(said))
    dockerfile = _normal(context / (written.dockerfile or "Dockerfile"))
    if not is_remote(said):
        _check_context(name, context, around)
        if is_directory(context) and written.dockerfile_inline is None:
            _check_dockerfile(name, dockerfile, around)
    return Build(
        context=said if is_remote(said) else str(context),
        dockerfile=(written.dockerfile or "Dockerfile") if is_remote(said) else os.path.relpath(dockerfile, context),
        dockerfile_inline=written.dockerfile_inline,
        args=known(written.args, around.variables),
        target=written.target,
        labels=blank(written.labels),
        no_cache=bool(written.no_cache),
        pull=bool(written.pull),
        additional_contexts=blank(written.additional_contexts),
        cache_from=written.cache_from or (),
        cache_to=written.cache_to or (),
        entitlements=written.entitlements or (),
        extra_hosts=written.extra_hosts or (),
        network=written.network or "",
        platforms=_platforms(name, written.platforms or (), platform, around),
        privileged=bool(written.privileged),
        provenance=_wished(written.provenance),
        sbom=_wished(written.sbom),
        secrets=grants(written.secrets or (), ""),
        shm_size=written.shm_size or 0,
        ssh=tuple(_agent(entry, around.directory) for entry in written.ssh or ()),
        tags=written.tags or (),
        ulimits=ulimits(written.ulimits),
    )


def _platforms(name: str, written: tuple[str, ...], platform: str, around: Surroundings) -> tuple[str, ...]:
    """Of several, the one that the service runs on, which one of them must be."""
    arch = kernels_name(arch_of(platform))
    if not arch:
        return written
    fitting = [p for p in written if kernels_name(arch_of(p)) == arch]
    if written and not fitting:
        around.wrong(
            f"services.{name}: its platform is {platform}, and build.platforms does not name it",
            "services", name, "build", "platforms",
            todo="write it there too, or remove build.platforms",
        )  # fmt: skip
    return (fitting[0] if fitting else platform,)


def _wished(attestation: str | None) -> str:
    """ "" for one that is not wanted: none is made."""
    return "" if attestation in (None, "false") else str(attestation)


def _agent(written: str, directory: Path) -> str:
    """`default`, or `id=path` with the whole path of a key or of an agent's socket."""
    name, sign, path = written.partition("=")
    return f"{name}={_normal(directory / expanded(path))}" if sign else name


def _normal(path: Path) -> Path:
    """Without `..`; links are kept, as the engine sees the names and not what they lead to."""
    return Path(os.path.normpath(path))


def _check_context(name: str, context: Path, around: Surroundings) -> None:
    if not is_directory(context):
        around.missing(
            f"services.{name}.build: there is no directory {shown(context)}",
            "services", name, "build", "context",
            todo="context is relative to the first Compose file",
        )  # fmt: skip


def _check_dockerfile(name: str, dockerfile: Path, around: Surroundings) -> None:
    if not is_file(dockerfile):
        around.missing(
            f"services.{name}.build: there is no {shown(dockerfile)}",
            "services", name, "build", "dockerfile",
            todo="write it, or name another with dockerfile",
        )  # fmt: skip
