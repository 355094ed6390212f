"""Roots and minima between two points, without derivatives: what Newton's method is to begin at."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gradserve.client.functions import cond, minimize, stop_gradient
from gradserve.client.functions.until import until

_MOST = 200
_EPS = float(np.finfo(float).eps)
_GOLDEN = (5**0.5 - 1) / 2
_CLOSE = 1e-8
"""How small a part of the bounds a minimum is looked for in: there is no more to see in values."""
_AT_BOUND = 1e-6


class _Bracket(NamedTuple):
    """A root lies between a, which came last, and b."""

    a: Any
    b: Any
    fa: Any
    fb: Any
    share: Any
    """Where between a and b to look next."""
    best: Any
    ended: Any


def bracketed(function: Callable[[Any], Any], a: Any, b: Any) -> Any:
    """The root between points where the function has different signs; a call where it has not is refused.

    By bisection and inverse quadratic interpolation (Chandrupatla, A new hybrid quadratic/bisection algorithm for
    finding the zero of a nonlinear function without using derivatives, 1997).
    """
    fa, fb = function(a), function(b)
    hit = (fa == 0.0) | (fb == 0.0)
    first = _Bracket(a, b, fa, fb, np.float64(0.5), np.where(fa == 0.0, a, b), hit)
    changes = (np.sign(fa) * np.sign(fb) < 0.0) | hit

    def step(state: _Bracket) -> _Bracket:
        return _narrowed(function, state)

    # Without a change of signs no number of steps ends it.
    found, _, _ = until(lambda s: s.ended & changes, step, first, _MOST, "refuse")
    return stop_gradient(found.best)


def _narrowed(function: Callable[[Any], Any], it: _Bracket) -> _Bracket:
    x = it.a + it.share * (it.b - it.a)
    fx = function(x)
    same = np.sign(fx) == np.sign(it.fa)
    c, fc = np.where(same, it.a, it.b), np.where(same, it.fa, it.fb)
    b, fb = np.where(same, it.b, it.a), np.where(same, it.fb, it.fa)
    a, fa = x, fx
    best = np.where(np.abs(fa) < np.abs(fb), a, b)
    least = (2 * _EPS * np.abs(best) + np.finfo(float).tiny) / np.abs(b - a)
    xi, phi = (a - b) / (c - b), (fa - fb) / (fc - fb)
    smooth = (phi**2 < xi) & ((1 - phi) ** 2 < 1 - xi)
    curved = fa / (fb - fa) * fc / (fb - fc) + (c - a) / (b - a) * fa / (fc - fa) * fb / (fc - fb)
    share = np.clip(np.where(smooth, curved, 0.5), np.minimum(least, 0.5), np.maximum(1 - least, 0.5))
    ended = (least > 0.5) | (np.where(best == a, fa, fb) == 0.0)
    return _Bracket(a, b, fa, fb, share, best, ended)


def lowest(function: Callable[[Any], Any], low: Any, high: Any) -> Any:
    """Where a function with one minimum between two points is smallest: inside, or at one of the points."""

    def step(state: tuple[Any, ...]) -> tuple[Any, ...]:
        """Golden section search (Kiefer, 1953)."""
        a, b, x, y, fx, fy = state
        left = fx < fy
        a, b = np.where(left, a, x), np.where(left, y, b)
        new = np.where(left, b - _GOLDEN * (b - a), a + _GOLDEN * (b - a))
        value = function(new)
        return (
            a,
            b,
            np.where(left, new, y),
            np.where(left, x, new),
            np.where(left, value, fy),
            np.where(left, fx, value),
        )

    width = high - low
    x, y = high - _GOLDEN * width, low + _GOLDEN * width
    first = (low, high, x, y, function(x), function(y))
    (a, b, *_), _, _ = until(lambda s: s[1] - s[0] <= _CLOSE * width, step, first, _MOST, "refuse")
    middle = stop_gradient((a + b) / 2)
    near = _AT_BOUND * width
    return cond(
        middle - low <= near,
        lambda: low,
        lambda: cond(high - middle <= near, lambda: high, lambda: minimize(function, middle).x),
    )
