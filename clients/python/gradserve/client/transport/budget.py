"""How often a client may ask a full service again: a crowd that repeats all it is refused is what keeps one full."""

from __future__ import annotations

import threading

MOST = 1000
"""Calls that may be repeated before any is answered."""


class RetryBudget:
    """Every repetition costs one, every answer brings one back: in the long run no call is repeated more than once.

    Safe for threads.
    """

    def __init__(self, most: int = MOST) -> None:
        """It is full."""
        self._most = self._left = most
        self._lock = threading.Lock()

    def earn(self) -> None:
        """Takes down that a call was answered."""
        with self._lock:
            self._left = min(self._most, self._left + 1)

    def spend(self) -> bool:
        """Takes down a repetition; answers whether it may be."""
        with self._lock:
            if not self._left:
                return False
            self._left -= 1
            return True
