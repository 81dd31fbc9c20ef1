"""Architectures: by Go's names, which images and platforms have, and by the kernel's, which engines tell."""

from __future__ import annotations

from typing import Final

_KERNELS: Final = {"amd64": "x86_64", "arm64": "aarch64"}


def kernels_name(arch: str) -> str:
    """Of one by either name."""
    return _KERNELS.get(arch, arch)


def runs(host: str, image: str) -> bool:
    """Whether a host runs what an image is for, both by the kernel's names: 64 bits run what 32 of their kind do."""
    narrower = {"x86_64": ("i386", "i686"), "aarch64": ("armv8l", "armv7l", "armv6l", "armv5l")}
    return image == host or image in narrower.get(host, ()) or (host[:4] == image[:4] == "armv" and image <= host)


def kernels_of(architecture: str, variant: str = "") -> str:
    """Of what an image says that it is for (OCI image-spec 1.1); "" for what is for none, as what BuildKit attests."""
    return "" if architecture in ("", "unknown") else kernels_name(arch_of(f"linux/{architecture}/{variant}"))


def arch_of(platform: str) -> str:
    """What `os/arch` says of it; "" if nothing. linux/arm/v7 is armv7l to the kernel, whose names hosts have."""
    _, _, arch = platform.partition("/")
    kind, _, variant = arch.partition("/")
    return {"386": "i686", "arm": f"arm{variant or 'v7'}l"}.get(kind, kind)
