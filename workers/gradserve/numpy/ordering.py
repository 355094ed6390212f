"""Elements in ascending order, and what is read off from their order, with NumPy's arguments."""

from __future__ import annotations

import math

import numpy as np
from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.types import Array, ElementType
from gradserve.numpy.arguments import Axis, builder_of, kept, lifted, one_axis, reduced_axes, refuse
from gradserve.numpy.shaping import moveaxis, part, ravel
from gradserve.ops.family import to_float
from gradserve.ops.indexing.gather import taken_along
from gradserve.ops.movement.shapes import permuted


def sort(x: Operand, axis: int | None = -1) -> Value:
    """The elements along the axis in ascending order, as np.sort; of all of them if there is no axis."""
    value, along = _placed(x, axis, "sort")
    return value.builder.emit("sort", value, axis=along)


def argsort(x: Operand, axis: int | None = -1) -> Value:
    """The positions that sort the elements along the axis, as np.argsort; equal ones keep their order."""
    value, along = _placed(x, axis, "argsort")
    return value.builder.emit("argsort", value, axis=along)


def _placed(x: Operand, axis: int | None, function: str) -> tuple[Value, int]:
    _, (value,) = lifted(x)
    return (ravel(value), 0) if axis is None else (value, one_axis(value, axis, function))


def _rows(x: Value, axes: tuple[int, ...]) -> Value:
    """The elements along the axes as one last axis, the others in front."""
    others = tuple(k for k in range(x.type.rank) if k not in axes)
    shape = tuple(x.shape[k] for k in others)
    return x.builder.reshape(permuted(x.builder, x, (*others, *axes)), (*shape, math.prod(x.shape[k] for k in axes)))


def median(x: Operand, axis: Axis = None, keepdims: bool = False) -> Value:
    """The element in the middle, or the mean of the two there, as np.median; NaN if there is one, or no element."""
    value = to_float(builder_of(x), x)
    g, axes = value.builder, reduced_axes(value, axis, "median")
    ordered = sort(_rows(value, axes))
    n, last = ordered.shape[-1], ordered.type.rank - 1
    if not n:
        return g.full(kept(g, g.reduce_sum(value, axes=axes), value, axes, keepdims).type, math.nan)
    middle = part(ordered, last, (n - 1) // 2, n // 2 + 1)
    mean = g.mul(g.reduce_sum(middle, axes=(last,)), 1 / middle.shape[-1])
    return kept(g, _without_nan(mean, ordered), value, axes, keepdims)


def _without_nan(result: Value, ordered: Value) -> Value:
    """The result, but NaN, with derivatives of NaN, where the last of the ordered elements is."""
    g, last = result.builder, ordered.type.rank - 1
    greatest = g.emit("gather", ordered, g.constant(ordered.shape[-1] - 1), axis=last)
    return g.mul(result, g.select(g.ne(greatest, greatest), math.nan, g.constant(1.0, result.type.element_type)))


def quantile(x: Operand, positions: Array, axis: Axis = None, keepdims: bool = False) -> Value:
    """The elements at these positions in ascending order, a linear mixture of two where one lies between.

    Shape: that of the positions, then what the axes leave. NaN if there is one.
    """
    value = to_float(builder_of(x), x)
    g, axes = value.builder, reduced_axes(value, axis, "quantile")
    ordered = sort(_rows(value, axes))
    last = ordered.type.rank - 1
    below = np.floor(positions).astype(np.int64)
    above = np.ceil(positions).astype(np.int64)
    low, high = (g.emit("gather", ordered, index, axis=last) for index in (below, above))
    rank = positions.ndim
    mixed = _mixture(g, low, high, g.constant(positions - below, value.type.element_type))
    result = moveaxis(mixed, tuple(range(last, last + rank)), tuple(range(rank)))
    result = _without_nan(result, ordered)
    if not keepdims:
        return result
    lengths = tuple(1 if k in axes else n for k, n in enumerate(value.shape))
    return g.reshape(result, (*positions.shape, *lengths))


def _mixture(g: Builder, low: Value, high: Value, weight: Value) -> Value:
    """low + (high - low) weight, from the nearer end, as NumPy does."""
    gap = g.sub(high, low)
    near, far = g.add(low, g.mul(gap, weight)), g.sub(high, g.mul(gap, g.sub(1.0, weight)))
    return g.select(g.ge(weight, 0.5), far, near)


def nanquantile(x: Operand, fractions: Array, axis: Axis = None, keepdims: bool = False) -> Value:
    """As `quantile` at fractions of the elements that are not NaN; NaN where there is none."""
    value = to_float(builder_of(x), x)
    g, axes = value.builder, reduced_axes(value, axis, "nanquantile")
    rows = _rows(value, axes)
    if not rows.shape[-1]:
        refuse(g, "nanquantile", f"{value.type} has no element along axes {axes}")
    ordered, last = sort(rows), rows.type.rank - 1
    present = g.reduce_sum(g.convert(g.eq(rows, rows), ElementType.INT64), axes=(last,))
    final = g.reshape(g.maximum(g.sub(present, 1), 0), (*present.shape, 1))
    position = g.mul(g.convert(final, ElementType.FLOAT64), g.constant(fractions.reshape(-1)))
    below = g.convert(g.floor(position), ElementType.INT64)
    low, high = (taken_along(g, ordered, at, last) for at in (below, g.minimum(g.add(below, 1), final)))
    weight = g.convert(g.sub(position, g.convert(below, ElementType.FLOAT64)), value.type.element_type)
    mixed = moveaxis(_mixture(g, low, high, weight), last, 0)
    lengths = tuple(1 if k in axes else n for k, n in enumerate(value.shape)) if keepdims else mixed.shape[1:]
    return g.reshape(mixed, (*fractions.shape, *lengths))
