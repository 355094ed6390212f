"""Sums, products, extrema, quantifiers and positions along axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import axis_of, is_of_scalar, kept, lift, reduced_axes, with_dtype
from gradserve.numpy.table import implements


def _reduced(g: Builder, op: str, x: Value, axis: Any, keepdims: bool) -> Value:
    axes = () if is_of_scalar(x, axis) else reduced_axes(x, axis, op.removeprefix("reduce_"))
    return kept(g, g.emit(op, x, axes=axes), x, axes, keepdims)


@implements(np.sum, np.add.reduce)
def sum(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Value:
    """The sum along axes."""
    x = with_dtype(g, lift(g, a), dtype)
    return with_dtype(g, _reduced(g, "reduce_sum", x, axis, keepdims), dtype)


@implements(np.prod, np.multiply.reduce)
def prod(g: Builder, a: Any, axis: Any = None, dtype: Any = None, keepdims: bool = False) -> Value:
    """The product along axes."""
    x = with_dtype(g, lift(g, a), dtype)
    return with_dtype(g, _reduced(g, "reduce_prod", x, axis, keepdims), dtype)


@implements(np.max, np.amax, np.maximum.reduce)
def max(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The largest element along axes."""
    return _reduced(g, "reduce_max", lift(g, a), axis, keepdims)


@implements(np.min, np.amin, np.minimum.reduce)
def min(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The smallest element along axes."""
    return _reduced(g, "reduce_min", lift(g, a), axis, keepdims)


@implements(np.ptp)
def ptp(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The largest less the smallest element along axes."""
    x = lift(g, a)
    return g.sub(max(x, axis, keepdims), min(x, axis, keepdims))


@implements(np.any, np.logical_or.reduce)
def any(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """Whether one element along axes is true."""
    return _reduced(g, "reduce_any", _truth(g, a), axis, keepdims)


@implements(np.all, np.logical_and.reduce)
def all(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """Whether all elements along axes are true."""
    return _reduced(g, "reduce_all", _truth(g, a), axis, keepdims)


def _truth(g: Builder, a: Any) -> Value:
    x = lift(g, a)
    return x if x.type.element_type is ElementType.BOOL else g.ne(x, 0)


@implements(np.count_nonzero)
def count_nonzero(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """How many elements along axes are not zero."""
    return _reduced(g, "reduce_sum", _truth(g, a), axis, keepdims)


@implements(np.argmax)
def argmax(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The first position of the largest element."""
    return _position(g, "argmax", lift(g, a), axis, keepdims)


@implements(np.argmin)
def argmin(g: Builder, a: Any, axis: Any = None, keepdims: bool = False) -> Value:
    """The first position of the smallest element."""
    return _position(g, "argmin", lift(g, a), axis, keepdims)


def _position(g: Builder, op: str, x: Value, axis: Any, keepdims: bool) -> Value:
    if axis is None or is_of_scalar(x, axis):
        found = g.emit(op, g.reshape(x, (x.type.size,)), axis=0)
        return kept(g, found, x, range(x.type.rank), keepdims)
    along = axis_of(x, axis, op)
    return kept(g, g.emit(op, x, axis=along), x, (along,), keepdims)
