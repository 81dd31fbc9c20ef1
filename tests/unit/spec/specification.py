"""The keys of the Compose Specification's JSON Schema (compose-spec.json of 2026), by our model of each map."""

from __future__ import annotations

KEYS = {
    "ComposeFile": "version name include services models networks volumes secrets configs",
    "IncludeFile": "path env_file project_directory",
    "NetworkFile": ("name driver driver_opts ipam external internal enable_ipv4 enable_ipv6 attachable labels"),
    "IpamFile": "driver config options",
    "IpamPoolFile": "subnet ip_range gateway aux_addresses",
    "VolumeFile": "name driver driver_opts external labels",
    "SecretFile": "name environment file external labels driver driver_opts template_driver",
    "ConfigFile": "name content environment file external labels template_driver",
    "ExternalNameFile": "name",
    "ServiceFile": (
        "develop deploy annotations attach build blkio_config cap_add cap_drop cgroup cgroup_parent command configs"
        " container_name cpu_count cpu_percent cpu_shares cpu_quota cpu_period cpu_rt_period cpu_rt_runtime cpus cpuset"
        " credential_spec depends_on device_cgroup_rules devices dns dns_opt dns_search domainname entrypoint env_file"
        " label_file environment expose extends provider external_links extra_hosts gpus group_add healthcheck hostname"
        " image init ipc isolation labels links logging mac_address mem_limit mem_reservation mem_swappiness"
        " memswap_limit network_mode models networks oom_kill_disable oom_score_adj pid pids_limit platform ports"
        " post_start pre_stop privileged profiles pull_policy pull_refresh_after read_only restart runtime scale"
        " security_opt shm_size secrets sysctls stdin_open stop_grace_period stop_signal storage_opt tmpfs tty ulimits"
        " use_api_socket user uts userns_mode volumes volumes_from working_dir"
    ),
    "BuildFile": (
        "context dockerfile dockerfile_inline entitlements args ssh labels cache_from cache_to no_cache"
        " additional_contexts network provenance sbom pull target shm_size extra_hosts isolation privileged secrets tags"
        " ulimits platforms"
    ),
    "DependencyFile": "restart required condition",
    "DeployFile": (
        "mode endpoint_mode replicas labels rollback_config update_config resources restart_policy placement"
    ),
    "ResourcesFile": "limits reservations",
    "LimitsFile": "cpus memory pids",
    "ReservationsFile": "cpus memory generic_resources devices",
    "DeviceRequestFile": "capabilities count device_ids driver options",
    "PlacementFile": "constraints preferences max_replicas_per_node",
    "PreferenceFile": "spread",
    "UpdateFile": "parallelism delay failure_action monitor max_failure_ratio order",
    "RestartPolicyFile": "condition delay max_attempts window",
    "DeviceFile": "source target permissions",
    "EnvFile": "path format required",
    "ExtendsFile": "service file",
    "HealthcheckFile": "disable interval retries test timeout start_period start_interval",
    "LoggingFile": "driver options",
    "AttachmentFile": (
        "aliases interface_name ipv4_address ipv6_address link_local_ips mac_address driver_opts priority gw_priority"
    ),
    "PortFile": "name mode host_ip target published protocol app_protocol",
    "HookFile": "command user privileged working_dir environment",
    "GrantFile": "source target uid gid mode",
    "UlimitFile": "hard soft",
    "MountFile": "type source target read_only consistency bind volume tmpfs image",
    "BindFile": "propagation create_host_path recursive selinux",
    "VolumeOptionsFile": "labels nocopy subpath",
    "TmpfsFile": "size mode",
    "ImageOptionsFile": "subpath",
    "BlkioFile": ("device_read_bps device_read_iops device_write_bps device_write_iops weight weight_device"),
    "WeightDeviceFile": "path weight",
    "RateFile": "path rate",
}
