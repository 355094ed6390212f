"""scipy.interpolate: curves by slopes at their points, and values on grids."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, to_float
from gradserve.numpy.differences import diff
from gradserve.numpy.indexing import getitem
from gradserve.numpy.joining import concatenate
from gradserve.numpy.scipy.interpolate import (
    along_first,
    by_slopes,
    interval,
    on_pieces,
    outside,
    points,
)
from gradserve.numpy.shaping import part
from gradserve.numpy.table import implements_scipy


@implements_scipy("interpolate.CubicHermiteSpline.__call__")
def cubic_hermite_spline(
    g: Builder, at: Any, x: Any, y: Any, dydx: Any, axis: Any = 0, extrapolate: Any = None, *, nu: int = 0
) -> Value:
    """The curve of cubics through points with given slopes, or its derivative of order nu."""
    places, rows = points(g, x, y, axis)
    _, slopes = points(g, x, dydx, axis)
    return on_pieces(g, at, by_slopes(g, places, rows, slopes), places, y, axis, extrapolate, nu)


@implements_scipy("interpolate.PchipInterpolator.__call__")
def pchip(g: Builder, at: Any, x: Any, y: Any, axis: Any = 0, extrapolate: Any = None, *, nu: int = 0) -> Value:
    """The curve of cubics through points that rises and falls with them alone, or its derivative of order nu."""
    places, rows = points(g, x, y, axis)
    slopes = _monotone(g, places, rows)
    return on_pieces(g, at, by_slopes(g, places, rows, slopes), places, y, axis, extrapolate, nu)


def _monotone(g: Builder, places: Value, rows: Value) -> Value:
    """Harmonic means of the slopes on both sides, and 0 where these have not one sign (Fritsch and Butland 1984)."""
    n = places.shape[0]
    steps = along_first(g, diff(places), rows)
    slopes = g.div(diff(rows, axis=0), steps)
    if n == 2:
        return concatenate([slopes, slopes])
    h, k = part(steps, 0, 0, n - 2), part(steps, 0, 1, n - 1)
    left, right = part(slopes, 0, 0, n - 2), part(slopes, 0, 1, n - 1)
    alike = g.gt(g.mul(g.sign(left), g.sign(right)), 0)
    a, b = g.add(g.mul(k, 2.0), h), g.add(k, g.mul(h, 2.0))
    p, q = g.select(alike, left, 1.0), g.select(alike, right, 1.0)
    mean = g.div(g.add(a, b), g.add(g.div(a, p), g.div(b, q)))
    ends = [
        _end_slope(g, *(part(v, 0, j, j + 1) for v in (steps, slopes) for j in pair))
        for pair in ((0, 1), (n - 2, n - 3))
    ]
    return concatenate([ends[0], g.select(alike, mean, 0.0), ends[1]])


def _end_slope(g: Builder, own: Value, other: Value, first: Value, second: Value) -> Value:
    """Of the parabola through three points, kept from turning."""
    slope = g.div(g.sub(g.mul(g.add(g.mul(own, 2.0), other), first), g.mul(own, second)), g.add(own, other))
    turns = g.ne(g.sign(slope), g.sign(first))
    steep = g.logical_and(g.ne(g.sign(first), g.sign(second)), g.gt(g.abs(slope), g.mul(g.abs(first), 3.0)))
    return g.select(turns, 0.0, g.select(steep, g.mul(first, 3.0), slope))


@implements_scipy("interpolate.Akima1DInterpolator.__call__")
def akima(
    g: Builder,
    at: Any,
    x: Any,
    y: Any,
    axis: Any = 0,
    *,
    method: str = "akima",
    extrapolate: Any = None,
    nu: int = 0,
) -> Value:
    """The curve of cubics through points by Akima's slopes, or by those of 'makima', or its derivative of order nu."""
    if method not in ("akima", "makima"):
        raise Unsupported(f"a curve of Akima's by method={method!r} cannot be traced", "write 'akima' or 'makima'")
    places, rows = points(g, x, y, axis)
    slopes = _akimas_slopes(g, places, rows, method == "makima")
    beyond = False if extrapolate is None else extrapolate
    return on_pieces(g, at, by_slopes(g, places, rows, slopes), places, y, axis, beyond, nu)


def _akimas_slopes(g: Builder, places: Value, rows: Value, is_modified: bool) -> Value:
    """Means of the slopes on both sides, each weighted by how the slopes change beyond the other (Akima 1970)."""
    n = places.shape[0]
    inner = g.div(diff(rows, axis=0), along_first(g, diff(places), rows))
    if n == 2:
        return concatenate([inner, inner])
    first, second, last, before = (part(inner, 0, j, j + 1) for j in (0, 1, n - 2, n - 3))
    rise, fall = g.sub(first, second), g.sub(last, before)
    ends = [g.add(first, g.mul(rise, 2.0)), g.add(first, rise), g.add(last, fall), g.add(last, g.mul(fall, 2.0))]
    m = concatenate([*ends[:2], inner, *ends[2:]])
    changes = g.abs(diff(m, axis=0))
    if is_modified:
        changes = g.add(changes, g.mul(g.abs(g.add(part(m, 0, 1, n + 3), part(m, 0, 0, n + 2))), 0.5))
    left, right = part(m, 0, 1, n + 1), part(m, 0, 2, n + 2)
    after, both = part(changes, 0, 0, n), g.add(part(changes, 0, 0, n), part(changes, 0, 2, n + 2))
    largest = g.emit("reduce_max", both, axes=tuple(range(both.type.rank)))
    is_defined = g.gt(both, g.broadcast(g.mul(largest, 1e-9), both.shape))
    share = g.div(after, g.select(is_defined, both, 1.0))
    middle = g.mul(g.add(part(m, 0, 3, n + 3), part(m, 0, 0, n)), 0.5)
    return g.select(is_defined, g.add(left, g.mul(share, g.sub(right, left))), middle)


@implements_scipy("interpolate.RegularGridInterpolator.__call__")
def regular_grid(
    g: Builder,
    at: Any,
    points: Any,
    values: Any,
    method: str = "linear",
    bounds_error: bool = True,
    fill_value: Any = np.nan,
) -> Value:
    """The values between points of a grid, one coordinate for each axis along the last of `at`; 'linear' or 'nearest'.

    Outside it is NaN where SciPy refuses, or `fill_value`, or extrapolated for None. On the grid the slope is that on
    its right.
    """
    if method not in ("linear", "nearest"):
        raise Unsupported(f"RegularGridInterpolator of method {method!r} cannot be traced", "use 'linear' or 'nearest'")
    grid, rows = [to_float(g, p) for p in points], to_float(g, values)
    where = _coordinates(g, at, len(grid))
    lows = [interval(g, places, x) for places, x in zip(grid, where, strict=True)]
    ends = [(getitem(g, p, k), getitem(g, p, g.add(k, 1))) for p, k in zip(grid, lows, strict=True)]
    shares = [g.div(g.sub(x, low), g.sub(high, low)) for x, (low, high) in zip(where, ends, strict=True)]
    if method == "nearest":
        found = getitem(
            g, rows, tuple(g.select(g.le(s, 0.5), k, g.add(k, 1)) for s, k in zip(shares, lows, strict=True))
        )
    else:
        found = _corners(g, rows, lows, shares)
    if fill_value is None and not bounds_error:
        return found
    for places, x in zip(grid, where, strict=True):
        beyond = outside(g, places, x)
        column = g.reshape(beyond, (*beyond.type.shape, *(1,) * (found.type.rank - beyond.type.rank)))
        found = g.select(column, np.nan if bounds_error else fill_value, found)
    return found


@implements_scipy("interpolate.interpn")
def interpn(
    g: Builder,
    points: Any,
    values: Any,
    xi: Any,
    method: str = "linear",
    bounds_error: bool = True,
    fill_value: Any = np.nan,
) -> Value:
    """The values between points of a grid; see RegularGridInterpolator."""
    return regular_grid(xi, points, values, method, bounds_error, fill_value)


def _coordinates(g: Builder, at: Any, count: int) -> list[Value]:
    if isinstance(at, tuple):
        return list(g.align(g.promote([to_float(g, v) for v in at])))
    where = to_float(g, at)
    if count == 1 and (not where.type.rank or where.shape[-1] != 1):
        return [where]
    if where.shape[-1] != count:
        raise ValueError(f"The requested sample points xi have dimension {where.shape[-1]} but this has {count}")
    return [getitem(g, where, (..., k)) for k in range(count)]


def _corners(g: Builder, rows: Value, lows: Sequence[Value], shares: Sequence[Value]) -> Value:
    """The corners of a cell, weighted by the volumes opposite."""
    total: Value | None = None
    for corner in itertools.product((0, 1), repeat=len(lows)):
        weight: Any = 1.0
        for side, share in zip(corner, shares, strict=True):
            weight = g.mul(share if side else g.sub(1.0, share), weight)
        values = getitem(g, rows, tuple(g.add(k, side) if side else k for k, side in zip(lows, corner, strict=True)))
        column = g.reshape(weight, (*weight.type.shape, *(1,) * (values.type.rank - weight.type.rank)))
        term = g.mul(values, column)
        total = term if total is None else g.add(total, term)
    assert total is not None
    return total
