"""An App as the Compose file that it resolves to: read again, it gives the same App."""

from __future__ import annotations

from typing import Any

from bayplan.spec.model import App, Build, Healthcheck, Http, Port, Probe, Service


def resolved(app: App) -> dict[str, Any]:
    """The resolved Compose file as plain values. A dollar sign is doubled, so that it is not read as a variable."""
    services = {name: _service(service) for name, service in app.services.items()}
    escaped = _escaped({"name": app.name, "services": services})
    assert isinstance(escaped, dict)  # noqa: S101  a map stays a map
    return escaped


def render(app: App) -> str:
    """The resolved Compose file as YAML."""
    from io import StringIO

    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 1000
    out = StringIO()
    yaml.dump(resolved(app), out)
    return out.getvalue()


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(child) for key, child in value.items()}
    if isinstance(value, list | tuple):
        return [_escaped(child) for child in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def _said(**pairs: Any) -> dict[str, Any]:
    """What is worth saying: without what is not set."""
    return {key: value for key, value in pairs.items() if value not in (None, "", {}, [], ())}


def _seconds(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".") + "s"


def _service(s: Service) -> dict[str, Any]:
    argv = {"command": s.command, "entrypoint": s.entrypoint}  # an empty one says: not the image's
    source = _said(image=s.image, build=_build(s.build) if s.build else None)
    said = {key: list(words) for key, words in argv.items() if words is not None}
    return (
        source
        | said
        | _said(
            environment=dict(s.environment),
            labels=dict(s.labels),
            user=s.user,
            working_dir=s.working_dir,
            init=s.init or None,
            restart=s.restart,
            stop_signal=s.stop_signal,
            stop_grace_period=_seconds(s.stop_grace_period),
            healthcheck=_healthcheck(s.healthcheck) if s.healthcheck else None,
            ports=[_port(p) for p in s.ports],
            deploy=_deploy(s),
            **{"x-bayplan": _extension(s)},
        )
    )


def _build(b: Build) -> dict[str, Any]:
    return _said(
        context=b.context,
        dockerfile=None if b.dockerfile_inline else b.dockerfile,
        dockerfile_inline=b.dockerfile_inline,
        args=dict(b.args),
        target=b.target,
        labels=dict(b.labels),
        no_cache=b.no_cache or None,
        pull=b.pull or None,
    )


def _healthcheck(h: Healthcheck) -> dict[str, Any]:
    if h.test == ("NONE",):
        return {"disable": True}
    return _said(
        test=list(h.test),
        interval=_seconds(h.interval),
        timeout=_seconds(h.timeout),
        start_period=_seconds(h.start_period),
        retries=h.retries,
    )


def _port(p: Port) -> dict[str, Any]:
    return _said(
        target=p.target,
        published=str(p.published),
        protocol=p.protocol,
        mode=p.mode,
        host_ip=p.address,
        app_protocol=p.app_protocol,
    )


def _deploy(s: Service) -> dict[str, Any]:
    r, placement = s.resources, s.placement
    return _said(
        mode="replicated",
        replicas=s.replicas,
        resources=_said(
            limits=_said(cpus=_number(r.limit_cpus), memory=_number(r.limit_memory), pids=r.limit_pids),
            reservations=_said(cpus=_number(r.reserved_cpus or None), memory=_number(r.reserved_memory or None)),
        ),
        placement=_said(
            constraints=list(placement.constraints),
            preferences=[{"spread": key} for key in placement.spread],
            max_replicas_per_node=placement.max_per_host,
        ),
        update_config=_said(parallelism=s.update.parallelism, order=s.update.order),
    )


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:.9f}".rstrip("0").rstrip(".")


def _extension(s: Service) -> dict[str, Any]:
    drain = {"drain": _seconds(s.drain)}
    if not any(port.mode == "ingress" for port in s.ports):
        return drain
    http = _http(s.http) if s.http else None
    return _said(http=http, probe=_probe(s.probe), proxy_protocol=s.proxy_protocol or None) | drain


def _http(h: Http) -> dict[str, Any]:
    return _said(host=list(h.hosts), path=h.path, sticky=h.sticky or None)


def _probe(p: Probe) -> dict[str, Any]:
    how: dict[str, Any] = {"path": p.path} if p.kind == "http" else {"tcp": True}
    return how | {"interval": _seconds(p.interval), "timeout": _seconds(p.timeout)}
