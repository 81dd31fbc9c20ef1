"""The Compose file as its author writes it: which keys there are, what each may hold, and what it means here.

These models check one merged file, make its JSON Schema, and, with their fields' descriptions, the reference page;
`resolve` turns them into `model.App`.
"""

from bayplan.spec.written.app import ComposeFile
from bayplan.spec.written.service import ServiceFile

__all__ = ["ComposeFile", "ServiceFile"]
