"""Compose file and fleet.yaml to frozen models; every mistake at once, with file and line."""

from bayplan.spec.app import app_name, load_app
from bayplan.spec.both import load_both
from bayplan.spec.fleet import load_fleet, local_fleet
from bayplan.spec.render import render

__all__ = ["app_name", "load_app", "load_both", "load_fleet", "local_fleet", "render"]
