"""How much of a resource: a number, or a profile of values over the day, as many for every service. Any unit."""

from __future__ import annotations

Profile = tuple[float, ...]
Amount = float | Profile


def peak(amount: Amount) -> float:
    """The most of it."""
    return max(amount) if isinstance(amount, tuple) else amount
