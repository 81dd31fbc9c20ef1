"""Benchmarks: operations (what can be done), scenarios (what is measured), metrics (figures against references)."""
