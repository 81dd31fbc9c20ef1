"""Parts of a resolved service, and what stands beside services, as a Compose file has them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from bayplan.spec.model import App, Service
from bayplan.spec.options import Blkio, DeviceRequest, Options
from bayplan.spec.storage import Config, Grant, Mount, Secret, Volume


def said(**pairs: Any) -> dict[str, Any]:
    """What is worth saying: without what is not set."""
    return {key: value for key, value in pairs.items() if value not in (None, "", {}, [], ())}


def number(value: float | None) -> str | None:
    """A quantity without an exponent."""
    return None if value is None else f"{value:.9f}".rstrip("0").rstrip(".")


def top(app: App) -> dict[str, Any]:
    """networks, volumes, secrets, configs."""
    networks = {
        key: said(name=n.name, external=n.external or None, internal=n.internal or None, labels=dict(n.labels))
        for key, n in app.networks.items()
    }
    return said(
        networks=networks,
        volumes={key: _volume(v) for key, v in app.volumes.items()},
        secrets={key: _secret(s) for key, s in app.secrets.items()},
        configs={key: _config(c) for key, c in app.configs.items()},
    )


def _volume(v: Volume) -> dict[str, Any]:
    return said(
        name=v.name,
        driver=v.driver if v.driver != "local" else None,
        driver_opts=dict(v.driver_opts),
        labels=dict(v.labels),
        external=v.external or None,
    )


def _secret(s: Secret) -> dict[str, Any]:
    return said(name=s.name, file=s.file, environment=s.environment, external=s.external or None, labels=dict(s.labels))


def _config(c: Config) -> dict[str, Any]:
    """With its content, wherever it came from: what is not text cannot be written so, and is shown as it is kept."""
    source = {"external": True} if c.external else {"content": c.content}
    return said(name=c.name, labels=dict(c.labels)) | source


def storage(s: Service) -> dict[str, Any]:
    """volumes, secrets, configs of a service."""
    return said(
        volumes=[_mount(m) for m in s.mounts],
        secrets=[grant(g) for g in s.secrets],
        configs=[grant(g) for g in s.configs],
    )


def _mount(m: Mount) -> dict[str, Any]:
    bind = said(propagation=m.propagation, recursive=m.recursive, selinux=m.selinux)
    own: dict[str, Any] = {}
    if m.kind == "volume":  # the short form takes z, Z and the like for it, too
        own = {"volume": said(nocopy=m.nocopy or None, subpath=m.subpath, labels=dict(m.labels)), "bind": bind}
    if m.kind == "bind":
        own = {"bind": bind | ({} if m.create_host_path else {"create_host_path": False})}
    if m.kind == "tmpfs":
        own = {"tmpfs": said(size=m.size or None, mode=None if m.mode is None else f"0{m.mode:o}")}
    if m.kind == "image":
        own = {"image": said(subpath=m.subpath)}
    return said(type=m.kind, source=m.source, target=m.target, read_only=m.read_only or None, **own)


def grant(g: Grant) -> dict[str, Any]:
    """An entry of secrets or configs."""
    return said(
        source=g.source, target=g.target, uid=str(g.uid) if g.uid else "", gid=str(g.gid) if g.gid else "",
        mode=f"0{g.mode:o}",
    )  # fmt: skip


def neighbours(s: Service) -> dict[str, Any]:
    """What a service has to do with others: networks, links, depends_on, expose."""
    networks: Mapping[str, Any] = {key: said(aliases=list(aliases)) for key, aliases in s.networks.items()}
    return said(
        networks=networks if networks != {"default": {}} else None,
        links=[f"{link.service}:{link.alias}" for link in s.links],
        expose=[f"{e.port}/{e.protocol}" if e.protocol != "tcp" else str(e.port) for e in s.expose],
        depends_on={
            name: said(condition=d.condition, restart=d.restart or None) | ({} if d.required else {"required": False})
            for name, d in s.depends_on.items()
        },
    )


def options(o: Options) -> dict[str, Any]:
    """The run-time options that are not the engine's default. gpus are the devices that `deploy` reserves."""
    found: dict[str, Any] = o.model_dump(exclude_defaults=True, exclude={"gpus", "blkio_config"})
    for key in ("shm_size", "memswap_limit"):
        if key in found:
            found[key] = str(found[key])
    if o.logging is not None:
        found["logging"] = said(driver=o.logging.driver, options=dict(o.logging.options))
    blkio = _blkio(o.blkio_config)
    return {key: list(v) if isinstance(v, tuple) else v for key, v in found.items()} | said(blkio_config=blkio)


def _blkio(b: Blkio) -> dict[str, Any]:
    rates = {
        key: [{"path": t.path, "rate": str(t.rate)} for t in getattr(b, key)]
        for key in ("device_read_bps", "device_write_bps", "device_read_iops", "device_write_iops")
    }
    return said(
        weight=b.weight or None, weight_device=[{"path": t.path, "weight": t.rate} for t in b.weight_device], **rates
    )


def devices(requests: Iterable[DeviceRequest]) -> list[dict[str, Any]]:
    """`deploy.resources.reservations.devices`."""
    return [
        said(
            driver=r.driver,
            count=None if r.device_ids else "all" if r.count < 0 else r.count,
            device_ids=list(r.device_ids),
            capabilities=list(r.capabilities),
            options=dict(r.options),
        )
        for r in requests
    ]
