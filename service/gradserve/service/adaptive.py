"""How many calls of a kind may run at once, by how long they take beside each other.

A call's time is measured against its prediction, so that long calls are not taken for slow ones. As long as calls take
what they take at best, one more may run; where they slow each other down, fewer do, as a queue in front of the workers
costs nothing and one behind them does. What is best is measured at the least limit, at first and again and again, as in
Envoy's adaptive concurrency filter; the limit goes down by the gradient, as there and in Netflix's concurrency-limits,
and up one by one, as in Chiu and Jain, "Analysis of the Increase and Decrease Algorithms" (1989).
"""

from __future__ import annotations

_TOLERANCE = 1.3
"""How much longer than at best calls may take."""
_STEEPEST = 0.7
"""The least that is left of the limit after one window."""
_FEWEST = 8
"""Calls in a window, at least."""
_WINDOW_SECONDS = 0.05
_WINDOWS = 50
"""After so many, what is best is measured anew: the least limit keeps all workers busy, so that this costs little."""


class Adaptive:
    """A limit between two others. Not safe for threads."""

    def __init__(self, least: int, most: int) -> None:
        """The limit begins at the `least`, which is to be what the workers can do at once."""
        self._least, self._most = min(least, most), most
        self.limit = self._least
        """How many calls may run at once."""
        self._best: float | None = None
        self._windows = self._calls = self._inside = 0
        self._seconds = self._predicted = self._began = 0.0

    @property
    def pace(self) -> float:
        """What a predicted second takes here at best, in seconds; 1 before that has been seen."""
        return 1.0 if self._best is None else self._best

    def saw(self, predicted: float, seconds: float, inside: int, now: float) -> None:
        """Takes down a call that has ended: what it was predicted to take alone, what it took, how many ran with it."""
        if inside > self.limit:  # it began while there were more, and tells nothing of the limit
            return
        if not self._calls:
            self._begin(now - seconds)
        self._seconds += seconds
        self._predicted += predicted
        self._calls += 1
        self._inside = max(self._inside, inside)
        if self._calls >= max(_FEWEST, 2 * self.limit) and now - self._began >= _WINDOW_SECONDS:
            self._adapt(self._seconds / max(self._predicted, 1e-9))
            self._calls = 0

    def _begin(self, began: float) -> None:
        self._began = began
        self._seconds = self._predicted = 0.0
        self._calls = self._inside = 0

    def _adapt(self, ratio: float) -> None:
        if self._best is None or self.limit == self._least:
            self._best = ratio
        self._windows += 1
        gradient = _TOLERANCE * self._best / ratio
        if self._windows >= _WINDOWS:
            self._windows, self.limit = 0, self._least
        elif gradient < 1.0:
            self.limit = max(self._least, int(self.limit * max(_STEEPEST, gradient)))
        elif self._inside >= self.limit:
            self.limit = min(self._most, self.limit + 1)
