"""Run-time options in the body of POST /containers/create."""

from __future__ import annotations

from bayplan.container import Container, digest
from bayplan.engines.body import create_body
from bayplan.engines.options_body import host_config, top_level
from bayplan.spec.model import Healthcheck
from bayplan.spec.options import Blkio, Device, DeviceRequest, Logging, Options, Throttle, Ulimit


def body(**options: object) -> dict:
    return create_body(Container("x", "i", network="n", options=Options(**options)))


def test_what_is_not_set_is_not_asked_for() -> None:
    assert host_config(Options()) == {}
    assert top_level(Options()) == {}
    assert digest(Container("x", "i")) == digest(Container("x", "i", options=Options()))


def test_every_option_reaches_the_engine() -> None:
    """Those with fields of their own in Container (privileged, capabilities, pid, hostname, network) are tried there."""
    values = {
        "annotations": {"a": "b"}, "cgroup": "host", "cgroup_parent": "m", "cpu_period": 1, "cpu_quota": 2,
        "cpu_rt_period": 3, "cpu_rt_runtime": 4, "cpu_shares": 5, "cpuset": "0", "device_cgroup_rules": ("r",),
        "dns": ("1.1.1.1",), "dns_opt": ("o",), "dns_search": ("s",), "group_add": ("g",), "ipc": "host",
        "isolation": "default", "mem_swappiness": 0, "memswap_limit": -1, "oom_kill_disable": True, "oom_score_adj": 6,
        "read_only": True, "runtime": "runsc", "security_opt": ("no-new-privileges",), "shm_size": 7,
        "storage_opt": {"size": "1G"}, "sysctls": {"a": "1"}, "userns_mode": "host", "uts": "host",
    }  # fmt: skip
    assert host_config(Options(**values)) == {
        "Annotations": {"a": "b"}, "CgroupnsMode": "host", "CgroupParent": "m", "CpuPeriod": 1, "CpuQuota": 2,
        "CpuRealtimePeriod": 3, "CpuRealtimeRuntime": 4, "CpuShares": 5, "CpusetCpus": "0", "DeviceCgroupRules": ["r"],
        "Dns": ["1.1.1.1"], "DnsOptions": ["o"], "DnsSearch": ["s"], "GroupAdd": ["g"], "IpcMode": "host",
        "Isolation": "default", "MemorySwappiness": 0, "MemorySwap": -1, "OomKillDisable": True, "OomScoreAdj": 6,
        "ReadonlyRootfs": True, "Runtime": "runsc", "SecurityOpt": ["no-new-privileges"], "ShmSize": 7,
        "StorageOpt": {"size": "1G"}, "Sysctls": {"a": "1"}, "UsernsMode": "host", "UTSMode": "host",
    }  # fmt: skip


def test_options_with_a_form_of_their_own() -> None:
    found = host_config(
        Options(
            extra_hosts=("a=10.0.0.1", "b=::1"),
            tmpfs=("/run", "/tmp:size=64m,mode=1777"),
            ulimits={"nofile": Ulimit(soft=1, hard=-1)},
            devices=(Device(source="/dev/a", target="/dev/b"), Device(source="v.com/c=d", target="v.com/c=d")),
            gpus=(DeviceRequest(driver="nvidia", count=-1, capabilities=("gpu", "compute"), options={"o": "1"}),),
            blkio_config=Blkio(
                weight=10,
                weight_device=(Throttle(path="/a", rate=20),),
                device_read_bps=(Throttle(path="/b", rate=30),),
            ),
        )
    )
    assert found == {
        "ExtraHosts": ["a:10.0.0.1", "b:::1"],
        "Tmpfs": {"/run": "", "/tmp": "size=64m,mode=1777"},
        "Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": -1}],
        "Devices": [{"PathOnHost": "/dev/a", "PathInContainer": "/dev/b", "CgroupPermissions": "rwm"}],
        "DeviceRequests": [
            {
                "Driver": "nvidia",
                "Count": -1,
                "DeviceIDs": [],
                "Capabilities": [["gpu", "compute"]],
                "Options": {"o": "1"},
            },
            {"Driver": "cdi", "DeviceIDs": ["v.com/c=d"]},
        ],
        "BlkioWeight": 10,
        "BlkioWeightDevice": [{"Path": "/a", "Weight": 20}],
        "BlkioDeviceReadBps": [{"Path": "/b", "Rate": 30}],
    }


def test_options_of_the_container_itself() -> None:
    asked = body(domainname="d", stdin_open=True, tty=True, mac_address="02:42:ac:11:65:43")
    assert (asked["Domainname"], asked["OpenStdin"], asked["Tty"]) == ("d", True, True)
    assert asked["MacAddress"] == asked["NetworkingConfig"]["EndpointsConfig"]["n"]["MacAddress"] == "02:42:ac:11:65:43"


def test_what_is_written_of_logging_stands_in_for_our_rotation() -> None:
    asked = body(logging=Logging(driver="syslog", options={"tag": "t"}))["HostConfig"]["LogConfig"]
    assert asked == {"Type": "syslog", "Config": {"tag": "t"}}
    assert body(logging=Logging(options={"max-size": "1m"}))["HostConfig"]["LogConfig"]["Type"] == "json-file"


def test_swap_as_written_stands_in_for_no_swap() -> None:
    limited = Container("x", "i", limit_memory=10, options=Options(memswap_limit=30))
    assert create_body(limited)["HostConfig"]["MemorySwap"] == 30


def test_a_health_checks_first_interval() -> None:
    asked = create_body(Container("x", "i", healthcheck=Healthcheck(test=("CMD", "x"), start_interval=0.5)))
    assert asked["Healthcheck"]["StartInterval"] == 500_000_000
