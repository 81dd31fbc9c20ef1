"""Files as the tar archives that the engine takes and gives."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable

from bayplan.container import File


def pack(files: Iterable[File]) -> bytes:
    """A tar to be laid at /. Directories that are missing are made by the engine."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for file in files:
            info = tarfile.TarInfo(file.path.lstrip("/"))
            info.size, info.mode, info.uid, info.gid = len(file.content), file.mode, file.uid, file.gid
            tar.addfile(info, io.BytesIO(file.content))
    return buffer.getvalue()


def only_file(tar: tarfile.TarFile) -> bytes | None:
    """The content of the one file in it; None when it is a directory or the like."""
    member = tar.next()
    content = tar.extractfile(member) if member is not None and member.isfile() else None
    return content.read() if content is not None else None
