"""What of a build only BuildKit can do."""

from __future__ import annotations

import re

from bayplan.ports import BuildRequest

# Docker: "Dockerfile reference": flags and forms that the classic builder does not know.
_RUN_FLAG = re.compile(r"^\s*RUN\s+(?:--\w+\S*\s+)*(--(?:mount|network|security)\b)", re.IGNORECASE)
_COPY_FLAG = re.compile(
    r"^\s*(?:COPY|ADD)\s+(?:--\w+\S*\s+)*(--(?:link|chmod|parents|exclude|checksum)\b)", re.IGNORECASE
)
_HEREDOC = re.compile(r"^\s*(?:RUN|COPY|ADD)\b.*<<-?[\"']?[A-Za-z_]", re.IGNORECASE)


def needs_buildkit(request: BuildRequest) -> str:
    """Which part of it, a Dockerfile's with its line; "" if the classic builder will do."""
    for what in ("secrets", "ssh", "platform"):
        if getattr(request, what):
            return f"build: {what}"
    for number, line in enumerate(request.instructions.splitlines(), start=1):
        for pattern in (_RUN_FLAG, _COPY_FLAG):
            if found := pattern.match(line):
                return f"line {number}: {found[1]}"
        if _HEREDOC.match(line):
            return f"line {number}: a here-document"
    return ""
