"""Images: build contexts, the registry's client, and pinning what an app runs by digest."""

from bayplan.images.gone import gone
from bayplan.images.login import login_for
from bayplan.images.pin import described, known_pins, prepare
from bayplan.images.registry import registry_for

__all__ = ["described", "gone", "known_pins", "login_for", "prepare", "registry_for"]
