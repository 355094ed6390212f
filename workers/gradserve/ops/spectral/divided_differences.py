"""Divided differences f[x0, ..., xk] of any order, right however near the points are to each other.

f[x] = f(x), and f[x0, ..., xk] = (f[x1, ..., xk] - f[x0, ..., xk-1]) / (xk - x0); at k + 1 equal points it is the k-th
derivative over k!. The quotient loses digits where points are near. There the Taylor series at their mean c is summed
instead: f[x0, ..., xk] is the sum of its coefficients a_m, m >= k, times the complete homogeneous symmetric polynomial
of degree m - k in the x - c (C. de Boor, "Divided differences", Surveys in Approximation Theory 1, 2005).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from itertools import islice, pairwise
from typing import Any, TypeAlias

from gradserve.ops.spectral.scalar_functions import ScalarFunction

NEAR = 0.05
"""Points are near if they spread over less than this part of the function's radius at their mean."""
TERMS = 11
"""Terms of the series that are summed: the next is below 1e-13 of the first."""


Series: TypeAlias = Callable[[Sequence[Any], Any], Any]
"""A sum of the series, of points and their mean."""
Blend: TypeAlias = Callable[[Any, Any, Series, Sequence[Any], Any], Any]
"""Of truth values, what holds where they are false, and the series with its points and their mean, for the others."""


def everywhere(xp: Any) -> Blend:
    """Both are computed at all points."""
    return lambda near, apart, series, points, center: xp.where(near, series(points, center), apart)


def divided_difference(
    xp: Any, function: ScalarFunction, parameter: float, points: Sequence[Any], blend: Blend | None = None
) -> Any:
    """f[x0, ..., xk] for arrays of points of one shape."""
    if len(points) == 1:
        return function.value(xp, points[0], parameter)
    if len(points) == 2:
        return function.slope(xp, points[0], points[1], parameter)
    # In two axes, as NumPy sorts no array of more than 32.
    apart = [xp.reshape(x, (math.prod(x.shape),)) for x in points]
    ordered = xp.sort(xp.stack(apart, axis=-1), axis=-1)
    ascending = [xp.reshape(ordered[:, k], points[0].shape) for k in range(len(points))]
    return _ascending(xp, function, parameter, ascending, blend or everywhere(xp))


def _ascending(xp: Any, function: ScalarFunction, parameter: float, points: list[Any], blend: Blend) -> Any:
    """As `divided_difference`, for points that ascend."""
    found = [function.slope(xp, *pair, parameter) for pair in pairwise(points)]
    for count in range(3, len(points) + 1):  # of so many points next to each other, from those of one less
        runs = [points[k : k + count] for k in range(len(points) - count + 1)]
        both = zip(runs, pairwise(found), strict=True)
        found = [_of_more(xp, function, parameter, run, earlier, later, blend) for run, (earlier, later) in both]
    return found[0]


def _of_more(
    xp: Any, function: ScalarFunction, parameter: float, points: list[Any], earlier: Any, later: Any, blend: Blend
) -> Any:
    """The difference at ascending points, from those without the last and without the first of them."""
    spread = points[-1] - points[0]
    if function.series is None:
        # Of straight pieces: points on one of them, apart or not, have no difference of the second order. At a kink
        # the first derivative is taken by convention, and the second is not there.
        at_kink = sum(xp.astype(x == 0, x.dtype) for x in points) >= 2
        straight = xp.where(later == earlier, xp.zeros_like(spread), (later - earlier) / spread)
        return xp.where(at_kink, xp.full_like(spread, xp.nan), straight)
    center = sum(points[1:], points[0]) * (1.0 / len(points))
    near = spread <= NEAR * function.radius(xp, center)
    apart = (later - earlier) / xp.where(near, xp.ones_like(spread), spread)
    return blend(near, apart, partial(_by_series, xp, function, parameter), points, center)


def _by_series(xp: Any, function: ScalarFunction, parameter: float, points: Sequence[Any], center: Any) -> Any:
    assert function.series is not None
    order = len(points) - 1
    coefficients = islice(function.series(xp, center, parameter), order, order + TERMS)
    offsets = [x - center for x in points]
    # symmetric[i] is the polynomial of the current degree in the offsets 0 to i.
    symmetric = [xp.ones_like(center)] * len(offsets)
    total = xp.zeros_like(center)
    for coefficient in coefficients:
        total = total + coefficient * symmetric[-1]
        before = xp.zeros_like(center)
        raised = []
        for offset, same in zip(offsets, symmetric, strict=True):
            before = before + offset * same
            raised.append(before)
        symmetric = raised
    return total
