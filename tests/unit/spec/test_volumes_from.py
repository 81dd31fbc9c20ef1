"""`volumes_from`: the mounts of other services, and who waits for whom; `links`, for which one waits too."""

from __future__ import annotations

import pytest

from bayplan.spec import load_app, local_fleet
from bayplan.spec.model import Dependency
from bayplan.spec.storage import Mount

_APP = """\
services:
  backup: {image: x, volumes_from: ["web:ro"], depends_on: {web: {condition: service_healthy}}}
  web: {image: x, volumes_from: [files, "more:rw"], volumes: ["own:/more"], tmpfs: [/scratch]}
  files: {image: x, volumes: ["data:/data", "/srv/a:/a:ro", {type: tmpfs, target: /ram, tmpfs: {size: 1m}}]}
  more: {image: x, volumes: ["data:/more/", "data:/a", "data:/scratch"]}
volumes: {data: , own: }
"""


def test_what_another_service_mounts_is_mounted_at_the_same_places(folder) -> None:
    """The last that is named wins, and over it the service's own, as an engine has it."""
    services = folder.app(_APP).services
    assert services["web"].mounts == (
        Mount(kind="volume", target="/data", source="data", nocopy=True),
        Mount(kind="volume", target="/a", source="data", nocopy=True),
        Mount(kind="tmpfs", target="/ram", size=1 << 20),
        Mount(kind="volume", target="/more", source="own"),
    )
    assert [(m.target, m.read_only) for m in services["backup"].mounts] == [
        ("/data", True), ("/a", True), ("/ram", True), ("/more", True),
    ]  # fmt: skip
    assert services["files"].depends_on == {}


def test_a_path_that_is_read_only_stays_so(folder) -> None:
    text = "services: {a: {image: x, volumes_from: ['b:rw']}, b: {image: x, volumes: ['/srv:/srv:ro']}}\n"
    assert folder.app(text).services["a"].mounts[0].read_only


def test_it_waits_for_those_that_it_names(folder) -> None:
    services = folder.app(_APP).services
    assert services["web"].depends_on == {"files": Dependency(), "more": Dependency()}
    assert services["backup"].depends_on == {"web": Dependency(condition="service_healthy")}


def test_so_does_one_that_links(folder) -> None:
    """Compose Specification, "links"; what depends_on says of the same service is kept."""
    text = (
        "services:\n  web: {image: x, links: ['db:sql', cache], depends_on: {db: {condition: service_healthy}}}\n"
        "  late: {image: x, links: [cache], volumes_from: [db]}\n"
        "  db: {image: x, volumes: ['data:/data']}\n  cache: {image: x}\nvolumes: {data: }\n"
    )
    services = folder.app(text).services
    assert services["web"].depends_on == {"cache": Dependency(), "db": Dependency(condition="service_healthy")}
    assert services["late"].depends_on == {"db": Dependency(), "cache": Dependency()}


@pytest.mark.parametrize(
    ("services", "told"),
    [
        (
            "a: {image: x, volumes_from: [b]}",
            "services.a: volumes_from names 'b', and there is no such service | services: a",
        ),
        (
            "a: {image: x, volumes_from: [b]}\n  b: {image: x, profiles: [p]}",
            (
                "services.a: volumes_from names 'b', whose profile is not asked for | "
                "ask for it (--profile, or COMPOSE_PROFILES), or remove it here"
            ),
        ),
        (
            "a: {image: x, volumes_from: [b]}\n  b: {image: x, volumes_from: ['a:ro']}",
            "services.a: volumes_from goes in a circle: a -> b -> a | remove one of these: none could start",
        ),
        (
            "a: {image: x, volumes_from: [a]}",
            "services.a: volumes_from goes in a circle: a -> a | remove one of these: none could start",
        ),
        (
            "a: {image: x, volumes_from: ['b:rx']}\n  b: {image: x}",
            (
                "services.a.volumes_from[0]: 'b:rx' is not a service whose volumes to mount | "
                "write SERVICE, or SERVICE:ro"
            ),
        ),
        (
            "a: {image: x, volumes_from: [b]}\n  b: {image: x, volumes: [/data]}",
            (
                "services.a: volumes_from brings a volume without a name at /data, and each replica has its own of "
                "these | write NAME:/data where it is, and NAME under volumes"
            ),
        ),
        (
            "a: {image: x, scale: 2, volumes_from: [b]}\n  b: {image: x, volumes: [data:/d]}\nvolumes: {data: }",
            (
                "services.a: 2 replicas would write to the one volume shop_data | write replicas: 1, mount it "
                "read_only, or give it driver_opts of what hosts share (type: nfs)"
            ),
        ),
    ],
)
def test_what_cannot_be_mounted_is_told(folder, services: str, told: str) -> None:
    fleet = None if "scale" in services else local_fleet({})
    path = folder.write("compose.yaml", f"services:\n  {services}\n")
    found = folder.mistakes(lambda: load_app([path], project=None, environment={}, fleet=fleet))
    assert found == [f"2: {told}"]


def test_who_mounts_nothing_is_warned_of(folder) -> None:
    path = folder.write("compose.yaml", "services:\n  a:\n    image: x\n    volumes_from: [b]\n  b: {image: x}\n")
    warned: list[str] = []
    app = load_app([path], project=None, environment={}, fleet=local_fleet({}), warn=lambda m: warned.append(m.what))
    assert app.services["a"].mounts == ()
    assert warned == [
        "services.a: volumes_from names b, which mounts nothing: what its image calls a VOLUME is not shared"
    ]
