"""bayplan: one Compose file in, a running fleet out."""
