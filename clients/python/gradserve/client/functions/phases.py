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
from gradserve.client.functions.crossings import changes, crossing, differs
from gradserve.client.functions.custom import checkpoint, stop_gradient

RECORDED = 16
"""How many times each event is recorded, its first ones."""
_PARTS = 8
"""Into how many parts a step is divided, at whose ends changes are looked for."""
_SHORT = 1e-8
"""What part of a step a phase ends in that is gone back from at once."""
_MOST_SHORT = 6
"""After how many of such in a row the rate is taken as it is."""
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
            found = self._on(phase.regime, np.where(s < 1, there, new), t + s * h)
            return None, np.any(changes(phase.regime, found))

        rows = scan(over, None, np.arange(1, _PARTS + 1) / _PARTS).rows
        return np.where(np.any(rows), np.argmax(rows), _PARTS)

    def _end(self, advance: Advance, regime: Any, y: Any, t: Any, h: Any, part: Any) -> tuple[Any, Any, Any, Any]:
        """The length up to the end of a phase, the state, and the regimes before and behind."""

        def rate(y: Any, t: Any) -> Any:
            return self._rate(regime[: self._size], y, t)

        def at(length: Any) -> tuple[Any, Any]:
            return advance(rate, y, t, length), t + length

        def on(regime: Any, length: Any) -> Any:
            return self._on(regime, *at(length))

        def gaps(regime: Any, other: Any, length: Any) -> Any:
            there, time = at(length)
            found = [] if not self._size else [self._gaps(regime[: self._size], other[: self._size], there, time)]
            return np.concatenate(found if self._watch is None else [*found, self._watch.functions(there, time)])

        def matters(before: Any, behind: Any, length: Any) -> Any:
            return self._matters(before, behind, *stop_gradient(at(length)))

        length, behind = crossing(on, gaps, matters, regime, part * h / _PARTS, (part + 1) * h / _PARTS)
        return length, at(length)[0], regime, behind

    def _matters(self, before: Any, behind: Any, y: Any, t: Any) -> Any:
        """Whether something depends on when a phase ends: an event, or a rate that jumps."""
        happens = np.any((before != behind)[self._size :])
        if not self._size:
            return happens
        return np.logical_or(happens, differs(*(self._rate(r[: self._size], y, t) for r in (before, behind))))

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
