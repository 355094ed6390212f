"""Ways that are smooth in phases: where a rate jumps or has a kink, or an event happens, a step ends.

The time of the end moves with all that leads there, by the implicit function theorem, so that derivatives know of the
jump (Aizerman and Gantmacher, On the stability of periodic motions, 1958). Until then the rate is that of the phase
before, also beyond its end, and afterwards that of the one behind.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradserve.client.functions.control import cond, scan
from gradserve.client.functions.custom import checkpoint, stop_gradient
from gradserve.client.functions.derivatives import jvp
from gradserve.client.functions.refusing import derivable
from gradserve.client.functions.until import until

RECORDED = 16
"""How many times each event is recorded, its first ones."""
_PARTS = 8
"""Into how many parts a step is divided, at whose ends changes are looked for."""
_BISECTIONS = 30
_SHORT = 1e-8
"""What part of a step a phase ends in that is gone back from at once."""
_MOST_SHORT = 6
"""After how many of such in a row the rate is taken as it is."""
_NEAR = 1e-6
"""What part of a step an end may be from where it is looked for."""
_ROUNDING = 1e-12
"""What part of a rate may be rounding."""
_TOUCHES = (
    "the way only touches where its rate jumps or an event happens, or meets it where nothing is said to move it: "
    "there is no derivative of when"
)
SLIDES = (
    "the state stays where its rate jumps, led back from both sides: there is no derivative through that; smooth the "
    "jump, such as by np.tanh(v / width) for np.sign(v)"
)

Advance = Callable[[Callable[[Any, Any], Any], Any, Any, Any], Any]
"""From a rate, a state, a time and a length to the state after a step."""


class Watch(NamedTuple):
    """Events: where functions of a state and a time change their signs."""

    functions: Callable[[Any, Any], Any]
    """Their values, a vector."""
    directions: Any
    """1 for those that count where they grow, -1 where they fall, 0 for both; one for each."""
    ends: Any
    """After how many of each the way ends; 0 for never."""


class Phase(NamedTuple):
    """Where a way stands."""

    regime: Any
    """On which pieces the rate is, and then the signs of the events."""
    short: Any
    """How many phases in a row were left at once."""
    counts: Any
    """How often each event has happened."""
    times: Any
    states: Any
    """When, and in which states, the first times; NaN for others."""
    ended: Any
    """Whether an event has ended the way."""


class Phases:
    """A rate in phases, as `Regimes.rate` and the like with a time, and events."""

    def __init__(
        self,
        size: int,
        rate: Callable[[Any, Any, Any], Any],
        on: Callable[[Any, Any, Any], Any],
        gaps: Callable[[Any, Any, Any, Any], Any],
        watch: Watch | None = None,
    ) -> None:
        """Of a rate with so many numbers in a regime."""
        self._size, self._rate, self._pieces, self._gaps, self._watch = size, rate, on, gaps, watch
        self._events = 0 if watch is None else len(watch.directions)

    def start(self, y: Any, t: Any) -> Phase:
        """The phase that a way begins in."""
        count = self._events
        return Phase(
            stop_gradient(self._on(np.full(self._size + count, np.nan), y, t)),
            np.int64(0),
            np.zeros(count, np.int64),
            np.full((count, RECORDED), np.nan),
            np.full((count, RECORDED, y.size), np.nan, y.dtype),
            np.bool_(False),
        )

    def rate(self, phase: Phase) -> Callable[[Any, Any], Any]:
        """The rate of that phase, wherever the state is."""
        return lambda y, t: self._rate(phase.regime[: self._size], y, t)

    def after(self, advance: Advance, phase: Phase, y: Any, t: Any, h: Any, new: Any, good: Any) -> tuple[Any, ...]:
        """Whether the phase ends within a step, and then the length up to there, the state, and the phase behind."""
        first = stop_gradient(self._first_part(phase, y, t, h, new))
        ends = np.logical_and(good, first < _PARTS)
        found = cond(
            ends,
            lambda: checkpoint(lambda *given: self._end(advance, *given))(phase.regime, y, t, h, first),
            lambda: (h, new, phase.regime, phase.regime),
        )
        length, there, before, behind = found
        # What is turned back from at once, again and again, is not left: the rate goes on as it is.
        is_short = np.logical_and(ends, np.abs(stop_gradient(length)) <= _SHORT * np.abs(stop_gradient(h)))
        short = np.where(ends, np.where(is_short, phase.short + 1, 0), phase.short)
        short = np.where(phase.short >= _MOST_SHORT, phase.short, short)
        of_rate = np.arange(self._size + self._events) < self._size
        regime = np.where(np.logical_and(of_rate, short >= _MOST_SHORT), np.nan, behind)
        return (
            ends,
            length,
            there,
            self._recorded(phase._replace(short=short, regime=regime), before, t + length, there),
        )

    def slides(self, phase: Phase) -> Any:
        """Whether the way has come to where its rate leads it back from both sides."""
        return phase.short >= _MOST_SHORT

    def _on(self, regime: Any, y: Any, t: Any) -> Any:
        """The regime that the operands are in."""
        found = [] if not self._size else [self._pieces(regime[: self._size], y, t)]
        return np.concatenate(found if self._watch is None else [*found, np.sign(self._watch.functions(y, t))])

    def _changes(self, regime: Any, y: Any, t: Any) -> tuple[Any, Any]:
        """The regime that the operands are in, and where it is another one."""
        found = self._on(regime, y, t)
        return found, (found != regime) & (found == found) & (regime == regime)

    def _first_part(self, phase: Phase, y: Any, t: Any, h: Any, new: Any) -> Any:
        """The first part of a step at whose end the phase is over, or their number; by a cubic between the ends."""
        rate = self.rate(phase)
        length = h.astype(y.dtype)
        begins, ends = length * rate(y, t), length * rate(new, t + h)
        change = new - y

        def over(_: Any, s: Any) -> tuple[None, Any]:
            x = s.astype(y.dtype)
            curve = (1 - 2 * x) * change + (x - 1) * begins + x * ends
            there = y + x * change + x * (x - 1) * curve
            return None, np.any(self._changes(phase.regime, np.where(s < 1, there, new), t + s * h)[1])

        rows = scan(over, None, np.arange(1, _PARTS + 1) / _PARTS).rows
        return np.where(np.any(rows), np.argmax(rows), _PARTS)

    def _end(self, advance: Advance, regime: Any, y: Any, t: Any, h: Any, part: Any) -> tuple[Any, Any, Any, Any]:
        """The length up to the end of a phase, the state, and the regimes before and behind."""

        def rate(y: Any, t: Any) -> Any:
            return self._rate(regime[: self._size], y, t)

        def at(length: Any) -> tuple[Any, Any]:
            return advance(rate, y, t, length), t + length

        def halved(ends: tuple[Any, Any]) -> tuple[Any, Any]:
            low, high = ends
            middle = (low + high) / 2
            is_over = np.any(self._changes(regime, *at(middle))[1])
            return np.where(is_over, low, middle), np.where(is_over, middle, high)

        bounds = stop_gradient((part * h / _PARTS, (part + 1) * h / _PARTS))
        (_, high), _, _ = until(lambda _: np.bool_(False), halved, bounds, _BISECTIONS, "report")
        high = stop_gradient(high)
        found, changed = stop_gradient(self._changes(regime, *at(high)))
        which = np.arange(regime.size) == np.argmax(changed)

        def gap(length: Any) -> Any:
            there, time = at(length)
            gaps = [] if not self._size else [self._gaps(regime[: self._size], found[: self._size], there, time)]
            gaps += [] if self._watch is None else [self._watch.functions(there, time)]
            return np.sum(np.where(which, np.concatenate(gaps), 0.0))

        behind = np.where(changed, found, regime)
        length, is_near = _root(gap, high, h)
        counts = self._counts(regime, behind, *stop_gradient(at(length)))
        is_known = np.logical_or(is_near, np.logical_not(counts))
        length = derivable([np.where(np.logical_and(np.any(changed), is_near), length, high)], is_known, _TOUCHES)[0]
        there, time = at(length)
        again = stop_gradient(self._on(behind, there, time))
        behind = np.where(changed | (again != again) | (regime != regime), behind, again)
        return length, there, regime, behind

    def _counts(self, before: Any, behind: Any, y: Any, t: Any) -> Any:
        """Whether something depends on when a phase ends: an event, or a rate that jumps by more than rounding."""
        happens = np.any((before != behind)[self._size :])
        if not self._size:
            return happens
        one, other = (self._rate(regime[: self._size], y, t) for regime in (before, behind))
        return np.logical_or(happens, np.any(np.abs(one - other) > _ROUNDING * np.max(np.abs(one))))

    def _recorded(self, phase: Phase, before: Any, t: Any, y: Any) -> Phase:
        """The phase with what has happened at a time."""
        if self._watch is None:
            return phase
        old, new = before[self._size :], phase.regime[self._size :]
        directions = np.asarray(self._watch.directions)
        happens = ((new > old) & (directions >= 0)) | ((new < old) & (directions <= 0))
        place = happens[:, None] & (np.arange(RECORDED) == phase.counts[:, None])
        counts = phase.counts + happens
        ends = np.asarray(self._watch.ends)
        return phase._replace(
            counts=counts,
            times=np.where(place, t, phase.times),
            states=np.where(place[:, :, None], y, phase.states),
            ended=np.logical_or(phase.ended, np.any((ends > 0) & (counts >= ends))),
        )


def _root(gap: Callable[[Any], Any], near: Any, h: Any) -> tuple[Any, Any]:
    """The length at which a gap closes, and whether that is near: by two steps of Newton's method.

    Derivatives of orders up to 3 are those of the root.
    """
    length = near
    for _ in range(2):
        value, slope = jvp(gap, (length,), (np.ones(()),))
        length = length - value / np.where(slope == 0.0, np.nan, slope)
    return length, np.abs(stop_gradient(length) - near) <= _NEAR * np.abs(stop_gradient(h))
