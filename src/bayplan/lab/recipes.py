"""What the lab's hosts and images are made of: Debian packages, and what makes them like the official images."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

EngineKind = Literal["debian12", "debian13"]

DEPLOY_UID = 1000
_MERGED = Path("/usr/share/mmdebstrap/hooks/maybe-merged-usr")
# Ubuntu's apt trusts Ubuntu, and mmdebstrap looks for others' keys with gpg only, which a small system lacks.
_KEYRINGS = (Path("/etc/apt/trusted.gpg.d"), Path("/usr/share/keyrings/debian-archive-keyring.gpg"))
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# As debuerreotype-slimify does for the official "slim" images: no documentation, no translations.
_SLIM = (
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/lintian/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/man/*",
    "force-unsafe-io",
)

# The official images keep services that a package brings from starting while an image is built, and apt from leaving
# in its layer the packages that it fetched.
_NO_SERVICES = """printf '#!/bin/sh\\nexit 101\\n' > "$1/usr/sbin/policy-rc.d"; chmod 755 "$1/usr/sbin/policy-rc.d" """
_NO_REMAINS = r"""cat > "$1/etc/apt/apt.conf.d/docker-clean" <<'EOF'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb || true"; };
APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
EOF
cat > "$1/etc/apt/apt.conf.d/docker-gzip-indexes" <<'EOF'
Acquire::GzipIndexes "true";
Acquire::CompressionTypes::Order:: "gz";
EOF
echo 'Acquire::Languages "none";' > "$1/etc/apt/apt.conf.d/docker-no-languages"
echo 'Apt::AutoRemove::SuggestsImportant "false";' > "$1/etc/apt/apt.conf.d/docker-autoremove-suggests"
rm -f "$1"/var/cache/apt/*.bin
"""

_HAPROXY_ENTRYPOINT = r"""cat > "$1/usr/local/bin/docker-entrypoint.sh" <<'EOF'
#!/bin/sh
set -e
if [ "${1#-}" != "$1" ]; then set -- haproxy "$@"; fi
if [ "$1" = haproxy ]; then shift; set -- haproxy -W -db "$@"; fi
exec "$@"
EOF
chmod 755 "$1/usr/local/bin/docker-entrypoint.sh"
mkdir -p "$1/usr/local/etc/haproxy"
ln -s /usr/sbin/haproxy "$1/usr/local/sbin/haproxy"
chroot "$1" sh -c 'groupmod -g 99 haproxy && usermod -u 99 -g 99 haproxy && chown 99:99 /var/lib/haproxy'"""

_REGISTRY_ENTRYPOINT = r"""cat > "$1/entrypoint.sh" <<'EOF'
#!/bin/sh
set -e
case "$1" in
    *.yaml|*.yml) set -- registry serve "$@" ;;
    serve|garbage-collect|help|-*) set -- registry "$@" ;;
esac
exec "$@"
EOF
chmod 755 "$1/entrypoint.sh"
ln -s /usr/bin/docker-registry "$1/usr/local/bin/registry"
mkdir -p "$1/etc/docker/registry" "$1/var/lib/registry"
cat > "$1/etc/docker/registry/config.yml" <<'EOF'
version: 0.1
log: {fields: {service: registry}}
storage:
  cache: {blobdescriptor: inmemory}
  filesystem: {rootdirectory: /var/lib/registry}
  delete: {enabled: true}
http:
  addr: :5000
  headers: {X-Content-Type-Options: [nosniff]}
health:
  storagedriver: {enabled: true, interval: 10s, threshold: 3}
EOF"""

_DEPLOY = (
    f'chroot "$1" useradd --uid {DEPLOY_UID} --create-home --shell /bin/bash --groups docker deploy; '
    'rm -f "$1"/etc/ssh/ssh_host_* "$1/etc/hostname" "$1/etc/resolv.conf"; '
    'chroot "$1" install -d -m 700 -o deploy -g deploy /home/deploy/.ssh'
)


@dataclass(frozen=True)
class Root:
    """A Debian root file system: suite, packages beyond the minimum, and shell hooks in which $1 is the root."""

    name: str
    suite: str
    packages: tuple[str, ...] = ()
    hooks: tuple[str, ...] = ()
    dpkg: tuple[str, ...] = _SLIM

    def command(self, target: str) -> list[str]:
        """The mmdebstrap command that makes it at target, a directory or a .tar."""
        argv = ["mmdebstrap", "--mode=root", "--variant=minbase", "--quiet", '--aptopt=Acquire::Languages "none"']
        argv += [f"--keyring={path}" for path in _KEYRINGS if path.exists()]
        argv += [f"--dpkgopt={option}" for option in self.dpkg]
        packages = self.packages
        if self.suite == "bookworm" and _MERGED.exists():  # else usrmerge comes, and all of Perl with it
            argv.append(f"--hook-dir={_MERGED}")
            packages = ("usr-is-merged", *packages)
        argv += [f"--include={','.join(packages)}"] if packages else []
        argv += [f"--customize-hook={hook}" for hook in self.hooks]
        argv += [self.suite, target]
        mirror = os.environ.get("BAYPLAN_DEBIAN_MIRROR")
        return [*argv, mirror] if mirror else argv

    @property
    def key(self) -> str:
        """Name and a digest of the recipe: a changed recipe is another root."""
        return f"{self.name}-{digest([platform.machine(), *self.command('')])}"


@dataclass(frozen=True)
class Image:
    """An image in the lab's Docker Hub mirror. config: as the engine's image configuration spells it."""

    repository: str
    tag: str
    root: Root
    config: dict[str, object] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return digest([self.root.key, json.dumps(self.config, sort_keys=True)])


def digest(parts: list[str]) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:12]


_HOST_PACKAGES = (
    *("docker.io", "tini", "pigz", "xz-utils", "iptables", "kmod"),  # the engine, and what it calls
    *("openssh-server", "iproute2", "procps", "ca-certificates", "curl"),
)

HOSTS: dict[EngineKind, Root] = {
    "debian12": Root("host-debian12", "bookworm", _HOST_PACKAGES, (_DEPLOY,)),
    "debian13": Root("host-debian13", "trixie", (*_HOST_PACKAGES, "docker-cli"), (_DEPLOY,)),
}

DEBIAN = Image(
    "library/debian",
    "bookworm-slim",
    Root("debian-bookworm-slim", "bookworm", hooks=(_NO_SERVICES, _NO_REMAINS)),
    {"Env": [PATH], "Cmd": ["bash"]},
)
HAPROXY = Image(
    "library/haproxy",
    "3.0",
    Root(
        "haproxy",
        "trixie",
        ("haproxy", "perl-base", "iproute2", "ca-certificates"),
        (_HAPROXY_ENTRYPOINT, _NO_SERVICES),
    ),
    {
        "Env": [PATH],
        "User": "haproxy",
        "WorkingDir": "/var/lib/haproxy",
        "StopSignal": "SIGUSR1",
        "Entrypoint": ["docker-entrypoint.sh"],
        "Cmd": ["haproxy", "-f", "/usr/local/etc/haproxy/haproxy.cfg"],
    },
)
REGISTRY = Image(
    "library/registry",
    "2",
    Root("registry", "bookworm", ("docker-registry", "ca-certificates"), (_REGISTRY_ENTRYPOINT, _NO_SERVICES)),
    {
        "Env": [PATH],
        "ExposedPorts": {"5000/tcp": {}},
        "Volumes": {"/var/lib/registry": {}},
        "Entrypoint": ["/entrypoint.sh"],
        "Cmd": ["/etc/docker/registry/config.yml"],
    },
)
IMAGES: tuple[Image, ...] = (DEBIAN, HAPROXY, REGISTRY)
