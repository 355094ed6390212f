"""scipy.interpolate: the polynomial through points, by Lagrange's products: nowhere, at points neither, is it 0 / 0."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, to_float
from gradserve.numpy.products import matmul, tensordot
from gradserve.numpy.scipy.interpolate import placed, points
from gradserve.numpy.table import implements_scipy


@implements_scipy("interpolate.BarycentricInterpolator.__call__", "interpolate.KroghInterpolator.__call__")
def polynomial(g: Builder, at: Any, xi: Any, yi: Any, axis: Any = 0, *, der: int = 0) -> Value:
    """The polynomial of least degree through points, or its derivative of order der."""
    if not isinstance(xi, Value) and len(np.unique(xi)) < np.size(xi):
        raise Unsupported(
            "a polynomial through points with derivatives cannot be traced", "use CubicHermiteSpline(x, y, dydx)"
        )
    places, rows = points(g, xi, yi, axis)
    where = to_float(g, at)
    shares = _shares(g, where, places)
    for _ in range(der):
        shares = matmul(shares, _slopes(g, places))
    return placed(g, tensordot(shares, rows, 1), where, yi, axis)


@implements_scipy("interpolate.BarycentricInterpolator.derivative", "interpolate.KroghInterpolator.derivative")
def polynomials_derivative(g: Builder, /, x: Any, der: int, *made: Any, **named: Any) -> Value:
    """Its derivative of order der."""
    return polynomial(x, *made, der=der, **named)


@implements_scipy("interpolate.lagrange.__call__")
def lagrange(g: Builder, at: Any, x: Any, w: Any) -> Value:
    """The polynomial of least degree through points."""
    return polynomial(at, x, w)


def _apart(g: Builder, places: Value) -> tuple[Value, Value]:
    """The distances of all pairs of places, which are 1 on the diagonal, and what is on the diagonal."""
    n = places.shape[0]
    apart = g.sub(g.broadcast(g.reshape(places, (n, 1)), (n, n)), g.broadcast(places, (n, n)))
    same = g.constant(np.eye(n, dtype=bool))
    return g.select(same, 1.0, apart), same


def _shares(g: Builder, where: Value, places: Value) -> Value:
    """For each number, along a new last axis, the polynomials that are 1 at one place and 0 at all others."""
    n = places.shape[0]
    apart, same = _apart(g, places)
    shape = (*where.type.shape, n, n)
    from_each = g.sub(g.broadcast(g.reshape(where, (*where.type.shape, 1)), shape[:-1]), places)
    factors = g.div(g.broadcast(g.reshape(from_each, (*where.type.shape, 1, n)), shape), g.broadcast(apart, shape))
    factors = g.select(g.broadcast(same, shape), 1.0, factors)
    return g.emit("reduce_prod", factors, axes=(len(shape) - 1,))


def _slopes(g: Builder, places: Value) -> Value:
    """The slopes at all places of the polynomials that are 1 at one of them, in columns (Berrut and Trefethen 2004)."""
    n = places.shape[0]
    apart, same = _apart(g, places)
    weights = g.emit("reduce_prod", apart, axes=(1,))
    ratios = g.div(g.broadcast(g.reshape(weights, (n, 1)), (n, n)), g.broadcast(weights, (n, n)))
    beside = g.select(same, 0.0, g.div(ratios, apart))
    sums = g.emit("reduce_sum", g.select(same, 0.0, g.div(1.0, apart)), axes=(1,))
    return g.select(same, g.broadcast(g.reshape(sums, (n, 1)), (n, n)), beside)
