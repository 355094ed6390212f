"""How many workers a pool should have."""

from __future__ import annotations

import math

PATIENCE_SECONDS = 1.0
"""How long more work than the workers hold must have waited before more of them are worth starting."""
IDLE_SECONDS = 60.0
"""How long fewer must have been enough before some are let go: starting one again takes seconds, or a machine."""


class Scaling:
    """The number of workers wanted, from how many chunks are under way; between `least` and `most`."""

    def __init__(self, least: int, most: int, chunks_per_worker: int) -> None:
        """Wants `least` at first."""
        self.least = least
        self.most = max(least, most)
        self.wanted = least
        self._chunks_per_worker = chunks_per_worker
        self._short_since: float | None = None
        self._enough_since: float | None = None

    def update(self, chunks: int, now: float) -> int:
        """The number wanted at the moment `now`, in seconds of any clock, when so many chunks are not done."""
        needed = min(self.most, max(self.least, math.ceil(chunks / self._chunks_per_worker)))
        if needed > self.wanted:
            self._enough_since = None
            self._short_since = now if self._short_since is None else self._short_since
            if now - self._short_since >= PATIENCE_SECONDS:
                self.wanted, self._short_since = needed, None
            return self.wanted
        self._short_since = None
        if needed == self.wanted:
            self._enough_since = None
            return self.wanted
        self._enough_since = now if self._enough_since is None else self._enough_since
        if now - self._enough_since >= IDLE_SECONDS:
            self.wanted, self._enough_since = needed, None
        return self.wanted
