"""How long a search may go on: units of effort, which count the same on every machine, or until somebody says stop."""

from __future__ import annotations

from collections.abc import Callable


class Budget:
    """effort: units in all; one is about a millisecond. expired: asked often; true once, and the search ends."""

    def __init__(self, effort: int, expired: Callable[[], bool]) -> None:
        self.effort, self.spent, self._expired = effort, 0, expired
        self.cut = False

    def spend(self, units: int = 1) -> bool:
        """Whether there is more to spend after this."""
        self.spent += units
        self.cut = self.cut or self._expired()
        return not self.over

    @property
    def over(self) -> bool:
        return self.cut or self.spent >= self.effort

    def part(self, units: int) -> Budget:
        """Some of what is left, to be spent apart; `settle` it afterwards."""
        return Budget(min(units, self.effort - self.spent), lambda: self.spend(0) is False and self.cut)

    def settle(self, part: Budget) -> None:
        """Count what a part has spent."""
        self.spent += part.spent
