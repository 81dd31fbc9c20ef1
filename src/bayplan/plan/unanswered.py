"""What services call by name, as far as their environment tells, and nobody answers.

A port that neither the file nor an image names is at no service's own address: a call to it is refused, where with
docker compose it would have arrived.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator

from bayplan.plan.hosts_file import names_of
from bayplan.plan.replica import targets
from bayplan.spec.model import App, Service

# `api:3000`, also in a URL; not `user:1234@host`, nor an image's `redis:7` or `shop/api:300`.
_CALL = r"(?:(?<=//)|(?<=@)|(?<![\w./@:-]))(?:{names}):(\d{{2,5}})(?![\w.@-])"
_LEAST = 100  # smaller ones are versions more often than ports
_WELL_KNOWN = frozenset({22, 25, 53, 80, 81, 88})


def unanswered(app: App, unknown: Collection[str] = ()) -> tuple[str, ...]:
    """In words. unknown: services of whose images nobody knows yet what they name."""
    callers: dict[tuple[str, int], list[str]] = defaultdict(list)
    for service in app.services.values():
        for other, port, key in _calls(app, service):
            if other.name not in unknown and port not in targets(other):
                callers[other.name, port].append(f"{key} of {service.name}")
    return tuple(
        f"nobody answers at {name}:{port}, which {who[0]} names: neither the file nor the image of {name} has that "
        f'port. Where it listens there, write expose: ["{port}"] at {name}'
        for (name, port), who in sorted(callers.items())
    )


def _calls(app: App, service: Service) -> Iterator[tuple[Service, int, str]]:
    """Whom it calls, on which port, and which variable tells."""
    for other in app.services.values():
        if other.name == service.name or other.is_job or not (known := set(names_of(other, service))):
            continue
        call = re.compile(_CALL.format(names="|".join(map(re.escape, sorted(known)))))
        for key, value in service.environment.items():
            for found in call.finditer(value or ""):
                port = int(found[1])
                if port >= _LEAST or port in _WELL_KNOWN:
                    yield other, port, key
