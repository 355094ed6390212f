"""Splines that give in to curvature, at the cost of a distance from the points (Reinsch, 1967)."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, as_operand, to_real
from gradserve.numpy.matrices import diag
from gradserve.numpy.products import matmul
from gradserve.numpy.scipy.interpolate import cubic_spline, points
from gradserve.numpy.shaping import moveaxis
from gradserve.numpy.systems import solve
from gradserve.numpy.table import implements_scipy


@implements_scipy("interpolate.make_smoothing_spline.__call__")
def smoothing_spline(
    g: Builder,
    at: Any,
    x: Any,
    y: Any,
    w: Any = None,
    lam: Any = None,
    axis: Any = 0,
    extrapolate: bool | None = None,
    *,
    nu: int = 0,
) -> Value:
    """The spline for which weighted squares of distances and lam times the integral of squared curvature are least.

    The lam must be given: SciPy would choose it by the numbers.
    """
    if lam is None:
        raise Unsupported("make_smoothing_spline that chooses lam by the numbers cannot be traced", "give lam")
    places, rows = points(g, x, y, axis)
    values = _smoothed(g, places, rows, w, to_real(g, as_operand(g, lam), "make_smoothing_spline"))
    return cubic_spline(at, places, moveaxis(values, 0, axis), axis, "natural", extrapolate, nu=nu)


def _smoothed(g: Builder, places: Value, rows: Value, w: Any, lam: Value) -> Value:
    """The values of the spline in its places: curvatures solve a system of second differences."""
    n, dtype = places.shape[0], places.type.element_type.dtype
    flat = g.reshape(rows, (n, rows.type.size // n))
    differences, sums = (np.eye(n - 1, n, 1) + sign * np.eye(n - 1, n) for sign in (-1.0, 1.0))
    first, second, both = (
        g.constant(matrix.astype(dtype)) for matrix in (differences, differences[:-1, :-1], sums[:-1, :-1])
    )
    steps = matmul(first, places)
    bent = matmul(second, matmul(diag(g.div(1.0, steps)), first))
    inner = matmul(matmul(both, diag(steps)), moveaxis(both, 0, 1))
    inner = g.div(g.add(inner, diag(matmul(both, steps))), 6.0)
    turned = moveaxis(bent, 0, 1)
    if w is not None:
        weights = to_real(g, as_operand(g, w), "make_smoothing_spline")
        turned = g.div(turned, g.broadcast(g.reshape(weights, (n, 1)), turned.type.shape))
    curvatures = solve(g.add(inner, g.mul(matmul(bent, turned), lam)), matmul(bent, flat))
    return g.reshape(g.sub(flat, g.mul(matmul(turned, curvatures), lam)), rows.type.shape)
