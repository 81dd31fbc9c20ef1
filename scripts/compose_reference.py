"""The tables of docs/reference/compose.md, made of the models that check the file.

Write the page anew with: .venv/bin/python scripts/compose_reference.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from bayplan.spec.shapes import FileModel
from bayplan.spec.unsupported import NEVER, NOT_YET, refusal
from bayplan.spec.written import app, build, deploy, extension, health, networks, ports, runtime, service, storage

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "compose.md"
BEGIN = "<!-- made by scripts/compose_reference.py from here -->"
END = "<!-- to here -->"

# Where a map with keys of its own stands in the file, and what checks it.
TABLES: tuple[tuple[str, type[FileModel]], ...] = (
    ("top of the file", app.ComposeFile),
    ("`include[]`", app.IncludeFile),
    ("`networks.NAME`", networks.NetworkFile),
    ("`networks.NAME.ipam`", networks.IpamFile),
    ("`networks.NAME.ipam.config[]`", networks.IpamPoolFile),
    ("`volumes.NAME`", storage.VolumeFile),
    ("`secrets.NAME`", storage.SecretFile),
    ("`configs.NAME`", storage.ConfigFile),
    ("`external` of these, in its old form", storage.ExternalNameFile),
    ("`services.NAME`", service.ServiceFile),
    ("`build`", build.BuildFile),
    ("`depends_on.SERVICE`", service.DependencyFile),
    ("`deploy`", deploy.DeployFile),
    ("`deploy.resources`", deploy.ResourcesFile),
    ("`deploy.resources.limits`", deploy.LimitsFile),
    ("`deploy.resources.reservations`", deploy.ReservationsFile),
    ("`deploy.resources.reservations.devices[]`, `gpus[]`", runtime.DeviceRequestFile),
    ("`deploy.placement`", deploy.PlacementFile),
    ("`deploy.placement.preferences[]`", deploy.PreferenceFile),
    ("`deploy.update_config`, `deploy.rollback_config`", deploy.UpdateFile),
    ("`deploy.restart_policy`", deploy.RestartPolicyFile),
    ("`devices[]`", runtime.DeviceFile),
    ("`env_file[]`", service.EnvFile),
    ("`extends`", service.ExtendsFile),
    ("`healthcheck`", health.HealthcheckFile),
    ("`logging`", runtime.LoggingFile),
    ("`networks.NAME` of a service", networks.AttachmentFile),
    ("`ports[]`", ports.PortFile),
    ("`post_start[]`, `pre_stop[]`", runtime.HookFile),
    ("`secrets[]`, `configs[]` of a service", storage.GrantFile),
    ("`ulimits.NAME`", runtime.UlimitFile),
    ("`volumes[]` of a service", storage.MountFile),
    ("`volumes[].bind`", storage.BindFile),
    ("`volumes[].volume`", storage.VolumeOptionsFile),
    ("`volumes[].tmpfs`", storage.TmpfsFile),
    ("`volumes[].image`", storage.ImageOptionsFile),
    ("`blkio_config`", runtime.BlkioFile),
    ("`blkio_config.weight_device[]`", runtime.WeightDeviceFile),
    ("`blkio_config.device_…[]`", runtime.RateFile),
    ("`x-bayplan` of a service", extension.Extension),
    ("`x-bayplan.http`", extension.HttpFile),
    ("`x-bayplan.probe`, `x-bayplan.external.check`", extension.ProbeFile),
    ("`x-bayplan.external`", extension.ExternalServiceFile),
    ("`x-bayplan.external.tls`", extension.ExternalTlsFile),
)


def keys(model: type[FileModel]) -> dict[str, str]:
    """Each key of a map, those that are refused too, and what is done with it."""
    found = {field.alias or name: field.description or "" for name, field in model.model_fields.items()}
    for table in (NOT_YET, NEVER):
        for key in table.get(model.__name__, {}):
            why, todo = refusal(model.__name__, key) or ("", "")
            found[key] = f"**refused**: {why}; {todo}"
    return dict(sorted(found.items()))


def tables() -> str:
    """All of them, as Markdown."""
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    for title, model in TABLES:
        yield f"\n### {title[0].upper() + title[1:] if title[0] != '`' else title}\n"
        yield "| key | here |\n| --- | --- |"
        for key, means in keys(model).items():
            yield f"| `{key}` | {means.replace('|', chr(92) + '|')} |"
    yield ""


def made(page: str) -> str:
    """The page with its tables as they should be."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{tables()}\n{END}{after}"


if __name__ == "__main__":
    PAGE.write_text(made(PAGE.read_text()))
