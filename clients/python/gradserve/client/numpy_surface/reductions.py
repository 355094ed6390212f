"""Sums, products, extrema, quantifiers and positions along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.client.numpy_surface.operands import axes_of, axis_of, lift
from gradserve.client.numpy_surface.table import implements, implements_method
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy import accumulations, exponentials, reductions, shaping


def with_dtype(g: Builder, x: Value, dtype: Any) -> Value:
    """x in the element type in which it is to be computed, if one is asked for."""
    return x if dtype is None else g.convert(x, ElementType.of(dtype))


@implements(np.sum)
@implements_method(np.add, "reduce")
def sum_(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Value:
    """The sum along axes."""
    x = with_dtype(g, lift(g, a), dtype)
    return with_dtype(g, reductions.sum(x, axes_of(x, axis), keepdims), dtype)


@implements(np.prod)
@implements_method(np.multiply, "reduce")
def prod(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Value:
    """The product along axes."""
    x = with_dtype(g, lift(g, a), dtype)
    return with_dtype(g, reductions.prod(x, axes_of(x, axis), keepdims), dtype)


@implements(np.max, np.amax)
@implements_method(np.maximum, "reduce")
def max_(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The largest element along axes."""
    x = lift(g, a)
    return reductions.max(x, axes_of(x, axis), keepdims)


@implements(np.min, np.amin)
@implements_method(np.minimum, "reduce")
def min_(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The smallest element along axes."""
    x = lift(g, a)
    return reductions.min(x, axes_of(x, axis), keepdims)


@implements_method(np.logaddexp, "reduce")
def logsumexp(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The logarithm of the sum of exponentials along axes."""
    x = lift(g, a)
    return exponentials.logsumexp(x, axes_of(x, axis), keepdims)


@implements(np.ptp)
def ptp(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The largest less the smallest element along axes."""
    return g.sub(max_(g, a, axis, keepdims), min_(g, a, axis, keepdims))


@implements(np.any)
@implements_method(np.logical_or, "reduce")
def any_(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """Whether one element along axes is true."""
    x = lift(g, a)
    return reductions.any(x, axes_of(x, axis), keepdims)


@implements(np.all)
@implements_method(np.logical_and, "reduce")
def all_(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """Whether all elements along axes are true."""
    x = lift(g, a)
    return reductions.all(x, axes_of(x, axis), keepdims)


@implements(np.count_nonzero)
def count_nonzero(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """How many elements along axes are not zero."""
    x = lift(g, a)
    return reductions.count_nonzero(x, axes_of(x, axis), keepdims)


@implements(np.argmax)
def argmax(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The first position of the largest element."""
    x = lift(g, a)
    return reductions.argmax(x, None if axis is None else axis_of(x, axis), keepdims)


@implements(np.argmin)
def argmin(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The first position of the smallest element."""
    x = lift(g, a)
    return reductions.argmin(x, None if axis is None else axis_of(x, axis), keepdims)


@implements(np.cumsum)
@implements_method(np.add, "accumulate")
def cumsum(g: Builder, a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """The sums of the first elements."""
    x = with_dtype(g, lift(g, a), dtype)
    return with_dtype(g, reductions.cumsum(x, None if axis is None else axis_of(x, axis)), dtype)


def cumulative_sum(g: Builder, x: Any, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Value:
    """The sums of the first elements; of none of them first, if asked for."""
    return _with_initial(g, cumsum(g, _on_axis(g, x, axis), axis or 0, dtype), axis or 0, include_initial, 0)


def _on_axis(g: Builder, x: Any, axis: Any) -> Value:
    value = lift(g, x)
    if axis is None and value.type.rank != 1:
        raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
    return value


def _with_initial(g: Builder, x: Value, axis: Any, include: bool, number: int) -> Value:
    if not include:
        return x
    along = axis_of(x, axis)
    first = g.full(x.type.with_shape(tuple(1 if k == along else n for k, n in enumerate(x.shape))), number)
    return shaping.concatenate([first, x], along)


@implements(np.cumprod)
@implements_method(np.multiply, "accumulate")
def cumprod(g: Builder, a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """The products of the first elements."""
    x = with_dtype(g, lift(g, a), dtype)
    return with_dtype(g, accumulations.cumprod(x, None if axis is None else axis_of(x, axis)), dtype)


def cumulative_prod(g: Builder, x: Any, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Value:
    """The products of the first elements; of none of them first, if asked for."""
    return _with_initial(g, cumprod(g, _on_axis(g, x, axis), axis or 0, dtype), axis or 0, include_initial, 1)


if hasattr(np, "cumulative_sum"):  # since NumPy 2.1
    implements(np.cumulative_sum)(cumulative_sum)
    implements(np.cumulative_prod)(cumulative_prod)


@implements_method(np.maximum, "accumulate")
def cummax(g: Builder, a: Any, axis: Any = None) -> Value:
    """The largest of the first elements."""
    x = lift(g, a)
    return accumulations.cummax(x, axis_of(x, axis))


@implements_method(np.minimum, "accumulate")
def cummin(g: Builder, a: Any, axis: Any = None) -> Value:
    """The smallest of the first elements."""
    x = lift(g, a)
    return accumulations.cummin(x, axis_of(x, axis))


@implements_method(np.logaddexp, "accumulate")
def logcumsumexp(g: Builder, a: Any, axis: Any = None) -> Value:
    """The logarithms of the sums of the first exponentials."""
    x = lift(g, a)
    return accumulations.logcumsumexp(x, axis_of(x, axis))
