"""scipy.interpolate: splines by their coefficients, and through points."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported, to_float
from gradserve.numpy.differences import diff
from gradserve.numpy.indexing import getitem
from gradserve.numpy.ordering import searchsorted
from gradserve.numpy.products import matmul
from gradserve.numpy.scipy.interpolate import refuse_periodic
from gradserve.numpy.shaping import moveaxis, part
from gradserve.numpy.table import implements_scipy


@implements_scipy("interpolate.BSpline.__call__")
def b_spline(
    g: Builder, at: Any, t: Any, c: Any, k: int, extrapolate: Any = True, axis: Any = 0, *, nu: int = 0
) -> Value:
    """The spline with knots t, coefficients c and degree k, by de Boor's recursion, or its derivative of order nu."""
    refuse_periodic(extrapolate)
    knots, control = to_float(g, t), to_float(g, c)
    where = to_float(g, at)
    n = knots.shape[0] - k - 1
    if control.type.rank != 1 or control.shape[0] < n:
        raise Unsupported(f"a spline of {control.type} with {knots.type} cannot be traced", "give n coefficients")
    for _ in range(nu):
        knots, control, k = _sloped(g, knots, control, n, k)
        n = knots.shape[0] - k - 1
    found = g.sub(searchsorted(knots, where, "right"), 1)
    i = g.convert(g.clip(found, k, n - 1), ElementType.INT64)
    parts = [getitem(g, control, g.add(i, j - k)) for j in range(k + 1)]
    for r in range(1, k + 1):
        for j in range(k, r - 1, -1):
            low, high = getitem(g, knots, g.add(i, j - k)), getitem(g, knots, g.add(i, j + 1 - r))
            share = g.div(g.sub(where, low), g.sub(high, low))
            parts[j] = g.add(g.mul(g.sub(1.0, share), parts[j - 1]), g.mul(share, parts[j]))
    if extrapolate in (True, None):
        return parts[k]
    beyond = g.logical_or(g.lt(where, getitem(g, knots, k)), g.gt(where, getitem(g, knots, n)))
    return g.select(beyond, np.nan, parts[k])


def _sloped(g: Builder, knots: Value, control: Value, n: int, k: int) -> tuple[Value, Value, int]:
    """Knots, coefficients and degree of the derivative of a spline."""
    if not k:
        return knots, g.zeros(control.type), k
    apart = g.sub(part(knots, 0, k + 1, k + n), part(knots, 0, 1, n))
    empty = g.eq(apart, 0)
    rises = g.div(g.mul(diff(part(control, 0, 0, n)), float(k)), g.select(empty, 1.0, apart))
    return part(knots, 0, 1, knots.shape[0] - 1), g.select(empty, 0.0, rises), k - 1


@implements_scipy("interpolate.make_interp_spline.__call__")
def interpolating_spline(
    g: Builder, at: Any, x: Any, y: Any, k: int = 3, t: Any = None, bc_type: Any = None, axis: Any = 0, *, nu: int = 0
) -> Value:
    """The spline of degree k through points at known places, or its derivative of order nu: linear in their values."""
    if isinstance(x, Value) or isinstance(t, Value):
        raise Unsupported(
            "make_interp_spline of traced places cannot be traced", "use CubicSpline(x, y), which takes them"
        )
    from scipy.interpolate import make_interp_spline  # whoever makes one by its name has SciPy

    rows = moveaxis(to_float(g, y), int(axis), 0)
    n = rows.shape[0]
    if rows.type.rank != 1:
        raise Unsupported("make_interp_spline of several curves cannot be traced", "make one for each column")
    unit = make_interp_spline(np.asarray(x, float), np.eye(n), k, t, bc_type)
    return b_spline(at, unit.t, matmul(g.constant(unit.c), rows), int(k), nu=nu)
