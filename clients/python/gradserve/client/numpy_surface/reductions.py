"""Sums, products, extrema, quantifiers and positions along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.client.numpy_surface.operands import axes_of, axis_of, lift
from gradserve.client.numpy_surface.table import implements, implements_method
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.ops.functions import exponentials, reductions
from gradserve.ops.functions.arguments import kept


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


@implements(np.nansum)
def nansum(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Value:
    """The sum along axes of what is not NaN."""
    return sum_(g, _replaced(g, lift(g, a), 0), axis, dtype, keepdims)


@implements(np.nanprod)
def nanprod(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Value:
    """The product along axes of what is not NaN."""
    return prod(g, _replaced(g, lift(g, a), 1), axis, dtype, keepdims)


@implements(np.nancumsum)
def nancumsum(g: Builder, a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """The sums of the first elements that are not NaN."""
    return cumsum(g, _replaced(g, lift(g, a), 0), axis, dtype)


@implements(np.nanmean)
def nanmean(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Value:
    """The mean along axes of what is not NaN."""
    x = lift(g, a)
    total = sum_(g, _replaced(g, x, 0), axis, dtype, keepdims)
    axes = tuple(sorted(axes_of(x, axis)))
    present = g.reduce_sum(g.convert(g.eq(x, x), ElementType.INT64), axes=axes)
    quotient = g.div(total, g.convert(kept(g, present, x, axes, keepdims), _real(total)))
    return with_dtype(g, quotient, dtype)


def _real(value: Value) -> ElementType:
    return value.type.element_type if value.type.is_float else ElementType.FLOAT64


def _replaced(g: Builder, x: Value, number: int) -> Value:
    return g.select(g.ne(x, x), number, x) if x.type.is_float else x
