"""Images: build contexts, the registry's client, and pinning what an app runs by digest."""

from bayplan.images.gone import gone
from bayplan.images.pin import known_pins, listening, prepare
from bayplan.images.registry import registry_for

__all__ = ["gone", "known_pins", "listening", "prepare", "registry_for"]
