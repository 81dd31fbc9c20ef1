"""Packing against others' rules of placement, on the same data in the same run: `make bench-pack`."""
