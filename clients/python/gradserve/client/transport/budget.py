"""How often a client may ask again: a crowd that repeats all it is refused is what keeps a service full."""

from __future__ import annotations

import threading

MOST = 1000
"""Calls that may be repeated before any is answered."""


class RetryBudget:
    """So many answers pay for one repetition: that is how often calls are repeated in the long run.

    Safe for threads.
    """

    def __init__(self, most: int = MOST, answers: int = 1) -> None:
        """It is full: there may be `most` repetitions before any answer; later, one for each so many `answers`."""
        self._most = self._left = most * answers
        self._price = answers
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Takes down that a call was answered."""
        with self._lock:
            self._left = min(self._most, self._left + 1)

    def spend(self) -> bool:
        """Takes down a repetition; answers whether it may be."""
        with self._lock:
            if self._left < self._price:
                return False
            self._left -= self._price
            return True
