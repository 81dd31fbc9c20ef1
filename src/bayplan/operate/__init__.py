"""What the verbs do, over the ports: no terminal, no adapters."""
