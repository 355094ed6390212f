"""Reductions of segments between known positions: np.add.reduceat and its like."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.ir.types import Array, ElementType
from gradserve.numpy.arguments import Unsupported, as_operand, axis_of, lift, to_float, with_dtype
from gradserve.numpy.exponentials import logaddexp_reduce
from gradserve.numpy.shaping import moveaxis
from gradserve.numpy.table import implements


@implements(np.add.reduceat)
def add_reduceat(g: Builder, a: Any, indices: Any, axis: Any = 0, dtype: Any = None) -> Value:
    """The sums of the elements from each position up to the next, or of that alone where the next is not behind it."""
    x = lift(g, a)
    x = g.convert(x, ElementType.INT64) if x.type.element_type is ElementType.BOOL and dtype is None else x
    x = with_dtype(g, x, dtype)
    along = axis_of(x, axis, "reduceat")
    segments = _segments(g, indices, x.shape[along])
    owners = np.repeat(np.arange(len(segments)), [len(segment) for segment in segments])
    rows = g.emit("gather", x, np.concatenate([np.zeros(0, np.int64), *segments]), axis=along)
    return g.emit("scatter_add", rows, owners, axis=along, length=len(segments))


@implements(np.multiply.reduceat)
def multiply_reduceat(g: Builder, a: Any, indices: Any, axis: Any = 0, dtype: Any = None) -> Value:
    """The products of the elements from each position up to the next."""
    x = lift(g, a)
    x = g.convert(x, ElementType.INT64) if x.type.element_type is ElementType.BOOL and dtype is None else x
    return _filled(g, with_dtype(g, x, dtype), indices, axis, 1, lambda v: g.reduce_prod(v, axes=(v.type.rank - 1,)))


@implements(np.maximum.reduceat)
def maximum_reduceat(g: Builder, a: Any, indices: Any, axis: Any = 0) -> Value:
    """The largest of the elements from each position up to the next."""
    x = lift(g, a)
    least = _extreme(x, "min")
    return _filled(g, x, indices, axis, least, lambda v: g.reduce_max(v, axes=(v.type.rank - 1,)))


@implements(np.minimum.reduceat)
def minimum_reduceat(g: Builder, a: Any, indices: Any, axis: Any = 0) -> Value:
    """The smallest of the elements from each position up to the next."""
    x = lift(g, a)
    largest = _extreme(x, "max")
    return _filled(g, x, indices, axis, largest, lambda v: g.reduce_min(v, axes=(v.type.rank - 1,)))


@implements(np.logaddexp.reduceat)
def logaddexp_reduceat(g: Builder, a: Any, indices: Any, axis: Any = 0) -> Value:
    """The logarithms of the sums of exponentials from each position up to the next."""
    return _filled(g, to_float(g, a), indices, axis, -np.inf, lambda v: logaddexp_reduce(v, -1))


def _extreme(x: Value, which: str) -> Any:
    """The least number of the type, or the largest."""
    dtype = x.type.element_type.dtype
    if dtype.kind == "f":
        return -np.inf if which == "min" else np.inf
    return getattr(np.iinfo(dtype), which) if dtype.kind == "i" else which == "max"


def _segments(g: Builder, indices: Any, length: int) -> list[Array]:
    """The positions in each segment.

    Raises:
        Unsupported: where they begin is traced.
        IndexError: a segment begins beyond the last element.
    """
    given = as_operand(g, indices)
    literal = g.literal(given) if isinstance(given, Value) else None
    if isinstance(given, Value) and not isinstance(literal, Literal):
        raise Unsupported(
            "the positions of reduceat are traced, so that its segments depend on numbers",
            "capture them, or write gradserve.client.functions.add_at(np.zeros(count), owners, x), by the segment that "
            "each element belongs to",
        )
    begins = np.asarray(literal.array if isinstance(literal, Literal) else given).reshape(-1).astype(np.int64)
    for begin in begins[(begins < 0) | (begins >= length)]:
        raise IndexError(f"index {begin} out-of-bounds in reduceat [0, {length})")
    ends = np.append(begins[1:], length)
    return [np.arange(begin, max(end, begin + 1)) for begin, end in zip(begins, ends, strict=True)]


def _filled(g: Builder, x: Value, indices: Any, axis: Any, neutral: Any, reduce: Callable[[Value], Value]) -> Value:
    """Segments as rows of a matrix, filled with what changes nothing, reduced along these."""
    along = axis_of(x, axis, "reduceat")
    segments = _segments(g, indices, x.shape[along])
    longest = max((len(segment) for segment in segments), default=1)
    places = np.zeros((len(segments), longest), np.int64)
    inside = np.arange(longest) < np.array([len(segment) for segment in segments]).reshape(-1, 1)
    places[inside] = np.concatenate([np.zeros(0, np.int64), *segments])
    rows = g.emit("gather", moveaxis(x, along, -1), places, axis=x.type.rank - 1)
    filled = g.select(g.constant(inside), rows, g.constant(neutral, x.type.element_type))
    return moveaxis(reduce(filled), -1, along)
