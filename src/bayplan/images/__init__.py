"""Images: build contexts, the registry's client, and pinning what an app runs by digest."""

from bayplan.images.gone import gone
from bayplan.images.pin import described, known_pins, prepare
from bayplan.images.registry import registry_for

__all__ = ["described", "gone", "known_pins", "prepare", "registry_for"]
