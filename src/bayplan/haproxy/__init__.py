"""What HAProxy is told, as text: the configuration of a table and its servers. Pure."""
