"""How many calls of a kind may run at once, by how long they take beside each other.

A call's time is measured against its prediction, so that long calls are not taken for slow ones. As long as calls take
what they take at best, one more may run; where they slow each other down, fewer do, as a queue in front of the workers
costs nothing and one behind them does. What is best is measured at the least limit, at first and again and again, as in
Envoy's adaptive concurrency filter; the limit goes down by the gradient, as there and in Netflix's concurrency-limits,
and up one by one, as in Chiu and Jain, "Analysis of the Increase and Decrease Algorithms" (1989). One that was too many
is tried again after a while, and after twice as long whenever it is too many again.
"""

from __future__ import annotations

_TOLERANCE = 1.3
"""How much longer than at best calls may take."""
_STEEPEST = 0.7
"""The least that is left of the limit after one window."""
_FEWEST = 8
"""Calls in a window, at least."""
_WINDOW_SECONDS = 0.05
_CLEARLY = 0.75
"""Where the gradient is below this one more is too many, and two calls tell."""
_FIRST_PAUSE, _LONGEST_PAUSE = 4, 64
"""Windows in which a limit that was too many is not tried again, at first and at last."""
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
        self._too_many, self._pause, self._paused = most + 1, 0, 0
        """The limit at which calls slowed each other down, and windows in which it is not tried: in all, and left."""
        self._tries = False
        """Whether the limit has just gone up, which was not known to do well."""
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
        ratio = self._seconds / max(self._predicted, 1e-9)
        whole = self._calls >= max(_FEWEST, 2 * self.limit) and now - self._began >= _WINDOW_SECONDS
        if whole or (self._tries and self._calls > 1 and self._gradient(ratio) < _CLEARLY):
            self._adapt(ratio)
            self._calls = 0

    def _begin(self, began: float) -> None:
        self._began = began
        self._seconds = self._predicted = 0.0
        self._calls = self._inside = 0

    def _gradient(self, ratio: float) -> float:
        """Below 1 where calls take longer than they may."""
        return 1.0 if self._best is None else _TOLERANCE * self._best / ratio

    def _adapt(self, ratio: float) -> None:
        if self._best is None or self.limit == self._least:
            self._best = ratio
        self._windows += 1
        tried, self._tries = self._tries, False
        if self._windows >= _WINDOWS:
            self._windows, self.limit = 0, self._least
        elif (gradient := self._gradient(ratio)) < 1.0:
            self._spare(self.limit)
            self.limit = max(self._least, int(self.limit * max(_STEEPEST, gradient)))
        elif self._inside >= self.limit:
            if tried:
                self._too_many, self._pause = self._most + 1, 0
            self._go_up()

    def _spare(self, limit: int) -> None:
        """Has a limit that was too many not be tried for a while."""
        self._too_many = limit
        self._pause = self._paused = min(2 * self._pause or _FIRST_PAUSE, _LONGEST_PAUSE)

    def _go_up(self) -> None:
        """One more, unless that was too many lately."""
        known = self.limit + 1 < self._too_many <= self._most
        if not known and self._paused:
            self._paused -= 1
        elif self.limit < self._most:
            self.limit, self._tries = self.limit + 1, not known
