"""What a file's models mean, as values of `model`: defaults, units, long forms, what paths and names lead to."""

from bayplan.spec.resolve.around import Surroundings
from bayplan.spec.resolve.service import attached, resolve
from bayplan.spec.resolve.top import Top, resolve_top

__all__ = ["Surroundings", "Top", "attached", "resolve", "resolve_top"]
