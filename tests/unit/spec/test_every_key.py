"""A service with every key that an engine knows: what it resolves to, and that `config` prints the same app."""

from __future__ import annotations

import pytest

from bayplan.spec import load_app, local_fleet
from bayplan.spec.model import Dependency, Exposed, External, Healthcheck, Hook, Link, Probe, Update
from bayplan.spec.options import Blkio, Device, DeviceRequest, Logging, Throttle, Ulimit
from bayplan.spec.render import render
from bayplan.spec.storage import Config, Grant, Mount, Secret, Volume

EVERYTHING = """
services:
  web:
    image: x
    build:
      dockerfile_inline: FROM x
      additional_contexts: {base: docker-image://y}
      cache_from: [a]
      ssh: [default, other=./id_ed25519]
      secrets: [token, {source: key, target: id}]
      platforms: [linux/arm64]
      provenance: false
      shm_size: 1g
      ulimits: {nofile: 10}
      tags: ["x:1"]
      network: host
    annotations: {a: b}
    attach: false
    blkio_config:
      weight: 300
      weight_device: [{path: /dev/sda, weight: 400}]
      device_read_bps: [{path: /dev/sdb, rate: 12mb}]
      device_write_iops: [{path: /dev/sdb, rate: 30}]
    cap_add: [NET_ADMIN]
    cap_drop: [ALL]
    cgroup: host
    cgroup_parent: m
    configs: [{source: conf, target: /etc/conf, uid: "1", gid: 2, mode: "0440"}, binary]
    container_name: www
    cpu_period: 100ms
    cpu_quota: 50000
    cpu_rt_period: 1ms
    cpu_rt_runtime: 400us
    cpu_shares: 73
    cpuset: 0,1
    depends_on:
      db: {condition: service_healthy, restart: true}
      later: {condition: service_started, required: false}
      migrate: {condition: service_completed_successfully}
    deploy:
      mode: global
      labels: {of: the-service}
      resources: {reservations: {devices: [{driver: nvidia, count: 1, capabilities: [gpu]}]}}
      restart_policy: {condition: on-failure, max_attempts: 3, delay: 5s, window: 2m}
      rollback_config: {order: stop-first, parallelism: 2}
      update_config: {delay: 10s, failure_action: rollback, monitor: 5s, max_failure_ratio: 0.5}
    develop: {watch: [{path: ., action: rebuild}]}
    device_cgroup_rules: ["c 1:3 mr"]
    devices: ["/dev/ttyUSB0:/dev/tty1:rw", "/dev/fuse", "vendor.com/net=one"]
    dns: 1.1.1.1
    dns_opt: [use-vc]
    dns_search: [example.com]
    domainname: example.com
    expose: [3000, "53/udp", "8000-8001"]
    extra_hosts: {one: 10.0.0.1, many: [10.0.0.2, "::1"]}
    gpus: all
    group_add: [mail, 100]
    healthcheck: {test: x, start_interval: 1s}
    hostname: h
    ipc: shareable
    isolation: default
    links: ["db:database", db]
    logging: {driver: json-file, options: {max-size: 1m, max-file: 3}}
    mem_swappiness: 10
    memswap_limit: 2g
    networks: {front: {aliases: [shop], priority: 5}, back: }
    oom_kill_disable: true
    oom_score_adj: -500
    pid: host
    platform: linux/arm64/v8
    post_start: [{command: ./warm --all, user: root, privileged: yes, environment: [A=1]}]
    pre_stop: [{command: [./bye], working_dir: /srv}]
    privileged: true
    pull_policy: always
    read_only: true
    runtime: runsc
    secrets: [key, {source: token, target: token.txt, mode: 0400}]
    security_opt: ["label:disable", "seccomp:unconfined", "seccomp=profile.json"]
    shm_size: 64m
    stdin_open: true
    storage_opt: {size: 1G}
    sysctls: [net.core.somaxconn=1024]
    tmpfs: [/run, "/tmp:size=64m"]
    tty: true
    ulimits: {nproc: 65535, nofile: {soft: 20000, hard: 40000}}
    userns_mode: host
    volumes:
      - /anonymous
      - "data:/data:ro,nocopy"
      - ./site:/site:z,cached
      - /etc/localtime:/etc/localtime:ro
      - {type: volume, source: data, target: /sub, volume: {subpath: a/b}}
      - {type: bind, source: /srv, target: /srv, bind: {propagation: rshared, create_host_path: false, recursive: disabled}}
      - {type: tmpfs, target: /ram, tmpfs: {size: 10m, mode: 01777}}
      - {type: image, source: y, target: /img, image: {subpath: /x}}
  db:
    image: x
    networks: [front, back]
    expose: ["3306"]
    x-bayplan: {external: {address: db.example.com, tls: true, check: {tcp: true, interval: 5s}}}
  migrate: {image: x, restart: always}
networks:
  front: {driver: bridge, attachable: true}
  back: {name: other, labels: [a=b]}
  unused: {}
volumes: {data: {driver_opts: {type: nfs}}, unused: }
secrets: {key: {file: key.txt}, token: {environment: TOKEN}}
configs: {conf: {content: "a $$b ${SET}"}, binary: {file: bits}}
"""


@pytest.fixture
def everything(folder):
    folder.environment = {"TOKEN": "t0ken", "SET": "c"}
    folder.write("key.txt", "k3y")
    folder.write("bits", b"\xff\x00")
    folder.write("profile.json", '{ "defaultAction": "SCMP_ACT_ALLOW" }')
    path = folder.write("compose.yaml", EVERYTHING)
    return load_app([path], project=None, environment=folder.environment, fleet=local_fleet({}), only_read=True)


def test_options(everything) -> None:
    assert everything.services["web"].options.model_dump(exclude_defaults=True) == {
        "annotations": {"a": "b"},
        "blkio_config": Blkio(
            weight=300,
            weight_device=(Throttle(path="/dev/sda", rate=400),),
            device_read_bps=(Throttle(path="/dev/sdb", rate=12 << 20),),
            device_write_iops=(Throttle(path="/dev/sdb", rate=30),),
        ).model_dump(exclude_defaults=True),
        "cap_add": ("NET_ADMIN",),
        "cap_drop": ("ALL",),
        "cgroup": "host",
        "cgroup_parent": "m",
        "cpu_period": 100_000,
        "cpu_quota": 50_000,
        "cpu_rt_period": 1_000,
        "cpu_rt_runtime": 400,
        "cpu_shares": 73,
        "cpuset": "0,1",
        "device_cgroup_rules": ("c 1:3 mr",),
        "devices": (
            Device(source="/dev/ttyUSB0", target="/dev/tty1", permissions="rw").model_dump(),
            {"source": "/dev/fuse", "target": "/dev/fuse"},
            {"source": "vendor.com/net=one", "target": "vendor.com/net=one"},
        ),
        "dns": ("1.1.1.1",),
        "dns_opt": ("use-vc",),
        "dns_search": ("example.com",),
        "domainname": "example.com",
        "extra_hosts": ("one=10.0.0.1", "many=10.0.0.2", "many=::1"),
        "gpus": (
            DeviceRequest(count=-1, capabilities=("gpu",)).model_dump(exclude_defaults=True),
            DeviceRequest(driver="nvidia", count=1, capabilities=("gpu",)).model_dump(exclude_defaults=True),
        ),
        "group_add": ("mail", "100"),
        "hostname": "h",
        "ipc": "shareable",
        "logging": Logging(driver="json-file", options={"max-size": "1m", "max-file": "3"}).model_dump(),
        "mem_swappiness": 10,
        "memswap_limit": 2 << 30,
        "oom_kill_disable": True,
        "oom_score_adj": -500,
        "pid": "host",
        "privileged": True,
        "read_only": True,
        "runtime": "runsc",
        "security_opt": ("label:disable", "seccomp:unconfined", 'seccomp={"defaultAction":"SCMP_ACT_ALLOW"}'),
        "shm_size": 64 << 20,
        "stdin_open": True,
        "storage_opt": {"size": "1G"},
        "sysctls": {"net.core.somaxconn": "1024"},
        "tmpfs": ("/run", "/tmp:size=64m"),
        "tty": True,
        "ulimits": {
            "nproc": Ulimit(soft=65535, hard=65535).model_dump(),
            "nofile": Ulimit(soft=20000, hard=40000).model_dump(),
        },
        "userns_mode": "host",
    }


def test_what_is_in_the_file_system(everything, folder) -> None:
    web, here = everything.services["web"], str(folder.path)
    assert web.mounts == (
        Mount(kind="volume", target="/anonymous"),
        Mount(kind="volume", source="data", target="/data", read_only=True, nocopy=True),
        Mount(kind="bind", source=f"{here}/site", target="/site", selinux="z"),
        Mount(kind="bind", source="/etc/localtime", target="/etc/localtime", read_only=True),
        Mount(kind="volume", source="data", target="/sub", subpath="a/b"),
        Mount(
            kind="bind",
            source="/srv",
            target="/srv",
            propagation="rshared",
            create_host_path=False,
            recursive="disabled",
        ),
        Mount(kind="tmpfs", target="/ram", size=10 << 20, mode=0o1777),
        Mount(kind="image", source="y", target="/img", subpath="/x"),
    )
    assert web.secrets == (
        Grant(source="key", target="/run/secrets/key"),
        Grant(source="token", target="/run/secrets/token.txt", mode=0o400),
    )
    assert web.configs == (
        Grant(source="conf", target="/etc/conf", uid=1, gid=2, mode=0o440),
        Grant(source="binary", target="/binary"),
    )
    assert everything.volumes == {"data": Volume(name="shop_data", driver_opts={"type": "nfs"})}
    assert everything.secrets == {
        "key": Secret(name="shop_key", file=f"{here}/key.txt"),
        "token": Secret(name="shop_token", environment="TOKEN"),
    }
    assert everything.configs == {
        "conf": Config(name="shop_conf", content="a $b c"),
        "binary": Config(name="shop_binary", content="/wA=", encoding="base64"),
    }


def test_what_a_build_has(everything) -> None:
    build = everything.services["web"].build
    assert build.ssh == ("default", f"other={build.context}/id_ed25519")
    assert build.secrets == (Grant(source="token", target="token"), Grant(source="key", target="id"))
    assert (build.platforms, build.provenance, build.tags) == (("linux/arm64",), "", ("x:1",))


def test_no_value_of_a_secret_is_in_the_model(everything) -> None:
    """Invariant 8: what a release records has names of secrets, and where their values are found."""
    assert not {"k3y", "t0ken"} & set(everything.model_dump_json().replace('"', " ").split())
    assert "t0ken" not in everything.model_dump_json()


def test_what_a_service_has_to_do_with_others(everything) -> None:
    web = everything.services["web"]
    assert web.networks == {"front": ("shop", "www"), "back": ("www",)}
    assert {key: n.name for key, n in everything.networks.items()} == {
        "default": "shop_default",
        "front": "shop_front",
        "back": "other",
    }
    assert web.links == (Link(service="db", alias="database"), Link(service="db", alias="db"))
    assert web.depends_on == {
        "db": Dependency(condition="service_healthy", restart=True),
        "later": Dependency(required=False),
        "migrate": Dependency(condition="service_completed_successfully"),
    }
    assert web.expose == (
        Exposed(port=3000),
        Exposed(port=53, protocol="udp"),
        Exposed(port=8000),
        Exposed(port=8001),
    )
    assert everything.services["db"].external == External(
        address="db.example.com", port=3306, tls=True, name="db.example.com", check=Probe(interval=5)
    )


def test_how_a_service_is_deployed(everything) -> None:
    web = everything.services["web"]
    assert (web.mode, web.restart, web.service_labels, web.platform) == (
        "global",
        "on-failure:3",
        {"of": "the-service"},
        "linux/arm64/v8",
    )
    assert web.placement.constraints == ("node.platform.arch == arm64",)
    assert web.update == Update(delay=10, failure_action="rollback", monitor=5, max_failure_ratio=0.5)
    assert web.rollback == Update(order="stop-first", parallelism=2)
    assert web.healthcheck == Healthcheck(test=("CMD-SHELL", "x"), start_interval=1)
    assert web.post_start == (Hook(command=("./warm", "--all"), user="root", privileged=True, environment={"A": "1"}),)
    assert web.pre_stop == (Hook(command=("./bye",), working_dir="/srv"),)


def test_a_service_for_whose_end_others_wait_is_a_job(everything) -> None:
    migrate = everything.services["migrate"]
    assert (migrate.mode, migrate.restart) == ("replicated-job", "no")


def test_what_config_prints_is_the_same_app(everything, folder) -> None:
    again = folder.write("again.yaml", render(everything))
    read = load_app([again], project=None, environment=folder.environment, fleet=local_fleet({}), only_read=True)
    ours, theirs = everything.model_dump(), read.model_dump()
    ours["configs"].pop("binary"), theirs["configs"].pop("binary")  # YAML has no place for it: it is shown as base64
    assert theirs == ours
