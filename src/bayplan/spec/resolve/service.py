"""One service as its file has it to the service that the rest of bayplan works with: defaults, units, long forms."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from bayplan.spec.architecture import arch_of
from bayplan.spec.model import (
    Dependency,
    Exposed,
    External,
    Healthcheck,
    Hook,
    Http,
    Link,
    Mode,
    Placement,
    Probe,
    Resources,
    Service,
    Update,
)  # fmt: skip
from bayplan.spec.options import NO_BRIDGE
from bayplan.spec.resolve.around import Surroundings, blank, given
from bayplan.spec.resolve.away import tls_of
from bayplan.spec.resolve.build import build
from bayplan.spec.resolve.environment import environment, labels, own_environment
from bayplan.spec.resolve.mounts import grants, mounts
from bayplan.spec.resolve.options import options
from bayplan.spec.resolve.ports import port_pairs, ports
from bayplan.spec.storage import CONFIGS, SECRETS
from bayplan.spec.words import split
from bayplan.spec.written import deploy as file
from bayplan.spec.written.extension import Extension, ExternalServiceFile, HttpFile, ProbeFile
from bayplan.spec.written.health import HealthcheckFile
from bayplan.spec.written.runtime import HookFile
from bayplan.spec.written.service import ServiceFile

_RESTARTS = {"none": "no", "any": "always"}  # the others are words of `restart`

T = TypeVar("T", int, float)


def resolve(name: str, written: ServiceFile, around: Surroundings, *, awaited: bool = False) -> Service:
    """The service; mistakes of its own are added. awaited: others wait for its end."""
    extension = written.extension or Extension()
    deploy = written.deploy or file.DeployFile()
    mode = _mode(name, deploy, around, awaited=awaited)
    return Service(
        name=name,
        image=written.image or "",
        build=build(name, written.build, around, platform=written.platform or "") if written.build else None,
        command=_command(written.command, around, "services", name, "command"),
        entrypoint=_command(written.entrypoint, around, "services", name, "entrypoint"),
        environment=environment(name, written, around),
        labels=labels(name, written, around),
        user=written.user or "",
        working_dir=written.working_dir or "",
        init=written.init,
        restart=_restart(name, written, deploy, mode, around),
        stop_signal=written.stop_signal or "",
        stop_grace_period=given(written.stop_grace_period, 10.0),
        healthcheck=_healthcheck(written.healthcheck),
        ports=tuple(ports(name, written, around, http=extension.http is not None)),
        replicas=0 if extension.external else _replicas(name, written, around),
        resources=_resources(name, written, around),
        placement=_placement(name, written, around),
        update=_update(deploy.update_config or file.UpdateFile(), written),
        http=_http(extension.http),
        probe=_probe(extension.probe),
        drain=given(extension.drain, 30.0),
        proxy_protocol=bool(extension.proxy_protocol),
        mode=mode,
        rollback=_update(deploy.rollback_config, written) if deploy.rollback_config else None,
        service_labels=blank(deploy.labels),
        expose=tuple(Exposed(port=p, protocol=kind) for entry in written.expose or () for p, kind in entry),
        networks=attached(written),
        links=tuple(_link(text) for text in written.links or ()),
        depends_on={
            **{_link(text).service: Dependency() for text in written.links or ()},
            **{
                key: Dependency(
                    condition=entry.condition, required=entry.required is not False, restart=bool(entry.restart)
                )
                for key, entry in (written.depends_on or {}).items()
            },
        },
        mounts=mounts(name, written, around),
        secrets=grants(written.secrets or (), SECRETS),
        configs=grants(written.configs or (), CONFIGS),
        platform=written.platform or "",
        pull_policy="" if written.pull_policy in {"missing", "if_not_present", "never"} else written.pull_policy or "",
        post_start=_hooks(name, "post_start", written.post_start or (), around),
        pre_stop=_hooks(name, "pre_stop", written.pre_stop or (), around),
        external=_external(name, written, extension.external, around),
        options=options(name, written, around),
    )  # fmt: skip


def _command(words: tuple[str, ...] | None, around: Surroundings, *path: str | int) -> tuple[str, ...] | None:
    """Its words, with a warning of what the file has behind them that is none of the command."""
    text = around.written(*path)
    if isinstance(text, str) and (rest := split(text)[1]):
        around.mistakes.warn(
            f"services.{path[1]}: {path[2]} ends before {rest!r}: no shell reads it, and docker compose leaves that "
            "out too; write [sh, -c, '…'] to have one, or put it in quotes",
            around.place(*path),
        )
    return words


def _mode(name: str, deploy: file.DeployFile, around: Surroundings, *, awaited: bool) -> Mode:
    """A service whose end others wait for is a job: Compose has no other word for it outside of `deploy`."""
    if awaited and deploy.mode in {"replicated", "global"}:
        around.wrong(
            f"services.{name}: others wait for its end, and a {deploy.mode} service has none",
            "services", name, "deploy", "mode",
            todo="write mode: replicated-job, or wait for service_healthy",
        )  # fmt: skip
    return deploy.mode or ("replicated-job" if awaited else "replicated")


def _restart(name: str, written: ServiceFile, deploy: file.DeployFile, mode: Mode, around: Surroundings) -> str:
    """`deploy.restart_policy` outranks `restart`, as in Compose. A job is not started again after a good end."""
    said, key = written.restart, ("restart",)
    policy = deploy.restart_policy
    if policy is not None and policy.condition is not None:
        said = _RESTARTS.get(policy.condition, policy.condition)
        key = ("deploy", "restart_policy", "condition")  # type: ignore[assignment]
        if said == "on-failure" and policy.max_attempts:
            said = f"on-failure:{policy.max_attempts}"
    if not mode.endswith("job"):
        return said or "always"
    if said in {"always", "unless-stopped"} and deploy.mode is not None:
        around.wrong(
            f"services.{name}: a job ends, and {said} starts it again", "services", name, *key,
            todo="write on-failure, or remove it",
        )  # fmt: skip
    return said if said and said.startswith("on-failure") else "no"


def _update(written: file.UpdateFile, service: ServiceFile) -> Update:
    return Update(
        order=written.order or ("stop-first" if service.mac_address else "start-first"),  # two cannot have one address
        parallelism=written.parallelism or 0,
        delay=written.delay or 0.0,
        failure_action=written.failure_action or "pause",
        monitor=written.monitor or 0.0,
        max_failure_ratio=written.max_failure_ratio or 0.0,
    )


def attached(written: ServiceFile) -> dict[str, tuple[str, ...]]:
    """Each network's key, and the names by which the service is found on it beside its own."""
    if written.network_mode in NO_BRIDGE:
        return {}
    name = (written.container_name,) if written.container_name else ()
    found = {key: entry.aliases or () for key, entry in (written.networks or {}).items()} or {"default": ()}
    return {key: tuple(dict.fromkeys((*aliases, *name))) for key, aliases in found.items()}


def _link(text: str) -> Link:
    service, _, alias = text.partition(":")
    return Link(service=service, alias=alias or service)


def _hooks(name: str, key: str, written: Sequence[HookFile], around: Surroundings) -> tuple[Hook, ...]:
    return tuple(
        Hook(
            command=_command(entry.command, around, "services", name, key, index, "command") or (),
            user=entry.user or "",
            privileged=bool(entry.privileged),
            working_dir=entry.working_dir or "",
            environment=own_environment(entry.environment, around, "services", name, key, index, "environment"),
        )
        for index, entry in enumerate(written)
    )


def _external(
    name: str, written: ServiceFile, external: ExternalServiceFile | None, around: Surroundings
) -> External | None:
    if external is None:
        return None
    named = {p for entry in written.expose or () for p, _ in entry} | {t for _, _, t, _ in port_pairs(written)}
    port = external.port or (named.pop() if len(named) == 1 else 0)
    if not port:
        around.wrong(
            f"services.{name}.x-bayplan.external: its port is not known",
            "services", name, "x-bayplan", "external",
            todo="write port: NUMBER",
        )  # fmt: skip
    check = _probe(external.check or ProbeFile())
    return tls_of(name, external, External(address=external.address, port=port, check=check), around)


def _healthcheck(written: HealthcheckFile | None) -> Healthcheck | None:
    if written is None:
        return None
    if written.disable or written.test == ("NONE",):
        return Healthcheck(test=("NONE",))
    check = Healthcheck(
        test=written.test or (),
        interval=written.interval,
        timeout=written.timeout,
        start_period=written.start_period,
        retries=written.retries,
        start_interval=written.start_interval,
    )
    return check if check != Healthcheck() else None


def _replicas(name: str, written: ServiceFile, around: Surroundings) -> int:
    deployed = written.deploy.replicas if written.deploy else None
    if written.scale is not None and deployed is not None and written.scale != deployed:
        around.wrong(
            f"services.{name}: scale says {written.scale}, deploy.replicas says {deployed}",
            "services", name, "scale",
            todo="remove scale",
        )  # fmt: skip
    mode = (written.deploy and written.deploy.mode) or ""
    if mode.startswith("global") and (key := "deploy" if deployed is not None else "scale" if written.scale else ""):
        around.wrong(
            f"services.{name}: is {mode}, and has a number of replicas",
            "services", name, key, *(("replicas",) if key == "deploy" else ()),
            todo="remove it: each host that its constraints allow has one; or write mode: replicated",
        )  # fmt: skip
    return given(deployed, given(written.scale, 1))


def _resources(name: str, written: ServiceFile, around: Surroundings) -> Resources:
    deploy = (written.deploy and written.deploy.resources) or file.ResourcesFile()
    limits, reserved = deploy.limits or file.LimitsFile(), deploy.reservations or file.ReservationsFile()
    either = _Either(name, around)
    pids = either.of(limits.pids, "deploy.resources.limits.pids", written.pids_limit, "pids_limit")
    return Resources(
        reserved_cpus=reserved.cpus or 0.0,
        reserved_memory=either.of(
            reserved.memory, "deploy.resources.reservations.memory", written.mem_reservation, "mem_reservation"
        )
        or 0,
        limit_cpus=either.of(limits.cpus, "deploy.resources.limits.cpus", written.cpus, "cpus") or None,
        limit_memory=either.of(limits.memory, "deploy.resources.limits.memory", written.mem_limit, "mem_limit") or None,
        limit_pids=pids if pids and pids > 0 else None,
    )


@dataclass(frozen=True)
class _Either:
    """A quantity that Compose lets one write in two places; both must say the same."""

    service: str
    around: Surroundings

    def of(self, long: T | None, long_key: str, short: T | None, short_key: str) -> T | None:
        if long is not None and short is not None and long != short:
            self.around.wrong(
                f"services.{self.service}: {short_key} and {long_key} differ",
                "services", self.service, short_key,
                todo=f"remove {short_key}",
            )  # fmt: skip
        return short if long is None else long


def _placement(name: str, written: ServiceFile, around: Surroundings) -> Placement:
    placement = (written.deploy and written.deploy.placement) or file.PlacementFile()
    constraints = placement.constraints or ()
    for index, constraint in enumerate(constraints):
        if file.is_role(constraint):
            place = around.place("services", name, "deploy", "placement", "constraints", index)
            what = f"services.{name}: {constraint}: hosts of a fleet have no roles, and any will do"
            around.mistakes.warn(what, place, "to choose some, give them labels: node.labels.NAME == VALUE")
    kept = (c for c in constraints if not file.is_role(c))
    return Placement(
        constraints=tuple(dict.fromkeys((*kept, *_arch(written.platform or "")))),
        spread=tuple(p.spread for p in placement.preferences or ()),
        max_per_host=placement.max_replicas_per_node or None,
    )


def _arch(platform: str) -> tuple[str, ...]:
    """The constraint that `platform:` is."""
    arch = arch_of(platform)
    return (f"node.platform.arch == {arch}",) if arch else ()


def _http(written: HttpFile | None) -> Http | None:
    if written is None:
        return None
    return Http(hosts=written.host or (), path=written.path or "/", sticky=bool(written.sticky))


def _probe(written: ProbeFile | None) -> Probe:
    if written is None:
        return Probe()
    return Probe(
        kind="http" if written.path else "tcp",
        path=written.path or "/",
        interval=given(written.interval, 2.0),
        timeout=given(written.timeout, 2.0),
    )
