"""Mounts in the body that creates a container, as the engine's API has them."""

from __future__ import annotations

import pytest

from bayplan.container import Container, Mounted
from bayplan.engines.body import create_body
from bayplan.spec.storage import Mount


def host_config(mounted: Mounted) -> dict[str, object]:
    return create_body(Container("x", "image", mounts=(mounted,)))["HostConfig"]


@pytest.mark.parametrize(
    ("mounted", "body"),
    [
        (
            Mounted(Mount(kind="volume", target="/data", source="data"), "shop_data", "local", {}, {"a": "b"}),
            {"Type": "volume", "Source": "shop_data", "VolumeOptions": {"Labels": {"a": "b"}}},
        ),
        (Mounted(Mount(kind="volume", target="/data", source="x"), "x"), {"Type": "volume", "Source": "x"}),
        (Mounted(Mount(kind="volume", target="/data")), {"Type": "volume", "Source": ""}),
        (
            Mounted(Mount(kind="volume", target="/data", nocopy=True, subpath="a/b"), "x", "local", {"type": "nfs"}),
            {
                "Type": "volume",
                "Source": "x",
                "VolumeOptions": {
                    "NoCopy": True,
                    "Subpath": "a/b",
                    "DriverConfig": {"Name": "local", "Options": {"type": "nfs"}},
                },
            },
        ),
        (
            Mounted(Mount(kind="bind", target="/data", source="/srv", propagation="rslave", recursive="disabled")),
            {"Type": "bind", "Source": "/srv", "BindOptions": {"Propagation": "rslave", "NonRecursive": True}},
        ),
        (
            Mounted(Mount(kind="tmpfs", target="/data", size=1024, mode=0o700)),
            {"Type": "tmpfs", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 0o700}},
        ),
    ],
)
def test_a_mount(mounted: Mounted, body: dict[str, object]) -> None:
    assert host_config(mounted)["Mounts"] == [{"Target": "/data", "ReadOnly": False, **body}]
    assert host_config(mounted)["Binds"] == []


def test_what_only_the_old_form_can_say() -> None:
    mount = Mount(kind="bind", target="/data", source="/srv", read_only=True, selinux="z")
    assert host_config(Mounted(mount))["Binds"] == ["/srv:/data:ro,z"]
    made = Mounted(Mount(kind="bind", target="/data", source="/srv"), create=True)
    assert host_config(made) | {"Mounts": None} == host_config(made) | {"Binds": ["/srv:/data"], "Mounts": None}
