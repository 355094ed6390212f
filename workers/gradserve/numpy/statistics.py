"""Means, variances and covariances."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType, TensorType
from gradserve.numpy.arguments import Unsupported, axes_of, lift, reduced_axes, refuse, to_float, with_dtype
from gradserve.numpy.joining import concatenate
from gradserve.numpy.products import inner
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.shaping import part, squeeze, transpose
from gradserve.numpy.table import implements
from gradserve.ops.elementwise.parts import conjugate, squared_size
from gradserve.ops.movement.shapes import permuted


@implements(np.mean)
def mean(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False, where: Any = True) -> Value:
    """The mean along axes, of the elements where a condition holds."""
    x = to_float(g, with_dtype(g, lift(g, a), dtype))
    axes = reduced_axes(x, axis, "mean")
    if where is True:
        return with_dtype(g, g.div(sum_along(x, axes, keepdims=keepdims), float(_count(x, axes))), dtype)
    count = sum_along(g.broadcast(lift(g, where), x.type.shape), axes, keepdims=keepdims)
    total = sum_along(x, axes, keepdims=keepdims, where=where)
    return with_dtype(g, g.div(total, g.convert(count, x.type.element_type)), dtype)


def _count(x: Value, axes: tuple[int, ...]) -> int:
    return math.prod(x.shape[axis] for axis in axes)


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
    x = to_float(g, with_dtype(g, lift(g, a), dtype))
    if dtype is not None and not ElementType.of(dtype).is_float:
        raise Unsupported("a variance of whole numbers cannot be traced", "leave dtype out, and convert the result")
    axes = reduced_axes(x, axis, "var")
    distance = g.sub(x, mean(x, axes, keepdims=True))
    squares = sum_along(squared_size(g, distance), axes, keepdims=keepdims)
    # No more elements than ddof: division by zero, and so NaN, as in NumPy.
    return g.div(squares, float(max(_count(x, axes) - (ddof if correction is None else correction), 0)))


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
    return root(var(lift(g, a), axis, dtype, ddof, keepdims, correction))


def root(square: Value) -> Value:
    """The root of a sum of squares; its derivative at 0 is 0, the shortest of the subgradients of a norm there."""
    g = square.builder
    vanishes = g.eq(square, 0)
    return g.select(vanishes, 0, g.sqrt(g.select(vanishes, 1, square)))


@implements(np.average)
def average(g: Builder, a: Any, axis: Any = None, weights: Any = None, keepdims: bool = False) -> Value:
    """The weighted mean along axes."""
    x = to_float(g, a)
    if weights is None:
        return mean(x, axis, keepdims=keepdims)
    weight, given = lift(g, weights), axes_of(x, axis, "average")
    axes = tuple(sorted(given))
    if weight.type.shape != x.type.shape:
        if weight.type.shape != tuple(x.type.shape[k] for k in given):
            refuse(g, "average", f"weights {weight.type} do not fit {x.type} along axes {given}")
        weight = permuted(g, weight, tuple(map(given.index, axes)))  # their axes come in the order given
        weight = g.reshape(weight, tuple(n if k in axes else 1 for k, n in enumerate(x.type.shape)))
        weight = g.broadcast(weight, x.type.shape)
    total = sum_along(g.mul(x, weight), axes, keepdims=keepdims)
    return g.div(total, sum_along(weight, axes, keepdims=keepdims))


@implements(np.cov)
def cov(g: Builder, m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None) -> Value:
    """The covariances between rows, or between columns."""
    x = _observations(g, m, rowvar)
    if y is not None:
        x = concatenate([x, _observations(g, y, rowvar)], axis=0)
    if not x.shape[0]:
        return g.zeros(TensorType(ElementType.FLOAT64, (0, 0)))  # as NumPy's, of complex variables too
    count = x.shape[1] - ((0 if bias else 1) if ddof is None else ddof)
    distance = g.sub(x, mean(x, 1, keepdims=True))
    return squeeze(g.div(inner(distance, conjugate(g, distance)), float(max(count, 0))))


def _observations(g: Builder, m: Any, rowvar: bool) -> Value:
    """The variables as rows, their observations as columns; in double precision, as in NumPy."""
    x = lift(g, m)
    x = g.convert(x, ElementType.COMPLEX128 if x.type.is_complex else ElementType.FLOAT64)
    if x.type.rank > 2:
        raise ValueError("m has more than 2 dimensions")
    if x.type.rank < 2:
        return g.reshape(x, (1, x.type.size))
    return x if rowvar else transpose(x)


@implements(np.corrcoef)
def corrcoef(g: Builder, x: Any, y: Any = None, rowvar: bool = True) -> Value:
    """The covariances divided by the roots of the variances."""
    covariance = cov(x, y, rowvar)
    if not covariance.type.rank:
        return g.div(covariance, covariance)
    n = covariance.shape[0]
    variance = part(g.reshape(covariance, (n * n,)), 0, 0, n * n, n + 1)
    deviation = g.sqrt(variance)
    quotient = g.div(g.div(covariance, g.reshape(deviation, (n, 1))), deviation)
    return g.clip(quotient, -1, 1)
