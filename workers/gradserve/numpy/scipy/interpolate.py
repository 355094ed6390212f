"""scipy.interpolate: curves through points, which may be traced as well as where they are asked for.

What SciPy makes in two steps, a curve of points and then its values, is one function here: of where it is asked for and
then of what the curve is made of.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.accumulations import cumsum
from gradserve.numpy.arguments import Unsupported, axis_of, refuse, to_float
from gradserve.numpy.differences import diff
from gradserve.numpy.indexing import getitem
from gradserve.numpy.joining import concatenate
from gradserve.numpy.ordering import searchsorted
from gradserve.numpy.shaping import moveaxis, part, ravel
from gradserve.numpy.systems import solve
from gradserve.numpy.table import implements_scipy


def points(g: Builder, x: Any, y: Any, axis: Any) -> tuple[Value, Value]:
    """Where the points are, and their values along the first axis."""
    values = to_float(g, y)
    places = to_float(g, x)
    rows = moveaxis(values, axis_of(values, axis, "a curve"), 0)
    if places.type.rank != 1 or places.shape[0] != rows.shape[0]:
        refuse(g, "a curve", f"{places.type} are no places for {rows.type}")
    return places, rows


def interval(g: Builder, places: Value, at: Value, side: str = "right", first: int = 0, beyond: int = 1) -> Value:
    """The number of the interval that each point is in; the outermost ones reach beyond their ends."""
    found = g.sub(searchsorted(places, at, side), 1)
    last = places.shape[0] - 1 - beyond
    return g.convert(g.clip(found, first, max(first, last)), ElementType.INT64)


def along_first(g: Builder, v: Value, rows: Value) -> Value:
    """A vector along the first axis of rows."""
    return g.reshape(v, (*v.type.shape, *(1,) * (rows.type.rank - 1)))


def outside(g: Builder, places: Value, at: Value) -> Value:
    """Whether each number is before the first place or behind the last."""
    n = places.shape[0]
    return g.logical_or(g.lt(at, getitem(g, places, 0)), g.gt(at, getitem(g, places, n - 1)))


def placed(g: Builder, found: Value, at: Value, values: Any, axis: Any) -> Value:
    """The axes of what was asked for in the place of the curve's axis."""
    rank = to_float(g, values).type.rank
    along = int(axis) % rank
    return moveaxis(found, tuple(range(at.type.rank)), tuple(range(along, along + at.type.rank)))


def refuse_periodic(extrapolate: Any) -> None:
    """Refuses a curve that goes on periodically."""
    if isinstance(extrapolate, str):
        raise Unsupported(f"a curve with extrapolate={extrapolate!r} cannot be traced", "take x modulo the period")


@implements_scipy("interpolate.interp1d.__call__")
def interp1d(
    g: Builder,
    at: Any,
    x: Any,
    y: Any,
    kind: str = "linear",
    axis: Any = -1,
    copy: bool = True,
    bounds_error: bool | None = None,
    fill_value: Any = None,
    assume_sorted: bool = False,
) -> Value:
    """The values between points: 'linear', 'nearest', 'previous', 'next' or 'cubic'.

    Outside it is NaN, where SciPy refuses unless told otherwise; or `fill_value`, or 'extrapolate'.
    """
    if kind == "cubic":
        found = cubic_spline(at, x, y, axis)
        return _filled(g, found, to_float(g, at), *points(g, x, y, axis), fill_value)
    places, rows = points(g, x, y, axis)
    where = to_float(g, at)
    if kind == "linear":
        k = interval(g, places, where)
        low, high = getitem(g, places, k), getitem(g, places, g.add(k, 1))
        share = g.div(g.sub(where, low), g.sub(high, low))
        share = g.reshape(share, (*share.type.shape, *(1,) * (rows.type.rank - 1)))
        below, above = getitem(g, rows, k), getitem(g, rows, g.add(k, 1))
        found = g.add(below, g.mul(share, g.sub(above, below)))
    elif kind in ("previous", "next"):
        side, shift = ("right", 0) if kind == "previous" else ("left", 1)
        found = getitem(g, rows, g.add(interval(g, places, where, side, -shift, 0), shift))
    elif kind == "nearest":
        n = places.shape[0]
        middles = g.add(part(places, 0, 0, n - 1), g.mul(diff(places), 0.5))
        found = getitem(g, rows, g.convert(searchsorted(middles, where, "left"), ElementType.INT64))
    else:
        raise Unsupported(f"interp1d of kind {kind!r} cannot be traced", "use 'linear', 'cubic' or 'nearest'")
    return _filled(g, placed(g, found, where, y, axis), where, places, rows, fill_value)


def _filled(g: Builder, found: Value, at: Value, places: Value, rows: Value, fill: Any) -> Value:
    if isinstance(fill, str):
        return found
    if rows.type.rank > 1:
        raise Unsupported("interp1d of several curves without 'extrapolate' cannot be traced", "say 'extrapolate'")
    below, above = fill if isinstance(fill, tuple) else (fill, fill)
    ends = getitem(g, places, 0), getitem(g, places, places.shape[0] - 1)
    found = g.select(g.lt(at, ends[0]), np.nan if below is None else below, found)
    return g.select(g.gt(at, ends[1]), np.nan if above is None else above, found)


@implements_scipy("interpolate.CubicSpline.__call__")
def cubic_spline(
    g: Builder,
    at: Any,
    x: Any,
    y: Any,
    axis: Any = 0,
    bc_type: Any = "not-a-knot",
    extrapolate: bool | None = None,
    *,
    nu: int = 0,
) -> Value:
    """The cubic spline through points, or its derivative of order nu.

    Its ends are 'not-a-knot', 'natural' or 'clamped', or a pair of these or of (order, value) of a derivative.
    """
    places, rows = points(g, x, y, axis)
    coefficients = _coefficients(g, places, rows, bc_type)
    return on_pieces(g, at, coefficients, places, y, axis, extrapolate, nu)


def on_pieces(
    g: Builder, at: Any, coefficients: list[Value], places: Value, y: Any, axis: Any, extrapolate: Any, nu: int
) -> Value:
    """The values of a curve of polynomials on intervals, in the place of the axis that y has its points on."""
    refuse_periodic(extrapolate)
    where = to_float(g, at)
    found = _piecewise(g, where, coefficients, places, nu)
    if extrapolate is False:
        nothing = outside(g, places, where)
        column = g.reshape(nothing, (*where.type.shape, *(1,) * (coefficients[0].type.rank - 1)))
        found = g.select(column, np.nan, found)
    return placed(g, found, where, y, axis)


@implements_scipy("interpolate.PPoly.__call__")
def ppoly(g: Builder, at: Any, c: Any, x: Any, extrapolate: Any = None, *, nu: int = 0) -> Value:
    """Polynomials on intervals, the highest power first along the first axis of c, or their derivatives of order nu."""
    refuse_periodic(extrapolate)
    where, places, whole = to_float(g, at), to_float(g, x), to_float(g, c)
    parts = [getitem(g, whole, k) for k in range(whole.shape[0])]
    found = _piecewise(g, where, parts, places, nu)
    if extrapolate is not False:
        return found
    nothing = outside(g, places, where)
    return g.select(g.reshape(nothing, (*where.type.shape, *(1,) * (whole.type.rank - 2))), np.nan, found)


def _piecewise(g: Builder, at: Value, coefficients: list[Value], places: Value, nu: int = 0) -> Value:
    """Polynomials in the distance from the beginning of each interval, the highest power first.

    Or their derivatives of order nu; below 0 it counts integrals from the first place on.
    """
    for _ in range(-nu):
        coefficients = _integrated(g, coefficients, places)
    nu = max(nu, 0)
    k = interval(g, places, at)
    distance = g.sub(at, getitem(g, places, k))
    extra = coefficients[0].type.rank - 1
    distance = g.reshape(distance, (*distance.type.shape, *(1,) * extra))
    degree = len(coefficients) - 1
    total: Value | None = None
    for power, each in zip(range(degree, -1, -1), coefficients, strict=True):
        if power < nu:
            break
        factor = float(np.prod(np.arange(power, power - nu, -1)))
        term = g.mul(getitem(g, each, k), factor)
        total = term if total is None else g.add(g.mul(total, distance), term)
    if total is None:
        return g.mul(getitem(g, coefficients[0], k), 0.0)
    return total


def _integrated(g: Builder, coefficients: list[Value], places: Value) -> list[Value]:
    """The polynomials whose derivatives these are, each of which begins where the one before it ends."""
    steps = along_first(g, diff(places), coefficients[0])
    degree = len(coefficients)
    raised = [g.div(c, float(degree - j)) for j, c in enumerate(coefficients)]
    area: Value = raised[0]
    for c in raised[1:]:
        area = g.add(g.mul(area, steps), c)
    ends = cumsum(g.mul(area, steps), 0)
    starts = concatenate([g.zeros(part(ends, 0, 0, 1).type), part(ends, 0, 0, ends.shape[0] - 1)])
    return [*raised, starts]


def _coefficients(g: Builder, places: Value, rows: Value, bc_type: Any) -> list[Value]:
    """Those of the cubic on each interval, from its slopes at the points (de Boor 1978, chapter IV)."""
    n = places.shape[0]
    if n < 2:
        raise ValueError("`x` must contain at least 2 elements.")
    steps = along_first(g, diff(places), rows)
    slopes = g.div(diff(rows, axis=0), steps)
    return by_slopes(g, places, rows, _slopes(g, places, rows, diff(places), slopes, bc_type))


def by_slopes(g: Builder, places: Value, rows: Value, at_points: Value) -> list[Value]:
    """The coefficients of the cubics through points with given slopes there."""
    n = places.shape[0]
    steps = along_first(g, diff(places), rows)
    slopes = g.div(diff(rows, axis=0), steps)
    first, second = part(at_points, 0, 0, n - 1), part(at_points, 0, 1, n)
    bend = g.div(g.sub(g.add(first, second), g.mul(slopes, 2.0)), steps)
    return [g.div(bend, steps), g.sub(g.div(g.sub(slopes, first), steps), bend), first, part(rows, 0, 0, n - 1)]


def _slopes(g: Builder, places: Value, rows: Value, steps: Value, slopes: Value, bc_type: Any) -> Value:
    n = places.shape[0]
    left, right = bc_type if isinstance(bc_type, tuple | list) else (bc_type, bc_type)
    if n <= 3 and left == right == "not-a-knot":
        return _slopes_of_few(g, rows, steps, slopes)
    h = [getitem(g, steps, k) for k in (0, 1, n - 3, n - 2)] if n > 2 else [getitem(g, steps, 0)] * 4
    ends = [_end(g, left, (h[0], h[1]), slopes, n, 1), _end(g, right, (h[3], h[2]), slopes, n, -1)]
    before, after = part(steps, 0, 1, n - 1), part(steps, 0, 0, n - 2)
    middle = g.mul(g.add(before, after), 2.0)
    entries = concatenate([ravel(v) for v in (*ends[0][0], before, middle, after, *ends[1][0])])
    matrix = g.reshape(g.emit("scatter_add", entries, _where(n), axis=0, length=n * n), (n, n))
    a, b = (along_first(g, v, rows) for v in (before, after))
    inside = g.mul(g.add(g.mul(a, part(slopes, 0, 0, n - 2)), g.mul(b, part(slopes, 0, 1, n - 1))), 3.0)
    rights = [g.reshape(v, (1, *rows.type.shape[1:])) for v in (ends[0][1], ends[1][1])]
    return solve(matrix, concatenate([rights[0], inside, rights[1]]))


def _where(n: int) -> Any:
    """Where the entries of the system stand: of the first row, of the three diagonals, of the last row."""
    i = np.arange(1, n - 1)
    last = (n - 1) * n + n - 1
    return np.concatenate([[0, 1], i * n + i - 1, i * n + i, i * n + i + 1, [last, last - 1]])


def _end(
    g: Builder, kind: Any, steps: tuple[Value, Value], slopes: Value, n: int, side: int
) -> tuple[tuple[Value, Value], Value]:
    """The two entries of an end's row, from the outer one inwards, and its right-hand side."""
    own, other = steps
    at = 0 if side > 0 else n - 2
    first = getitem(g, slopes, at)
    if kind == "not-a-knot":
        both = g.add(own, other)
        second = getitem(g, slopes, at + side)
        near = g.mul(g.mul(g.add(own, g.mul(both, 2.0)), other), first)
        return (other, both), g.div(g.add(near, g.mul(g.mul(own, own), second)), both)
    order, value = {"natural": (2, 0.0), "clamped": (1, 0.0)}.get(kind, (0, 0.0)) if isinstance(kind, str) else kind
    if order == 1:
        one = g.full(own.type, 1)
        return (one, g.full(own.type, 0)), g.add(g.mul(first, 0.0), value)
    if order != 2:
        raise Unsupported(f"a spline with the ends {kind!r} cannot be traced", "use 'natural', 'clamped' or their like")
    bend = g.mul(g.mul(own, own), g.mul(to_float(g, value), -0.5 * side))
    return (g.mul(own, 2.0), own), g.add(g.mul(g.mul(first, own), 3.0), bend)


def _slopes_of_few(g: Builder, rows: Value, steps: Value, slopes: Value) -> Value:
    """Of the line through two points, or the parabola through three."""
    if rows.shape[0] == 2:
        return concatenate([slopes, slopes])
    h, k = (along_first(g, part(steps, 0, j, j + 1), rows) for j in (0, 1))
    one, two = part(slopes, 0, 0, 1), part(slopes, 0, 1, 2)
    bend = g.div(g.sub(two, one), g.add(h, k))
    return concatenate([g.sub(one, g.mul(bend, h)), g.add(one, g.mul(bend, h)), g.add(two, g.mul(bend, k))])
