"""What replicas know by name: the files that they have as /etc/hosts, laid down from the gateway's container."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bayplan.haproxy.places import HAS_WAY
from bayplan.plan.other_apps import hosts_files
from bayplan.routing import Names

# $1 is the directory; then, for each file, its path below, its text and its size with the line end. A file that is
# there is written over, never replaced: the containers that have it mounted are to see it. Files of services that are
# gone go, and the way to the services' addresses, which the guard makes, is waited for. The shell itself reads what is
# there: of sixty apps, three processes a file took a quarter of a second.
_SCRIPT: Final = f"""\
cd "$1" || exit 1
shift
holds() {{
    there= line=
    while IFS= read -r line; do
        there="$there$line
"
    done <"$1"
    [ "$there$line" = "$2
" ]
}} 2>/dev/null
all=
while [ $# -gt 0 ]; do
    all="$all $1 "
    [ -d "${{1%/*}}" ] || mkdir -p "${{1%/*}}"
    [ ! -d "$1" ] || rmdir "$1"
    if ! holds "$1" "$2"; then
        printf '%s\\n' "$2" | dd of="$1" conv=notrunc bs=65536 2>/dev/null && truncate -s "$3" "$1" || exit 1
    fi
    shift 3
done
for file in */*; do
    case "$all" in *" $file "*) ;; *) rm -f "$file" ;; esac
done
rmdir * 2>/dev/null
left=50
until {HAS_WAY} || [ "$left" -eq 0 ]; do sleep 0.1; left=$((left - 1)); done
exit 0
"""


def argv(directory: str, names: Iterable[Names]) -> list[str]:
    """The command that does it."""
    words = ["sh", "-c", _SCRIPT, "sh", directory]
    for known, whole in hosts_files(names):
        text = whole.rstrip("\n")
        words += [f"{known.app}/{known.service}", text, str(len(text.encode()) + 1)]
    return words
