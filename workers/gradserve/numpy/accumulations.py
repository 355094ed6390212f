"""What is known after each element along an axis: running sums and products, extrema, logarithms of sums."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import axis_of, is_of_scalar, lift, to_float, with_dtype
from gradserve.numpy.joining import concatenate
from gradserve.numpy.shaping import part, ravel
from gradserve.numpy.table import implements


@implements(np.cumsum, np.add.accumulate)
def cumsum(g: Builder, a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """The sums of the first elements."""
    return _accumulated(g, "cumsum", lift(g, a), axis, dtype)


@implements(np.cumprod, np.multiply.accumulate)
def cumprod(g: Builder, a: Any, axis: Any = None, dtype: Any = None) -> Value:
    """The products of the first elements."""
    return _accumulated(g, "cumprod", lift(g, a), axis, dtype)


def _accumulated(g: Builder, op: str, x: Value, axis: Any, dtype: Any) -> Value:
    x, along = _placed(with_dtype(g, x, dtype), axis, op)
    return with_dtype(g, g.emit(op, x, axis=along), dtype)


def _placed(x: Value, axis: Any, function: str) -> tuple[Value, int]:
    return (ravel(x), 0) if axis is None or is_of_scalar(x, axis) else (x, axis_of(x, axis, function))


def _cumulative_sum(g: Builder, x: Any, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Value:
    """The sums of the first elements; of none of them first, if asked for."""
    return _with_initial(g, cumsum(_on_axis(g, x, axis), axis or 0, dtype), axis or 0, include_initial, 0)


def _cumulative_prod(g: Builder, x: Any, axis: Any = None, dtype: Any = None, include_initial: bool = False) -> Value:
    """The products of the first elements; of none of them first, if asked for."""
    return _with_initial(g, cumprod(_on_axis(g, x, axis), axis or 0, dtype), axis or 0, include_initial, 1)


def _on_axis(g: Builder, x: Any, axis: Any) -> Value:
    value = lift(g, x)
    value = value if value.type.rank else ravel(value)
    if axis is None and value.type.rank != 1:
        raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
    return value


def _with_initial(g: Builder, x: Value, axis: Any, include: bool, number: int) -> Value:
    if not include:
        return x
    along = axis_of(x, axis, "accumulate")
    first = g.full(x.type.with_shape(tuple(1 if k == along else n for k, n in enumerate(x.shape))), number)
    return concatenate([first, x], along)


if hasattr(np, "cumulative_sum"):  # since NumPy 2.1
    implements(np.cumulative_sum)(_cumulative_sum)
    implements(np.cumulative_prod)(_cumulative_prod)


@implements(np.maximum.accumulate)
def cummax(g: Builder, a: Any, axis: Any = None) -> Value:
    """The largest of the first elements."""
    return _scanned(g, "maximum", lift(g, a), axis)


@implements(np.minimum.accumulate)
def cummin(g: Builder, a: Any, axis: Any = None) -> Value:
    """The smallest of the first elements."""
    return _scanned(g, "minimum", lift(g, a), axis)


@implements(np.logaddexp.accumulate)
def logcumsumexp(g: Builder, a: Any, axis: Any = None) -> Value:
    """The logarithms of the sums of the first exponentials."""
    return _scanned(g, "logaddexp", to_float(g, a), axis)


def _scanned(g: Builder, op: str, x: Value, axis: Any) -> Value:
    """The first elements combined by an associative op, over spans of 1, 2, 4, ... of them."""
    x, along = _placed(x, axis, "accumulate")
    span, length = 1, x.shape[along]
    while span < length:
        first, rest = part(x, along, 0, span), part(x, along, span, length)
        x = concatenate([first, g.emit(op, part(x, along, 0, length - span), rest)], along)
        span *= 2
    return x
