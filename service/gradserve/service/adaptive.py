"""How many calls of a kind may run at once, by how long they take beside each other.

A call's time is measured against its prediction, so that long calls are not taken for slow ones. As long as calls take
what they take at best, one more may run; where they slow each other down, fewer do, as a queue in front of the workers
costs nothing and one behind them does. After the gradient of Netflix's concurrency-limits and Envoy's adaptive
concurrency filter, with additive increase as in Chiu and Jain, "Analysis of the Increase and Decrease Algorithms"
(1989). The least is what the workers can do at once, so that what is best is seen again and again under any load.
"""

from __future__ import annotations

_TOLERANCE = 1.3
"""How much longer than at best calls may take."""
_DRIFT = 1.005
"""By what the best grows from window to window: a machine may become slower for good."""
_STEEPEST = 0.7
"""The least that is left of the limit after one window."""
_FEWEST = 8
"""Calls in a window, at least."""
_WINDOW_SECONDS = 0.05


class Adaptive:
    """A limit between two others. Not safe for threads."""

    def __init__(self, least: int, most: int, start: int) -> None:
        """The limit begins at `start`."""
        self._least, self._most = min(least, most), most
        self.limit = min(max(start, self._least), most)
        """How many calls may run at once."""
        self._best: float | None = None
        self._seconds = self._predicted = 0.0
        self._calls = self._inside = 0
        self._began: float | None = None

    @property
    def pace(self) -> float:
        """What a predicted second takes here at best, in seconds; 1 before that has been seen."""
        return 1.0 if self._best is None else self._best

    def saw(self, predicted: float, seconds: float, inside: int, now: float) -> None:
        """Takes down a call that has ended: what it was predicted to take alone, what it took, how many ran with it."""
        if self._began is None:
            self._began = now - seconds
        self._seconds += seconds
        self._predicted += predicted
        self._calls += 1
        self._inside = max(self._inside, inside)
        if self._calls >= max(_FEWEST, 2 * self.limit) and now - self._began >= _WINDOW_SECONDS:
            self._adapt(self._seconds / max(self._predicted, 1e-9))
            self._seconds = self._predicted = 0.0
            self._calls = self._inside = 0
            self._began = now

    def _adapt(self, ratio: float) -> None:
        self._best = ratio if self._best is None else min(ratio, self._best * _DRIFT)
        gradient = _TOLERANCE * self._best / ratio
        if gradient < 1.0:
            self.limit = max(self._least, int(self.limit * max(_STEEPEST, gradient)))
        elif self._inside >= self.limit:
            self.limit = min(self._most, self.limit + 1)
