"""The lab's Docker Hub mirror: the CNCF distribution server, seeded with images made from Debian's packages."""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import urllib.error
import urllib.request
from pathlib import Path

from bayplan.errors import LabError
from bayplan.lab import cgroups, network, store
from bayplan.lab.layout import Layout, Say, cache
from bayplan.lab.process import spawn, wait_for
from bayplan.lab.recipes import IMAGES, REGISTRY, Image, digest

_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
_CONFIG = "application/vnd.docker.container.image.v1+json"
_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}
_EPOCH = "2024-01-01T00:00:00Z"


def _storage() -> Path:
    """All labs' mirrors serve the same files."""
    return cache() / "hub"


def start(lab: Layout, say: Say) -> None:
    """Start the mirror unless it answers, then seed it unless it is."""
    if not answers(lab):
        say("docker hub mirror", "starting", False)
        log = lab.state / "hub.log"
        spawn(_command(lab), log)
        wait_for(lambda: answers(lab), "the Docker Hub mirror answers", deadline=15, log=log)
    _seed(lab, say)
    say("docker hub mirror", ", ".join(f"{i.repository.removeprefix('library/')}:{i.tag}" for i in IMAGES), True)


def answers(lab: Layout) -> bool:
    try:
        with urllib.request.urlopen(f"{lab.mirror}/v2/", timeout=2) as answer:  # noqa: S310
            return bool(answer.status == 200)  # noqa: PLR2004
    except OSError:
        return False


def _command(lab: Layout) -> list[str]:
    root = store.directory(REGISTRY.root)
    _storage().mkdir(parents=True, exist_ok=True)
    serve = (
        f"mount --bind {_storage()} {root}/var/lib/registry && cd / && "
        f"exec chroot {root} /entrypoint.sh /etc/docker/registry/config.yml"
    )
    cgroups.create(lab.group("hub"))
    unshared = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", serve]
    clean = ["env", "-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    return cgroups.joining(lab.group("hub"), [*clean, *network.inside(lab.netns("router"), unshared)])


def _seed(lab: Layout, say: Say) -> None:
    """Push the images that this storage does not hold yet."""
    for image in IMAGES:
        mark = _storage() / f"seeded-{digest([image.repository, image.tag])}"
        if mark.exists() and mark.read_text() == image.key:
            continue
        say("docker hub mirror", f"making {image.repository}:{image.tag}", False)
        _push(lab.mirror, image)
        mark.write_text(image.key)


def _push(registry: str, image: Image) -> None:
    """Make a one-layer image of the recipe's root and push it. registry: its URL."""
    packed, diff_id = _layer(image)
    config = json.dumps(_configuration(image, diff_id)).encode()
    repository = f"{registry}/v2/{image.repository}"
    manifest = {
        "schemaVersion": 2,
        "mediaType": _MANIFEST,
        "config": {"mediaType": _CONFIG, **_upload(repository, _chunks(config))},
        "layers": [{"mediaType": _LAYER, **_upload(repository, packed)}],
    }
    body = json.dumps(manifest).encode()
    _send("PUT", f"{repository}/manifests/{image.tag}", body, _MANIFEST)
    packed.unlink()


def _layer(image: Image) -> tuple[Path, str]:
    """(the layer's file, the digest of what is packed in it)."""
    tar = store.archive(image.root)
    packed = tar.with_suffix(".tar.gz.partial")
    plain = hashlib.sha256()
    with tar.open("rb") as source, gzip.GzipFile(packed, "wb", compresslevel=5, mtime=0) as sink:
        while block := source.read(1 << 20):
            plain.update(block)
            sink.write(block)
    return packed, f"sha256:{plain.hexdigest()}"


def _configuration(image: Image, diff_id: str) -> dict[str, object]:
    return {
        "architecture": _MACHINES.get(platform.machine(), platform.machine()),
        "os": "linux",
        "created": _EPOCH,
        "config": image.config,
        "rootfs": {"type": "layers", "diff_ids": [diff_id]},
        "history": [{"created": _EPOCH, "created_by": f"bayplan lab: Debian {image.root.suite}"}],
    }


def _chunks(data: bytes) -> Path:
    path = cache() / "config.partial"
    path.write_bytes(data)
    return path


def _upload(repository: str, path: Path) -> dict[str, object]:
    """Push a blob in one piece; its descriptor."""
    checksum = f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"
    where = _send("POST", f"{repository}/blobs/uploads/", b"", "application/octet-stream")
    joint = "&" if "?" in where else "?"
    _send("PUT", f"{where}{joint}digest={checksum}", path.read_bytes(), "application/octet-stream")
    return {"size": path.stat().st_size, "digest": checksum}


def _send(method: str, address: str, body: bytes, kind: str) -> str:
    """Send, and return the Location that was answered."""
    request = urllib.request.Request(address, data=body, method=method, headers={"Content-Type": kind})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            return str(answer.headers.get("Location", ""))
    except (urllib.error.URLError, OSError) as failed:
        raise LabError(f"the Docker Hub mirror refused {method} {address}: {failed}") from failed
