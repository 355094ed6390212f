"""particle and saddle: optima of functions that hold optima or equations of motion, by gradient descent.

Each is one function: a descent along derivatives of a function with a loop inside, which follows derivatives as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.thirdparty.gradbench.library import Library, Slope

FLIGHT, DESCENT = 600, 400
"""Steps that no flight takes as many of, and no descent."""
SMALL = 1e-5
"""The gradient, and the step, that a descent ends with, and the rate that it begins with."""
FOLLOWED = 10
"""Good steps after which the rate is doubled."""

Descended = tuple[Any, Any, Any, Any, Any, Any]
"""A point, its value and its gradient; the rate, the number of good steps at it, and whether to go on."""


def descended(library: Library, loss: Slope, start: Any) -> Any:
    """Where gradient descent from `start` ends, of a loss that comes with its gradient.

    It ends where the gradient or a step is small; a rate at which the loss grows is halved.
    """
    xp = library.np

    def is_steep(slope: Any) -> Any:
        return xp.sum(slope * slope) > SMALL**2

    def step(state: Descended) -> Descended:
        x, lowest, slope, rate, good, _ = state
        faster = good == FOLLOWED
        further = x - rate * slope
        found, gradient = loss(further)
        goes_on = xp.logical_or(faster, xp.sum((further - x) ** 2) > SMALL**2)
        better = xp.logical_and(found < lowest, xp.logical_and(goes_on, xp.logical_not(faster)))
        factor = xp.where(faster, 2.0, xp.where(better, 1.0, 0.5))
        slope = xp.where(better, gradient, slope)
        x, lowest, good = xp.where(better, further, x), xp.where(better, found, lowest), xp.where(better, good + 1, 0)
        return x, lowest, slope, rate * factor, good, xp.logical_and(is_steep(slope), goes_on)

    lowest, slope = loss(start)
    state = start, lowest, slope, np.array(SMALL), np.array(0), is_steep(slope)
    return library.while_loop(lambda s: s[5], step, state, DESCENT)[0]


def particle(library: Library, mode: str) -> Callable[[Any], Any]:
    """From where w begins to the w with which the particle comes to the origin; modes outside and inside."""
    outside, inside = mode[0], mode[1]
    slope = library.value_and_grad[outside](crossing(library, inside))
    return lambda start: descended(library, slope, start)


def crossing(library: Library, mode: str) -> Callable[[Any], Any]:
    """The square of where a charge crosses the axis that two others repel it from; w moves one of these."""
    xp, dt = library.np, 0.1

    def square(w: Any) -> Any:
        charges = np.array([10.0, 0.0]), xp.stack([10.0, 10.0 - w])

        def potential(x: Any) -> Any:
            return sum(1.0 / xp.sqrt(xp.sum((x - charge) ** 2)) for charge in charges)

        field = library.value_and_grad[mode](potential)

        def step(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            _, x, speed = state
            further = x + dt * speed
            above = further[1] > 0
            return above, further, xp.where(above, speed - dt * field(x)[1], speed)

        start = np.array(True), np.array([0.0, 8.0]), np.array([0.75, 0.0])
        _, x, speed = library.while_loop(lambda state: state[0], step, start, FLIGHT)
        return (x[0] - x[1] / speed[1] * speed[0]) ** 2

    return square


def saddle(library: Library, mode: str) -> Callable[[Any], Any]:
    """From where both begin to the lowest p of the largest heights, then the q of the largest there."""
    xp, outside, inside = library.np, mode[0], mode[1]
    slopes = library.value_and_grad

    def largest(p: Any, start: Any) -> Any:
        return descended(library, slopes[inside](lambda q: -height(xp, p, q)), start)

    def both(start: Any) -> Any:
        p = descended(library, slopes[outside](lambda p: height(xp, p, largest(p, start))), start)
        return xp.concatenate([p, largest(p, start)])

    return both


def height(xp: Any, p: Any, q: Any) -> Any:
    """|p|^2 - |q|^2."""
    return xp.sum(p * p) - xp.sum(q * q)
