"""Moments, and what is computed from neighbouring elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.client.numpy_surface.operands import as_operand, axes_of, axis_of, integer, lift
from gradserve.client.numpy_surface.reductions import with_dtype
from gradserve.client.numpy_surface.table import implements
from gradserve.client.origins import untraceable
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.ops.family import to_float
from gradserve.ops.functions import products, reductions, shaping


@implements(np.mean)
def mean(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Value:
    """The mean along axes."""
    x = with_dtype(g, lift(g, a), dtype)
    return with_dtype(g, reductions.mean(x, axes_of(x, axis), keepdims), dtype)


@implements(np.var)
def var(
    g: Builder,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    correction: float | None = None,
) -> Value:
    """The mean squared distance from the mean along axes."""
    x = with_dtype(g, lift(g, a), dtype)
    return reductions.var(x, axes_of(x, axis), ddof if correction is None else correction, keepdims)


@implements(np.std)
def std(
    g: Builder,
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    ddof: float = 0,
    keepdims: bool = False,
    correction: float | None = None,
) -> Value:
    """The root of the variance along axes."""
    return reductions.root(var(g, a, axis, dtype, ddof, keepdims, correction))


@implements(np.average)
def average(g: Builder, a: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Value:
    """The weighted mean along axes."""
    x = to_float(g, as_operand(g, a))
    return reductions.average(x, axes_of(x, axis), None if weights is None else as_operand(g, weights), keepdims)


@implements(np.cov)
def cov(g: Builder, m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None) -> Value:
    """The covariances between rows, or between columns."""
    x = _observations(g, m, rowvar)
    if y is not None:
        x = shaping.concatenate([x, _observations(g, y, rowvar)], axis=0)
    count = x.shape[1] - ((0 if bias else 1) if ddof is None else ddof)
    distance = g.sub(x, reductions.mean(x, 1, keepdims=True))
    return shaping.squeeze(g.div(products.inner(distance, distance), float(max(count, 0))))


def _observations(g: Builder, m: Any, rowvar: bool) -> Value:
    """The variables as rows, their observations as columns."""
    x = to_float(g, as_operand(g, m))
    if x.type.rank > 2:
        raise ValueError("m has more than 2 dimensions")
    if x.type.rank < 2:
        return g.reshape(x, (1, x.type.size))
    return x if rowvar else shaping.transpose(x)


@implements(np.corrcoef)
def corrcoef(g: Builder, x: Any, y: Any = None, rowvar: bool = True) -> Value:
    """The covariances divided by the roots of the variances."""
    covariance = cov(g, x, y, rowvar)
    if not covariance.type.rank:
        return g.div(covariance, covariance)
    n = covariance.shape[0]
    variance = shaping.part(g.reshape(covariance, (n * n,)), 0, 0, n * n, n + 1)
    deviation = g.sqrt(variance)
    quotient = g.div(g.div(covariance, g.reshape(deviation, (n, 1))), deviation)
    return g.clip(quotient, -1, 1)


@implements(np.diff)
def diff(g: Builder, a: Any, n: Any = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Value:
    """Each element less the one before it, n times."""
    x = lift(g, a)
    along = axis_of(x, axis)
    times = integer(n, "the number of differences")
    if not times:
        return x
    ends = [_end(g, x, along, end) for end in (prepend, append)]
    if any(end is not None for end in ends):
        x = shaping.concatenate([part for part in (ends[0], x, ends[1]) if part is not None], along)
    difference = g.ne if x.type.element_type is ElementType.BOOL else g.sub
    for _ in range(times):
        length = x.shape[along]
        x = difference(shaping.part(x, along, min(1, length), length), shaping.part(x, along, 0, max(length - 1, 0)))
    return x


def _end(g: Builder, x: Value, axis: int, end: Any) -> Value | None:
    if end is None:
        return None
    value = lift(g, end)
    return value if value.type.rank else g.broadcast(value, tuple(1 if k == axis else n for k, n in enumerate(x.shape)))


@implements(np.ediff1d)
def ediff1d(g: Builder, ary: Any) -> Value:
    """Each element less the one before it, in row-major order."""
    return diff(g, shaping.ravel(lift(g, ary)))


@implements(np.gradient)
def gradient(g: Builder, f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Value | list[Value]:
    """Central differences along axes, one-sided at the edges, over even spacings."""
    spacings = list(varargs)
    x = to_float(g, as_operand(g, f))
    axes = tuple(range(x.type.rank)) if axis is None else axes_of(x, axis)
    steps = [as_operand(g, spacing) for spacing in (spacings * len(axes) if len(spacings) == 1 else spacings)]
    if edge_order != 1 or any(np.ndim(step) for step in steps if not isinstance(step, Value)):
        raise untraceable("np.gradient with uneven spacing or edge_order=2 cannot be traced", "write the differences")
    slopes = [_slope(g, x, k, step) for k, step in zip(axes, steps or [1.0] * len(axes), strict=True)]
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(g: Builder, x: Value, axis: int, step: Any) -> Value:
    n = x.shape[axis]
    steps = diff(g, x, 1, axis)
    first, last = shaping.part(steps, axis, 0, 1), shaping.part(steps, axis, n - 2, n - 1)
    inner = g.mul(g.sub(shaping.part(x, axis, 2, n), shaping.part(x, axis, 0, n - 2)), 0.5)
    return g.convert(g.div(shaping.concatenate([first, inner, last], axis), step), x.type.element_type)


@implements(np.trapezoid)
def trapezoid(g: Builder, y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Value:
    """The integral of the piecewise linear function through y, over x or with spacing dx."""
    height = lift(g, y)  # of integers and truth values NumPy adds the pairs first
    along = axis_of(height, axis)
    n = height.shape[along]
    width: Any = as_operand(g, dx)
    if x is not None:
        width = diff(g, x, 1, -1 if lift(g, x).type.rank == 1 else along)
        if width.type.rank == 1:
            width = g.reshape(width, tuple(n - 1 if k == along else 1 for k in range(height.type.rank)))
    pairs = g.add(shaping.part(height, along, 1, n), shaping.part(height, along, 0, n - 1))
    return reductions.sum(g.mul(g.mul(width, pairs), 0.5), along)


@implements(np.polyval)
def polyval(g: Builder, p: Any, x: Any) -> Value:
    """The polynomial with coefficients p, highest power first, at x."""
    at, coefficients = lift(g, x), lift(g, p)
    result = g.zeros(at.type)
    for k in range(coefficients.shape[0]):
        result = g.add(g.mul(result, at), g.emit("gather", coefficients, g.constant(k), axis=0))
    return result
