"""Images: build contexts, the registry's client, and pinning what an app runs by digest."""

from bayplan.images.registry import registry_for

__all__ = ["registry_for"]
