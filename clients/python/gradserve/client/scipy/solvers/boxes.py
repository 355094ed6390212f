"""Minima between bounds: which unknowns are held at one is found by numbers, and the others move with all that decides.

An unknown that is held moves with its bound. Where it is held by nothing, or is free in its bound, it would move to one
side only, and there is no derivative.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradserve.client import functions
from gradserve.client.functions import stop_gradient
from gradserve.client.functions.implicit import SUFFICIENT, is_small, shortened
from gradserve.client.functions.minima import downhill
from gradserve.client.functions.refusing import derivable, required
from gradserve.client.functions.until import until
from gradserve.client.scipy.solvers.given import floats
from gradserve.client.tracing.names import first_tracer

_GOAL = float(np.finfo(float).eps) ** (2 / 3)
_MOST = 200
_HELD = 1e-10
"""How far from a bound a free unknown is, and how far a held one would go, at least, beside 1 and its size."""
_ONE_SIDED = (
    "a minimum lies in a bound that holds it by nothing: moved one way it would stay there, the other way leave, so "
    "there is no derivative; move the bound, or leave it out"
)
_NONE = "no minimum was found between the bounds; begin nearer to it"


class Box(NamedTuple):
    """Bounds of unknowns, infinite where there is none."""

    low: Any
    high: Any

    def clipped(self, x: Any) -> Any:
        """The nearest point between the bounds."""
        return np.minimum(np.maximum(x, self.low), self.high)

    def pressed(self, x: Any, slope: Any, away: Any = 0.0) -> tuple[Any, Any]:
        """Where the slope leads out of the lower bound, and of the upper one, from no further than so far `away`."""
        return (x <= self.low + away) & (slope > 0), (x >= self.high - away) & (slope < 0)


class Bounded(NamedTuple):
    """A minimum between bounds."""

    x: Any
    held: Any
    """-1 where an unknown is at its lower bound, 1 at its upper one, 0 where it is free."""


def of_pairs(bounds: Any, size: int) -> Box | None:
    """The bounds as `minimize` takes them, a pair for each unknown; None if they bound nothing."""
    if bounds is None or hasattr(bounds, "lb"):
        return of_ends(bounds, size)
    pairs = [(pair[0], pair[1]) for pair in bounds]
    lows = [-np.inf if low is None else low for low, _ in pairs]
    highs = [np.inf if high is None else high for _, high in pairs]
    return of_ends((lows, highs), size)


def of_ends(bounds: Any, size: int) -> Box | None:
    """The bounds as `least_squares` takes them, all lower ones and all upper ones; None if they bound nothing."""
    if bounds is None:
        return None
    low, high = (bounds.lb, bounds.ub) if hasattr(bounds, "lb") else bounds
    ends = [np.broadcast_to(floats(end), (size,)) for end in (low, high)]
    if first_tracer(ends) is None and all(np.all(np.isinf(end)) for end in ends):
        return None
    return Box(*ends)


def within(box: Box) -> Any:
    """Where SciPy begins if nothing is said: in the middle, or 1 from the only bound."""
    low, high = stop_gradient((box.low, box.high))
    has_low, has_high = np.isfinite(low), np.isfinite(high)
    first, last = np.where(has_low, low, 0.0), np.where(has_high, high, 0.0)
    one_sided = np.where(has_low, first + 1.0, np.where(has_high, last - 1.0, 1.0))
    return np.where(has_low & has_high, (first + last) / 2, one_sided)


def lowest(objective: Callable[[Any], Any], start: Any, box: Box) -> Bounded:
    """Where an objective is smallest between bounds, near a point."""
    bounds = Box(*stop_gradient(tuple(box)))
    near = stop_gradient(_searched(objective, bounds.clipped(start), bounds))
    slope = stop_gradient(functions.grad(objective)(near))
    fixed = bounds.low == bounds.high
    at_low, at_high = bounds.pressed(near, slope)
    held = stop_gradient(np.where(fixed | at_low, -1, np.where(at_high, 1, 0)))
    ends = np.where(held < 0, box.low, np.where(held > 0, box.high, 0.0))
    free = held == 0

    def inside(z: Any) -> Any:
        return objective(np.where(free, z, ends)) + np.sum(np.where(free, 0.0, z - near) ** 2) / 2

    x = np.where(free, functions.minimize(inside, near).x, ends)
    is_minimum, is_strict = _judged(objective, stop_gradient(x), bounds, held, fixed)
    return Bounded(derivable([required(x, is_minimum, _NONE)], is_strict, _ONE_SIDED)[0], held)


def _judged(objective: Any, x: Any, box: Box, held: Any, fixed: Any) -> tuple[Any, Any]:
    """Whether free unknowns are between the bounds and held ones would go out, but for rounding, and in spite of it."""
    scale = _HELD * (1 + np.abs(x))
    pull = scale * np.abs(np.diag(functions.hessian(objective)(x)))
    inside = np.minimum(x - box.low, box.high - x)
    out = held * -functions.grad(objective)(x)
    free = held == 0
    is_minimum = np.all(fixed | np.where(free, inside >= -scale, out >= -pull))
    return is_minimum, np.all(fixed | np.where(free, inside > scale, out > pull))


def _searched(objective: Callable[[Any], Any], start: Any, box: Box) -> Any:
    """A minimum by Newton's method, with steps cut off at the bounds.

    Unknowns near a bound that the slope leads to are not turned by the others (Bertsekas, Projected Newton methods for
    optimization problems with simple constraints, 1982).
    """

    def at(x: Any) -> tuple[Any, ...]:
        value, slope = functions.value_and_grad(objective)(x)
        matrix = functions.hessian(objective)(x)
        away = np.minimum(1e-3, np.max(np.abs(x - box.clipped(x - slope))))
        pinned = np.logical_or(*box.pressed(x, slope, away))
        free = np.logical_not(pinned)
        squares = np.where(
            free[:, None] & free[None, :], matrix, np.diag(np.where(pinned, np.abs(np.diag(matrix)), 0.0))
        )
        direction, _ = downhill(squares, slope)
        return x, value, slope, direction

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        x, value, slope, direction = state
        noise = 4 * np.finfo(float).eps * np.abs(value)

        def falls(_: Any, y: Any) -> Any:
            there = box.clipped(y)
            return objective(there) <= value - SUFFICIENT * (slope @ (x - there)) + noise

        return at(box.clipped(shortened(x, direction, falls)))

    def ended(state: tuple[Any, ...]) -> Any:
        x, _, _, direction = state
        return is_small(x - box.clipped(x - direction), x, _GOAL)

    (x, *_), _, _ = until(ended, step, at(start), _MOST, "report")
    return x
