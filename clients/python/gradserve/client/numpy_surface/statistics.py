"""Moments, and what is computed from neighbouring elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.client.numpy_surface.operands import as_operand, axes_of, lift
from gradserve.client.numpy_surface.reductions import with_dtype
from gradserve.client.numpy_surface.table import implements
from gradserve.ir.builder import Builder, Value
from gradserve.numpy import products, reductions, shaping
from gradserve.ops.family import to_float


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
