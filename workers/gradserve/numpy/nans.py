"""What is computed of those elements that are not NaN."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.accumulations import cumprod, cumsum
from gradserve.numpy.arguments import kept, lift, reduced_axes, with_dtype
from gradserve.numpy.reductions import argmax, argmin, prod
from gradserve.numpy.reductions import max as max_along
from gradserve.numpy.reductions import min as min_along
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.statistics import root
from gradserve.numpy.table import implements
from gradserve.ops.elementwise.parts import squared_size


def _replaced(g: Builder, x: Value, number: float) -> Value:
    return g.select(g.ne(x, x), number, x) if x.type.is_float else x


def _count(g: Builder, x: Value, axis: Any, keepdims: bool, element_type: ElementType) -> Value:
    """How many elements along axes are not NaN."""
    axes = reduced_axes(x, axis, "count_nonzero")
    present = g.reduce_sum(g.convert(g.eq(x, x), ElementType.INT64), axes=axes)
    return g.convert(kept(g, present, x, axes, keepdims), element_type)


@implements(np.nansum)
def nansum(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Value:
    """The sum along axes of what is not NaN."""
    return sum_along(_replaced(g, lift(g, a), 0), axis, dtype, keepdims)


@implements(np.nanprod)
def nanprod(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Value:
    """The product along axes of what is not NaN."""
    return prod(_replaced(g, lift(g, a), 1), axis, dtype, keepdims)


@implements(np.nancumsum)
def nancumsum(g: Builder, a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """The sums of the first elements that are not NaN."""
    return cumsum(_replaced(g, lift(g, a), 0), axis, dtype)


@implements(np.nancumprod)
def nancumprod(g: Builder, a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """The products of the first elements that are not NaN."""
    return cumprod(_replaced(g, lift(g, a), 1), axis, dtype)


@implements(np.nanmean)
def nanmean(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Value:
    """The mean along axes of what is not NaN."""
    x = lift(g, a)
    total = sum_along(_replaced(g, x, 0), axis, dtype, keepdims)
    quotient = g.div(total, _count(g, x, axis, keepdims, _real(total)))
    return with_dtype(g, quotient, dtype)


def _real(value: Value) -> ElementType:
    return value.type.element_type if value.type.is_float else ElementType.FLOAT64


@implements(np.nanvar)
def nanvar(g: Builder, a: Any, axis: Any = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False) -> Value:
    """The mean squared distance from the mean along axes, of what is not NaN."""
    x = with_dtype(g, lift(g, a), dtype)
    distance = g.sub(x, nanmean(x, axis, None, True))
    squares = nansum(squared_size(g, distance), axis, None, keepdims)
    freedom = g.sub(_count(g, x, axis, keepdims, _real(squares)), ddof)
    return g.div(squares, g.select(g.gt(freedom, 0), freedom, math.nan))


@implements(np.nanstd)
def nanstd(g: Builder, a: Any, axis: Any = None, dtype: Any = None, ddof: float = 0, keepdims: bool = False) -> Value:
    """The root of the variance along axes, of what is not NaN."""
    return root(nanvar(a, axis, dtype, ddof, keepdims))


def _extreme(g: Builder, x: Value, axis: Any, keepdims: bool, largest: bool) -> Value:
    """The extreme element; NaN where there are only NaN."""
    found = (max_along if largest else min_along)(_replaced(g, x, -math.inf if largest else math.inf), axis, keepdims)
    if not x.type.is_float:
        return found
    nothing = g.eq(_count(g, x, axis, keepdims, ElementType.INT64), 0)
    return g.select(nothing, math.nan, found)


@implements(np.nanmax)
def nanmax(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The largest element along axes that is not NaN."""
    return _extreme(g, lift(g, a), axis, keepdims, largest=True)


@implements(np.nanmin)
def nanmin(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The smallest element along axes that is not NaN."""
    return _extreme(g, lift(g, a), axis, keepdims, largest=False)


@implements(np.nanargmax)
def nanargmax(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The first position of the largest element that is not NaN; 0 where there are only NaN."""
    return argmax(_replaced(g, lift(g, a), -math.inf), axis, keepdims)


@implements(np.nanargmin)
def nanargmin(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The first position of the smallest element that is not NaN; 0 where there are only NaN."""
    return argmin(_replaced(g, lift(g, a), math.inf), axis, keepdims)
