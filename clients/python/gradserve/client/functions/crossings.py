"""Where a function of one number goes from one regime to another, as a number that moves with what decides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client.functions.custom import stop_gradient
from gradserve.client.functions.derivatives import jvp
from gradserve.client.functions.refusing import derivable
from gradserve.client.functions.until import until

_BISECTIONS = 30
_NEAR = 1e-6
"""What part of where it is looked for an end may be from there."""
_ROUNDING = 1e-12
"""What part of a value may be rounding."""
_TOUCHES = (
    "a function only touches where it jumps or an event happens, or meets it where nothing is said to move it: "
    "there is no derivative of where that is"
)


def changes(regime: Any, found: Any) -> Any:
    """Where a regime that is found is another one; what is NaN is none."""
    return (found != regime) & (found == found) & (regime == regime)


def crossing(
    on: Callable[[Any, Any], Any],
    gaps: Callable[[Any, Any, Any], Any],
    matters: Callable[[Any, Any, Any], Any],
    regime: Any,
    low: Any,
    high: Any,
) -> tuple[Any, Any]:
    """The number between two at which a regime ends, and the one behind; the higher number and itself if it does not.

    Args:
        on: from a regime and a number to the regime that follows there.
        gaps: from two regimes and a number to what is 0 where one goes to the other, element by element.
        matters: from two regimes and a number to whether something depends on where that is.
        regime: that of the lower number.
        low: the lower number, or what the way begins with.
        high: the higher one.
    """

    def halved(ends: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = ends
        middle = (low + high) / 2
        is_over = np.any(changes(regime, on(regime, middle)))
        return np.where(is_over, low, middle), np.where(is_over, middle, high)

    bounds = stop_gradient((low, high))
    (_, near), _, _ = until(lambda _: np.bool_(False), halved, bounds, _BISECTIONS, "report")
    near = stop_gradient(near)
    found = stop_gradient(on(regime, near))
    changed = changes(regime, found)
    behind = np.where(changed, found, regime)
    which = np.arange(regime.size) == np.argmax(changed)
    place = _root(lambda s: np.sum(np.where(which, gaps(regime, found, s), 0.0)), near)
    is_near = np.abs(stop_gradient(place) - near) <= _NEAR * np.abs(bounds[1] - bounds[0])
    place = np.where(np.logical_and(np.any(changed), is_near), place, near)
    is_known = np.logical_or(is_near, np.logical_not(matters(regime, behind, stop_gradient(place))))
    place = derivable([place], is_known, _TOUCHES)[0]
    # What follows from the change is seen beyond it: in it, much is equal that is so nowhere else.
    again = stop_gradient(on(behind, near))
    return place, np.where(changed | (again != again) | (regime != regime), behind, again)


def differs(one: Any, other: Any) -> Any:
    """Whether values differ by more than rounding."""
    return np.any(np.abs(one - other) > _ROUNDING * np.max(np.abs(one)))


def _root(gap: Callable[[Any], Any], near: Any) -> Any:
    """The number at which a gap closes, by two steps of Newton's method: derivatives of orders up to 3 are its own."""
    place = near
    for _ in range(2):
        value, slope = jvp(gap, (place,), (np.ones(()),))
        place = place - value / np.where(slope == 0.0, np.nan, slope)
    return place
