"""Gateways: HAProxy on each host, and one in memory that behaves the same."""
