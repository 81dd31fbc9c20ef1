"""An App as the Compose file that it resolves to: read again, it gives the same App."""

from __future__ import annotations

from typing import Any

from bayplan.spec.model import App, Build, External, Healthcheck, Hook, Http, Port, Probe, Service, Update
from bayplan.spec.render_parts import devices, grant, neighbours, number, options, said, storage, top


def resolved(app: App) -> dict[str, Any]:
    """The resolved Compose file as plain values. A dollar sign is doubled, so that it is not read as a variable."""
    services = {name: _service(service) for name, service in app.services.items()}
    escaped = _escaped({"name": app.name, "services": services, **top(app)})
    assert isinstance(escaped, dict)  # noqa: S101  a map stays a map
    return escaped


def render(app: App) -> str:
    """The resolved Compose file as YAML."""
    from bayplan.spec.yaml_writing import write

    return write(resolved(app))


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(child) for child in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def _seconds(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") + "s"


def _service(s: Service) -> dict[str, Any]:
    argv = {
        "command": s.command,
        "entrypoint": s.entrypoint,
    }  # an empty one is said too: an entrypoint is not the image's then
    source = said(image=s.image, build=_build(s.build) if s.build else None)
    words = {key: list(given) for key, given in argv.items() if given is not None}
    return (
        source
        | words
        | said(
            environment=dict(s.environment),
            labels=dict(s.labels),
            user=s.user,
            working_dir=s.working_dir,
            init=s.init,
            restart=s.restart,
            stop_signal=s.stop_signal,
            stop_grace_period=_seconds(s.stop_grace_period),
            healthcheck=_healthcheck(s.healthcheck) if s.healthcheck else None,
            ports=[_port(p) for p in s.ports],
            **neighbours(s),
            **storage(s),
            platform=s.platform,
            pull_policy=s.pull_policy,
            post_start=[_hook(h) for h in s.post_start],
            pre_stop=[_hook(h) for h in s.pre_stop],
            **options(s.options),
            deploy=_deploy(s),
            **{"x-bayplan": _extension(s)},
        )
    )


def _hook(h: Hook) -> dict[str, Any]:
    return said(
        command=list(h.command),
        user=h.user,
        privileged=h.privileged or None,
        working_dir=h.working_dir,
        environment=dict(h.environment),
    )


def _build(b: Build) -> dict[str, Any]:
    return said(
        context=b.context,
        dockerfile=None if b.dockerfile_inline else b.dockerfile,
        dockerfile_inline=b.dockerfile_inline,
        args=dict(b.args),
        target=b.target,
        labels=dict(b.labels),
        no_cache=b.no_cache or None,
        pull=b.pull or None,
        additional_contexts=dict(b.additional_contexts),
        cache_from=list(b.cache_from),
        cache_to=list(b.cache_to),
        entitlements=list(b.entitlements),
        extra_hosts=list(b.extra_hosts),
        network=b.network,
        platforms=list(b.platforms),
        privileged=b.privileged or None,
        provenance=b.provenance,
        sbom=b.sbom,
        secrets=[grant(g) for g in b.secrets],
        shm_size=str(b.shm_size) if b.shm_size else None,
        ssh=list(b.ssh),
        tags=list(b.tags),
        ulimits={key: limit.model_dump() for key, limit in b.ulimits.items()},
    )


_TIMES = ("interval", "timeout", "start_period", "start_interval")


def _healthcheck(h: Healthcheck) -> dict[str, Any]:
    if h.test == ("NONE",):
        return {"disable": True}
    return said(
        test=list(h.test),
        retries=h.retries,
        **{name: _seconds(seconds) for name in _TIMES if (seconds := getattr(h, name)) is not None},
    )


def _port(p: Port) -> dict[str, Any]:
    return said(
        target=p.target,
        published=str(p.published),
        protocol=p.protocol,
        mode=p.mode,
        host_ip=p.address,
        app_protocol=p.app_protocol,
    )


def _deploy(s: Service) -> dict[str, Any]:
    r, placement = s.resources, s.placement
    return said(
        mode=s.mode,
        replicas=None if s.is_global else s.replicas,
        labels=dict(s.service_labels),
        resources=said(
            limits=said(cpus=number(r.limit_cpus), memory=number(r.limit_memory), pids=r.limit_pids),
            reservations=said(
                cpus=number(r.reserved_cpus or None),
                memory=number(r.reserved_memory or None),
                devices=devices(s.options.gpus),
            ),
        ),
        placement=said(
            constraints=list(placement.constraints),
            preferences=[{"spread": key} for key in placement.spread],
            max_replicas_per_node=placement.max_per_host,
        ),
        update_config=_update(s.update),
        rollback_config=_update(s.rollback) if s.rollback else None,
    )


def _update(u: Update) -> dict[str, Any]:
    return said(
        parallelism=u.parallelism,
        order=u.order,
        delay=_seconds(u.delay) if u.delay else None,
        failure_action=u.failure_action if u.failure_action != "pause" else None,
        monitor=_seconds(u.monitor) if u.monitor else None,
        max_failure_ratio=u.max_failure_ratio or None,
    )


def _extension(s: Service) -> dict[str, Any]:
    drain: dict[str, Any] = {"drain": _seconds(s.drain)}
    if s.external is not None:
        drain["external"] = _external(s.external)
    if not any(port.mode == "ingress" for port in s.ports):
        return drain
    http = _http(s.http) if s.http else None
    return said(http=http, probe=_probe(s.probe), proxy_protocol=s.proxy_protocol or None) | drain


def _external(e: External) -> dict[str, Any]:
    check = _probe(e.check) if e.check else None
    return said(address=e.address, port=e.port, tls=_tls(e) if e.tls else None, check=check)


def _tls(e: External) -> Any:
    return said(name=e.name, ca=e.ca or None)


def _http(h: Http) -> dict[str, Any]:
    return said(host=list(h.hosts), path=h.path, sticky=h.sticky or None)


def _probe(p: Probe) -> dict[str, Any]:
    how: dict[str, Any] = {"path": p.path} if p.kind == "http" else {"tcp": True}
    return how | {"interval": _seconds(p.interval), "timeout": _seconds(p.timeout)}
