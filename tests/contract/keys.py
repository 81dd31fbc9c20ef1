"""Every Compose key that makes a container what it is: how it is written, and where the real container shows it.

`test_keys.py` starts the containers and looks; `tests/unit/spec/test_keys_table.py` holds the table against the reference.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

Group = Literal[
    "closed", "open", "alone", "once", "hosted", "made"
]  # made: created and not started; not every machine can


@dataclass(frozen=True)
class Row:
    """A key. group: the container that has it; written: its lines under the service.

    at: a path in the engine's `inspect`, what is there; or says: a command in the container, what it prints.
    since: the first API that has it; v1: only control groups of version 1 do.
    """

    keys: str
    group: Group
    written: str
    seen: Any
    at: str = ""
    says: str = ""
    since: tuple[int, int] = (1, 41)
    v1: bool = False


def at(keys: str, path: str, seen: Any, written: str, group: Group = "closed", **more: Any) -> Row:
    return Row(keys, group, written, seen, at=path, **more)


def says(keys: str, command: str, seen: str, written: str, group: Group = "closed", **more: Any) -> Row:
    return Row(keys, group, written, seen, says=command, **more)


_MOUNT = "- {type: %s, source: %s, target: %s, %s}"
_CHECK: Final = "healthcheck: {test: [CMD, 'true'], interval: 70s, timeout: 3s, start_period: 4s, retries: 6}"
_SECOND: Final = 1_000_000_000

ROWS: Final = (
    # What runs, as whom, in which surroundings.
    at("image", "Config.Image", "debian:bookworm-slim", "image: debian:bookworm-slim"),
    at("command", "Config.Cmd", ["-c", "exec sleep 1000"], "command: -c 'exec sleep 1000'"),
    at("entrypoint", "Config.Entrypoint", ["/bin/sh"], "entrypoint: [/bin/sh]"),
    says("environment", "echo $GREETING", "a = b", "environment: {GREETING: 'a = b', OVER: it}"),
    says("env_file env_file[].path env_file[].required", "echo $FILED $OVER", "yes it", "env_file: [{path: given.env}]"),
    says("env_file[].format", "echo $RAW", "'raw'", "env_file: [{path: raw.env, format: raw}]", "open"),
    at("labels", "Config.Labels.of", "the-file", "labels: {of: the-file}"),
    at("label_file", "Config.Labels.from", "a-file", "label_file: given.labels"),
    says("user", "id -u; id -g", "1000\n4", "user: '1000:4'"),
    says("group_add", "id -G", "4 8 100", "group_add: [mail, 100]"),
    says("working_dir", "pwd", "/var/tmp", "working_dir: /var/tmp"),
    says("init", "cat /proc/1/comm", "docker-init", "init: true"),
    at("stop_signal", "Config.StopSignal", "SIGINT", "stop_signal: SIGINT"),
    at("stop_grace_period", "Config.StopTimeout", 3, "stop_grace_period: 3s"),
    at("stdin_open", "Config.OpenStdin", True, "stdin_open: true"),
    at("tty", "Config.Tty", True, "tty: true"),
    at("annotations", "HostConfig.Annotations", {"a": "b"}, "annotations: {a: b}", since=(1, 43)),
    # When it ends, and whether it is well.
    at("restart", "HostConfig.RestartPolicy.Name", "unless-stopped", "restart: unless-stopped"),
    at(
        "deploy.restart_policy.condition deploy.restart_policy.max_attempts", "HostConfig.RestartPolicy",
        {"Name": "on-failure", "MaximumRetryCount": 3},
        "deploy: {restart_policy: {condition: on-failure, max_attempts: 3}}", "alone",
    ),
    at("healthcheck.test", "Config.Healthcheck.Test", ["CMD", "true"], _CHECK),
    at("healthcheck.interval", "Config.Healthcheck.Interval", 70 * _SECOND, _CHECK),
    at("healthcheck.timeout", "Config.Healthcheck.Timeout", 3 * _SECOND, _CHECK),
    at("healthcheck.start_period", "Config.Healthcheck.StartPeriod", 4 * _SECOND, _CHECK),
    at("healthcheck.retries", "Config.Healthcheck.Retries", 6, _CHECK),
    at(
        "healthcheck.start_interval", "Config.Healthcheck.StartInterval", 2 * _SECOND,
        "healthcheck: {test: [CMD, 'true'], start_interval: 2s}", "alone", since=(1, 44),
    ),
    at("healthcheck.disable", "Config.Healthcheck.Test", ["NONE"], "healthcheck: {disable: true}", "open"),
    # How much it may use.
    at("cpus", "HostConfig.NanoCpus", _SECOND // 2, "cpus: 0.5", "alone"),
    at("cpu_period", "HostConfig.CpuPeriod", 50_000, "cpu_period: 50ms"),
    at("cpu_quota", "HostConfig.CpuQuota", 25_000, "cpu_quota: 25000"),
    at("cpu_shares", "HostConfig.CpuShares", 73, "cpu_shares: 73"),
    says("cpuset", "grep Cpus_allowed_list /proc/self/status | tr -dc '0-9,-'", "0", "cpuset: '0'"),
    at("mem_limit", "HostConfig.Memory", 64 << 20, "mem_limit: 64m"),
    at("memswap_limit", "HostConfig.MemorySwap", 96 << 20, "memswap_limit: 96m"),
    at("mem_reservation", "Config.Labels.[bayplan.reserved]", f"0,{32 << 20}", "mem_reservation: 32m"),
    at("mem_swappiness", "HostConfig.MemorySwappiness", 10, "mem_swappiness: 10", v1=True),
    at("oom_kill_disable", "HostConfig.OomKillDisable", True, "oom_kill_disable: true", v1=True),
    says("oom_score_adj", "cat /proc/self/oom_score_adj", "500", "oom_score_adj: 500"),
    at("pids_limit", "HostConfig.PidsLimit", 40, "pids_limit: 40"),
    at(
        "deploy.resources.limits.cpus", "HostConfig.NanoCpus", _SECOND // 4,
        "deploy: {resources: {limits: {cpus: '0.25', memory: 48M, pids: 30}}}", "open",
    ),
    at(
        "deploy.resources.limits.memory", "HostConfig.Memory", 48 << 20,
        "deploy: {resources: {limits: {cpus: '0.25', memory: 48M, pids: 30}}}", "open",
    ),
    at(
        "deploy.resources.limits.pids", "HostConfig.PidsLimit", 30,
        "deploy: {resources: {limits: {cpus: '0.25', memory: 48M, pids: 30}}}", "open",
    ),
    at(
        "deploy.resources.reservations.cpus deploy.resources.reservations.memory", "Config.Labels.[bayplan.reserved]",
        f"0.125,{16 << 20}", "deploy: {resources: {reservations: {cpus: '0.125', memory: 16M}}}", "once",
    ),
    says("ulimits", "awk '/Max processes/ {print $3}' /proc/self/limits", "100", "ulimits: {nproc: 100, nofile: {soft: 200, hard: 400}}"),
    says(
        "ulimits[].soft ulimits[].hard", "awk '/Max pending signals/ {print $4; print $5}' /proc/self/limits", "200\n400",
        "ulimits: {nproc: 100, sigpending: {soft: 200, hard: 400}}",  # Go programs, as runc is, raise nofile's for a moment
    ),
    says("shm_size", "df -k /dev/shm | tail -n 1 | awk '{print $2}'", "8192", "shm_size: 8m"),
    # What it may do.
    says("cap_add cap_drop", "grep CapBnd /proc/1/status | cut -f 2", f"{1 << 12:016x}", "cap_add: [NET_ADMIN]\ncap_drop: [ALL]"),
    at("privileged", "HostConfig.Privileged", True, "privileged: true", "made"),
    says("read_only", "touch /etc/x 2>/dev/null || echo no", "no", "read_only: true"),
    at("security_opt", "HostConfig.SecurityOpt", ["no-new-privileges:true"], "security_opt: ['no-new-privileges:true']"),
    says("sysctls", "cat /proc/sys/net/core/somaxconn", "1234", "sysctls: [net.core.somaxconn=1234]"),
    at("userns_mode", "HostConfig.UsernsMode", "host", "userns_mode: host", "open"),
    at("runtime", "HostConfig.Runtime", "runc", "runtime: runc"),
    at("device_cgroup_rules", "HostConfig.DeviceCgroupRules", ["c 1:3 mr"], "device_cgroup_rules: ['c 1:3 mr']"),
    says("devices", "test -c /dev/other && echo it", "it", "devices: ['/dev/null:/dev/other:rw']"),
    at(
        "devices[].source devices[].target devices[].permissions", "HostConfig.Devices",
        [{"PathOnHost": "/dev/zero", "PathInContainer": "/dev/naught", "CgroupPermissions": "r"}],
        "devices: [{source: /dev/zero, target: /dev/naught, permissions: r}]", "alone",
    ),
    # What it shares with its host.
    at("cgroup", "HostConfig.CgroupnsMode", "private", "cgroup: private"),
    at("cgroup_parent", "HostConfig.CgroupParent", "/bayplan-keys", "cgroup_parent: /bayplan-keys"),
    at("ipc", "HostConfig.IpcMode", "shareable", "ipc: shareable"),
    at("pid", "HostConfig.PidMode", "host", "pid: host", "open"),
    at("uts", "HostConfig.UTSMode", "host", "uts: host", "open"),
    # How it is named and whom it knows.
    says("hostname", "hostname", "me", "hostname: me"),
    at("domainname", "Config.Domainname", "example.com", "domainname: example.com"),
    at("dns", "HostConfig.Dns", ["192.0.2.53"], "dns: 192.0.2.53"),
    at("dns_opt", "HostConfig.DnsOptions", ["use-vc"], "dns_opt: [use-vc]"),
    says("dns_search", "grep -c 'search example.org' /etc/resolv.conf", "1", "dns_search: example.org"),
    at("extra_hosts", "HostConfig.ExtraHosts", ["one:192.0.2.1"], "extra_hosts: {one: 192.0.2.1}"),
    says("mac_address", "cat /sys/class/net/eth0/address", "02:42:0a:00:00:77", "mac_address: 02:42:0a:00:00:77\ndeploy: {update_config: {order: stop-first}}"),
    says("network_mode", "ls /sys/class/net | grep -cv lo", "0", "network_mode: none", "alone"),
    at("network_mode", "HostConfig.NetworkMode", "host", "network_mode: host", "hosted"),
    at(
        "ports ports[].target ports[].published ports[].protocol ports[].mode ports[].host_ip",
        "HostConfig.PortBindings", {"53/udp": [{"HostIp": "127.0.0.1", "HostPort": "20053"}]},
        "ports: [{target: 53, published: 20053, protocol: udp, mode: host, host_ip: 127.0.0.1}]", "once",
    ),
    # What it finds in its file system.
    says("tmpfs", "df -k /scratch | tail -n 1 | awk '{print $1, $2}'", "tmpfs 4096", "tmpfs: '/scratch:size=4m'"),
    says(
        "volumes volumes[].type volumes[].source volumes[].target", "grep -c ' /data ' /proc/mounts", "1",
        "volumes:\n" + _MOUNT % ("volume", "data", "/data", "read_only: true"),
    ),
    says("volumes[].read_only", "touch /data/x 2>/dev/null || echo no", "no", "volumes:"),
    says(
        "volumes[].tmpfs.size volumes[].tmpfs.mode", "stat -c %a /ram; df -k /ram | tail -n 1 | awk '{print $2}'",
        "1750\n1024", "volumes:\n- {type: tmpfs, target: /ram, tmpfs: {size: 1m, mode: 01750}}",
    ),
    says(
        "volumes[].volume.nocopy", "ls /etc/apt | wc -l", "0",
        "volumes:\n- {type: volume, target: /etc/apt, volume: {nocopy: true}}",
    ),
    at(
        "volumes[].volume.labels", "HostConfig.Mounts",
        [{"Type": "volume", "Target": "/own", "VolumeOptions": {"Labels": {"of": "it"}}}],
        "volumes:\n- {type: volume, target: /own, volume: {labels: {of: it}}}", "alone",
    ),
    at(
        "volumes[].bind.propagation volumes[].bind.recursive volumes[].bind.create_host_path", "HostConfig.Mounts",
        [
            {
                "Type": "bind", "Source": "/etc/apt", "Target": "/host", "ReadOnly": True,
                "BindOptions": {"Propagation": "rprivate", "NonRecursive": True},
            }
        ],
        "volumes:\n- {type: bind, source: /etc/apt, target: /host, read_only: true, "
        "bind: {propagation: rprivate, recursive: disabled, create_host_path: false}}", "once",
    ),
    at("volumes[].bind.selinux", "HostConfig.Binds", ["/etc/apt:/z:ro,z"], "volumes: ['/etc/apt:/z:ro,z']", "open"),
    # Its words.
    at(
        "logging.driver logging.options", "HostConfig.LogConfig",
        {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2"}},
        "logging: {driver: json-file, options: {max-size: 1m, max-file: 2}}",
    ),
)  # fmt: skip

# What makes no difference to a container, or one that only more than a container shows: the test that does.
ELSEWHERE: Final = {
    "build": "tests/lab/test_images.py",
    "deploy": "tests/lab/test_releases.py::test_a_service_that_fails_goes_back_by_itself_and_a_slow_one_takes_its_time",
    "deploy.mode": "tests/lab/test_jobs.py::test_what_is_wanted_everywhere_is_once_on_each_host_that_the_constraints_allow",
    "post_start": "tests/lab/test_jobs.py::test_hooks_run_in_the_replica_and_one_that_fails_is_a_failure",
    "pre_stop": "tests/lab/test_jobs.py::test_hooks_run_in_the_replica_and_one_that_fails_is_a_failure",
    "pull_policy": "tests/unit/images/test_pin.py::test_a_service_may_ask_for_it_each_time",
    "expose": "tests/lab/test_names.py",
    "scale": "tests/unit/spec/test_app.py",
    "extends": "tests/unit/spec/test_project.py",
    "profiles": "tests/unit/spec/test_project.py",
    "depends_on": "tests/lab/test_jobs.py::test_a_migration_runs_once_before_what_waits_for_it_and_again_when_it_changed",
    "networks": "tests/lab/test_names.py",
    "links": "tests/lab/test_names.py",
    "container_name": "tests/unit/plan/test_names.py",
    "volumes_from": "tests/unit/spec/test_volumes_from.py",
    "secrets": "tests/lab/test_secrets.py",
    "configs": "tests/lab/test_secrets.py",
    "platform": "tests/unit/plan/test_filters.py",
    "x-bayplan": "tests/lab/test_names.py::test_a_service_that_is_not_run_here_has_a_name_and_an_address_all_the_same",
    "attach": "tests/unit/spec/test_every_key.py",
    "develop": "tests/unit/spec/test_every_key.py",
    # Of hosts as the lab has none: GPUs, XFS with quotas, a kernel with real-time groups or weights of disks, disks to slow down; an
    # engine on Windows.
    "gpus": "tests/unit/engines/test_options_body.py::test_options_with_a_form_of_their_own",
    "deploy.resources.reservations.devices": "tests/unit/spec/test_every_key.py",
    "storage_opt": "tests/unit/engines/test_options_body.py::test_every_option_reaches_the_engine",
    "cpu_rt_period": "tests/unit/engines/test_options_body.py::test_every_option_reaches_the_engine",
    "cpu_rt_runtime": "tests/unit/engines/test_options_body.py::test_every_option_reaches_the_engine",
    "blkio_config.weight": "tests/unit/engines/test_options_body.py::test_options_with_a_form_of_their_own",
    "isolation": "tests/unit/engines/test_options_body.py::test_every_option_reaches_the_engine",
    "blkio_config.weight_device": "tests/unit/engines/test_options_body.py::test_options_with_a_form_of_their_own",
    "blkio_config.device_read_bps": "tests/unit/engines/test_options_body.py::test_options_with_a_form_of_their_own",
    "blkio_config.device_read_iops": "tests/unit/engines/test_options_body.py",
    "blkio_config.device_write_bps": "tests/unit/engines/test_options_body.py",
    "blkio_config.device_write_iops": "tests/unit/engines/test_options_body.py",
    "ports[].app_protocol": "tests/lab/test_site.py",
    "ports[].name": "tests/unit/spec/test_app.py",
    "volumes[].consistency": "tests/unit/spec/test_every_key.py",
    "volumes[].volume.subpath": "tests/unit/engines/test_mounts_body.py",
    "deploy.restart_policy.delay": "tests/unit/spec/test_every_key.py",
    "deploy.restart_policy.window": "tests/unit/spec/test_every_key.py",
}
