"""particle and saddle: optima of functions that hold optima or equations of motion, by gradient descent.

Derivatives are taken of a function as a whole. So the descent outside is one in Python, which asks for the derivatives
of a function with the loop inside, in either mode; the gradient of the small function that this loop follows is written
out: the repulsion of charges, and the slope of a paraboloid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.types import Array
from tests.thirdparty.gradbench.library import Library

FLIGHT, DESCENT = 600, 400
"""Steps that no flight takes as many of, and no descent inside."""
SMALL = 1e-5
"""The gradient, and the step, that a descent ends with, and the rate that it begins with."""
FOLLOWED = 10
"""Good steps after which the rate is doubled."""

Descended = tuple[Any, Any, Any, Any, Any, Any]
"""A point, its value and its gradient; the rate, the number of good steps at it, and whether to go on."""


def descend(loss: Callable[[Array], tuple[float, Array]], start: Array) -> Array:
    """Where gradient descent from `start` ends, of a function that returns its value and its gradient."""
    x, rate, good = start, SMALL, 0
    lowest, slope = loss(x)
    while np.linalg.norm(slope) > SMALL:
        if good == FOLLOWED:
            rate, good = 2 * rate, 0
            continue
        further = x - rate * slope
        if np.linalg.norm(further - x) <= SMALL:
            break
        found, gradient = loss(further)
        if found < lowest:
            x, lowest, slope, good = further, found, gradient, good + 1
        else:
            rate, good = rate / 2, 0
    return x


def descended(library: Library, loss: Callable[[Any], tuple[Any, Any]], start: Any) -> Any:
    """Where gradient descent from `start` ends, within a function: the same as `descend`."""
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


def crossing(library: Library) -> Callable[[Any], Any]:
    """particle: the square of where a charge crosses the axis that two others repel it from; w moves one of these."""
    xp, dt = library.np, 0.1

    def repulsion(x: Any, charge: Any) -> Any:
        """Minus the gradient of 1 / |x - charge|."""
        apart = x - charge
        squared = xp.sum(apart * apart)
        return apart / (squared * xp.sqrt(squared))

    def square(w: Any) -> Any:
        moved = xp.stack([10.0, 10.0 - w])

        def step(state: tuple[Any, Any, Any]) -> tuple[Any, Any, Any]:
            _, x, speed = state
            force = repulsion(x, moved) + repulsion(x, np.array([10.0, 0.0]))
            further = x + dt * speed
            above = further[1] > 0
            return above, further, xp.where(above, speed + dt * force, speed)

        start = np.array(True), np.array([0.0, 8.0]), np.array([0.75, 0.0])
        _, x, speed = library.while_loop(lambda state: state[0], step, start, FLIGHT)
        return (x[0] - x[1] / speed[1] * speed[0]) ** 2

    return square


def height(library: Library) -> Callable[[Any, Any], Any]:
    """saddle: |p|^2 - |q|^2."""
    xp = library.np
    return lambda p, q: xp.sum(p * p) - xp.sum(q * q)


def ridge(library: Library, start: Array) -> Callable[[Any], Any]:
    """saddle: the largest height over all q, by descent from `start`."""
    value = height(library)

    def largest(p: Any) -> Any:
        q = descended(library, lambda q: (-value(p, q), 2.0 * q), start)
        return value(p, q)

    return largest
