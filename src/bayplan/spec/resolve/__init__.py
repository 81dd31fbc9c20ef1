"""What a file's models mean, as values of `model`: defaults, units, long forms, what paths and names lead to."""

from bayplan.spec.resolve.around import Surroundings
from bayplan.spec.resolve.service import attached, resolve
from bayplan.spec.resolve.top import Top, resolve_top
from bayplan.spec.resolve.volumes_from import with_volumes_from

__all__ = ["Surroundings", "Top", "attached", "resolve", "resolve_top", "with_volumes_from"]
