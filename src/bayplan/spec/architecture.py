"""Architectures: by Go's names, which images and platforms have, and by the kernel's, which engines tell."""

from __future__ import annotations

from typing import Final

_KERNELS: Final = {"amd64": "x86_64", "arm64": "aarch64"}


def kernels_name(arch: str) -> str:
    """Of one by either name."""
    return _KERNELS.get(arch, arch)


def arch_of(platform: str) -> str:
    """What `os/arch` says of it; "" if nothing. linux/arm/v7 is armv7l to the kernel, whose names hosts have."""
    _, _, arch = platform.partition("/")
    kind, _, variant = arch.partition("/")
    return {"386": "i686", "arm": f"arm{variant or 'v7'}l"}.get(kind, kind)
