"""Compose file and fleet.yaml to frozen models; every mistake at once, with file and line."""
