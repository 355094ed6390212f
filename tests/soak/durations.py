"""How long calls took, in memory that does not grow with their number."""

from __future__ import annotations

import math
from collections import Counter

_PARTS = 50
"""Into so many steps, of equal ratio, each factor of e is divided: figures are right to a hundredth."""


class Durations:
    """Counts of durations in steps of 2 %, and the longest one. For one thread at a time."""

    def __init__(self) -> None:
        """None yet."""
        self._counts: Counter[int] = Counter()
        self.longest = 0.0

    def add(self, seconds: float) -> None:
        """Takes down one."""
        self._counts[round(_PARTS * math.log(max(seconds, 1e-9)))] += 1
        self.longest = max(self.longest, seconds)

    def quantile(self, share: float) -> float:
        """The seconds that this share of all took at most, to a hundredth."""
        left = share * self._counts.total()
        for step, count in sorted(self._counts.items()):
            left -= count
            if left <= 0:
                return min(self.longest, math.exp(step / _PARTS))
        return self.longest

    def joined(self, other: Durations) -> Durations:
        """These and others."""
        both = Durations()
        both._counts = self._counts + other._counts
        both.longest = max(self.longest, other.longest)
        return both
