"""scipy.interpolate: splines by their coefficients, and through points."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.accumulations import cumsum
from gradserve.numpy.arguments import Unsupported, to_float
from gradserve.numpy.differences import diff
from gradserve.numpy.indexing import getitem
from gradserve.numpy.joining import concatenate
from gradserve.numpy.ordering import searchsorted
from gradserve.numpy.products import tensordot
from gradserve.numpy.scipy.interpolate import along_first, placed, refuse_periodic
from gradserve.numpy.shaping import moveaxis, part
from gradserve.numpy.table import implements_scipy


@implements_scipy("interpolate.BSpline.__call__")
def b_spline(
    g: Builder, at: Any, t: Any, c: Any, k: int, extrapolate: Any = True, axis: Any = 0, *, nu: int = 0
) -> Value:
    """The spline with knots t, coefficients c and degree k, by de Boor's recursion, or its derivative of order nu.

    Below 0 it counts integrals from the first knot on.
    """
    refuse_periodic(extrapolate)
    knots, where = to_float(g, t), to_float(g, at)
    control = moveaxis(to_float(g, c), int(axis), 0)
    if control.shape[0] < knots.shape[0] - k - 1:
        raise Unsupported(f"a spline of {control.type} with {knots.type} cannot be traced", "give n coefficients")
    ends = [getitem(g, knots, j) for j in (k, knots.shape[0] - k - 1)]
    for _ in range(abs(nu)):
        knots, control, k = (_sloped if nu > 0 else _integrated)(g, knots, control, knots.shape[0] - k - 1, k)
    found = _by_recursion(g, where, knots, control, k)
    if extrapolate not in (True, None):
        beyond = g.logical_or(g.lt(where, ends[0]), g.gt(where, ends[1]))
        found = g.select(_spread(g, beyond, control), np.nan, found)
    return placed(g, found, where, c, axis)


def _by_recursion(g: Builder, where: Value, knots: Value, control: Value, k: int) -> Value:
    found = g.sub(searchsorted(knots, where, "right"), 1)
    i = g.convert(g.clip(found, k, knots.shape[0] - k - 2), ElementType.INT64)
    parts = [getitem(g, control, g.add(i, j - k)) for j in range(k + 1)]
    for r in range(1, k + 1):
        for j in range(k, r - 1, -1):
            low, high = getitem(g, knots, g.add(i, j - k)), getitem(g, knots, g.add(i, j + 1 - r))
            share = _spread(g, g.div(g.sub(where, low), g.sub(high, low)), control)
            parts[j] = g.add(g.mul(g.sub(1.0, share), parts[j - 1]), g.mul(share, parts[j]))
    return parts[k]


def _spread(g: Builder, v: Value, control: Value) -> Value:
    """What there is for each point, alike for all curves."""
    return g.reshape(v, (*v.type.shape, *(1,) * (control.type.rank - 1)))


def _sloped(g: Builder, knots: Value, control: Value, n: int, k: int) -> tuple[Value, Value, int]:
    """Knots, coefficients and degree of the derivative of a spline."""
    if not k:
        return knots, g.zeros(control.type), k
    apart = along_first(g, g.sub(part(knots, 0, k + 1, k + n), part(knots, 0, 1, n)), control)
    empty = g.eq(apart, 0)
    rises = g.div(g.mul(diff(part(control, 0, 0, n), axis=0), float(k)), g.select(empty, 1.0, apart))
    return part(knots, 0, 1, knots.shape[0] - 1), g.select(empty, 0.0, rises), k - 1


def _integrated(g: Builder, knots: Value, control: Value, n: int, k: int) -> tuple[Value, Value, int]:
    """Knots, coefficients and degree of the integral of a spline from its first knot on."""
    count = knots.shape[0]
    apart = along_first(g, g.sub(part(knots, 0, k + 1, k + 1 + n), part(knots, 0, 0, n)), control)
    areas = g.div(g.mul(part(control, 0, 0, n), apart), k + 1.0)
    longer = concatenate([part(knots, 0, 0, 1), knots, part(knots, 0, count - 1, count)])
    return longer, concatenate([g.zeros(part(areas, 0, 0, 1).type), cumsum(areas, 0)]), k + 1


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
    unit = make_interp_spline(np.asarray(x, float), np.eye(rows.shape[0]), k, t, bc_type)
    control = moveaxis(tensordot(g.constant(unit.c), rows, 1), 0, int(axis))
    return b_spline(at, unit.t, control, int(k), axis=axis, nu=nu)
