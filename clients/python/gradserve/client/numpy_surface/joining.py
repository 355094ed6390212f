"""Arrays laid side by side, cut apart, and put into one another."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client.numpy_surface.operands import as_operand, axis_of, integer, integers, lift
from gradserve.client.numpy_surface.reductions import with_dtype
from gradserve.client.numpy_surface.shapes import atleast_2d, atleast_3d
from gradserve.client.numpy_surface.table import implements
from gradserve.client.tracing.origins import untraceable
from gradserve.ir.builder import Builder, Operand, Value
from gradserve.numpy import shaping


def _parts(g: Builder, arrays: Any) -> list[Operand]:
    return list(rows(arrays)) if isinstance(arrays, Value) else [as_operand(g, array) for array in arrays]


def rows(x: Value) -> list[Value]:
    """The slices of an array along its first axis."""
    n, *rest = x.shape
    return [x.builder.reshape(shaping.part(x, 0, k, k + 1), tuple(rest)) for k in range(n)]


def _joined(g: Builder, arrays: Any, axis: int, form: Callable[..., Any] | None = None) -> Value:
    """The parts, promoted together and each brought to a form, one after the other."""
    values = g.promote(_parts(g, arrays))
    return shaping.concatenate([form(g, value) if form else value for value in values], axis)


@implements(np.concatenate, np.concat)
def concatenate(g: Builder, arrays: Any, axis: Any = 0, dtype: Any = None) -> Value:
    """Arrays one after the other along an axis."""
    values = g.promote(_parts(g, arrays))
    return with_dtype(g, shaping.concatenate(values, None if axis is None else axis_of(values[0], axis)), dtype)


@implements(np.stack)
def stack(g: Builder, arrays: Any, axis: Any = 0, dtype: Any = None) -> Value:
    """Arrays one after the other along a new axis."""
    return with_dtype(g, shaping.stack(g.promote(_parts(g, arrays)), integer(axis, "an axis")), dtype)


@implements(np.vstack)
def vstack(g: Builder, tup: Any, dtype: Any = None) -> Value:
    """Arrays below each other."""
    return with_dtype(g, _joined(g, tup, 0, atleast_2d), dtype)


@implements(np.hstack)
def hstack(g: Builder, tup: Any, dtype: Any = None) -> Value:
    """Arrays beside each other."""
    values = [g.reshape(value, value.shape or (1,)) for value in g.promote(_parts(g, tup))]
    return with_dtype(g, shaping.concatenate(values, 0 if values[0].type.rank == 1 else 1), dtype)


@implements(np.dstack)
def dstack(g: Builder, tup: Any) -> Value:
    """Arrays behind each other."""
    return _joined(g, tup, 2, atleast_3d)


def _column(g: Builder, value: Value) -> Value:
    return g.reshape(value, (value.type.size, 1)) if value.type.rank < 2 else value


@implements(np.column_stack)
def column_stack(g: Builder, tup: Any) -> Value:
    """Vectors as columns beside each other."""
    return _joined(g, tup, 1, _column)


@implements(np.append)
def append(g: Builder, arr: Any, values: Any, axis: Any = None) -> Value:
    """One array after the other."""
    return concatenate(g, [arr, values], axis)


@implements(np.block)
def block(g: Builder, arrays: Any) -> Value:
    """Nested lists of blocks as one array: the innermost lists lie along the last axis."""
    depth = _depth(arrays)
    rank = max(depth, *(lift(g, leaf).type.rank for leaf in _leaves(arrays)))
    return _block(g, arrays, rank - depth, rank)


def _block(g: Builder, arrays: Any, axis: int, rank: int) -> Value:
    if not isinstance(arrays, list):
        value = lift(g, arrays)
        return g.reshape(value, (*(1,) * (rank - value.type.rank), *value.type.shape))
    return shaping.concatenate(g.promote([_block(g, part, axis + 1, rank) for part in arrays]), axis)


def _depth(arrays: Any) -> int:
    return 1 + _depth(arrays[0]) if isinstance(arrays, list) else 0


def _leaves(arrays: Any) -> list[Any]:
    return [leaf for part in arrays for leaf in _leaves(part)] if isinstance(arrays, list) else [arrays]


def _cut(g: Builder, ary: Any, parts: Any, axis: int) -> list[Value]:
    x = lift(g, ary)
    several = isinstance(parts, Value) or np.iterable(parts)
    along = axis_of(x, axis)
    return shaping.split(x, integers(parts, "a position") if several else integer(parts, "a number of parts"), along)


@implements(np.split, view=True)
def split(g: Builder, ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Value]:
    """Equal parts along an axis, or the parts between positions."""
    return _cut(g, ary, indices_or_sections, axis)


@implements(np.array_split, view=True)
def array_split(g: Builder, ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Value]:
    """Parts along an axis that differ in length by at most 1, or the parts between positions."""
    if np.iterable(indices_or_sections):
        return _cut(g, ary, indices_or_sections, axis)
    x = lift(g, ary)
    length, count = x.shape[axis_of(x, axis)], integer(indices_or_sections, "a number of parts")
    short, longer = divmod(length, count)
    lengths = [short + 1] * longer + [short] * (count - longer)
    return _cut(g, x, [int(edge) for edge in np.cumsum(lengths)[:-1]], axis)


@implements(np.hsplit, view=True)
def hsplit(g: Builder, ary: Any, indices_or_sections: Any) -> list[Value]:
    """Parts beside each other."""
    return _cut(g, ary, indices_or_sections, 1 if lift(g, ary).type.rank > 1 else 0)


@implements(np.vsplit, view=True)
def vsplit(g: Builder, ary: Any, indices_or_sections: Any) -> list[Value]:
    """Parts below each other."""
    return _cut(g, ary, indices_or_sections, 0)


@implements(np.dsplit, view=True)
def dsplit(g: Builder, ary: Any, indices_or_sections: Any) -> list[Value]:
    """Parts behind each other."""
    return _cut(g, ary, indices_or_sections, 2)


def unstack(g: Builder, x: Any, axis: Any = 0) -> tuple[Value, ...]:
    """The slices along an axis."""
    value = lift(g, x)
    return tuple(rows(shaping.moveaxis(value, axis_of(value, axis), 0)))


if hasattr(np, "unstack"):  # since NumPy 2.1
    implements(np.unstack, view=True)(unstack)


@implements(np.delete)
def delete(g: Builder, arr: Any, obj: Any, axis: Any = None) -> Value:
    """The array without the slices at some positions along an axis."""
    if isinstance(obj, Value):
        raise untraceable("np.delete at a traced position cannot be traced", "use positions known while tracing")
    x = lift(g, arr)
    if axis is None:
        x, axis = shaping.ravel(x), 0
    along = axis_of(x, axis)
    return g.emit("gather", x, np.delete(np.arange(x.shape[along]), obj), axis=along)


@implements(np.insert)
def insert(g: Builder, arr: Any, obj: Any, values: Any, axis: Any = None) -> Value:
    """The array with values put in before some positions along an axis."""
    if isinstance(obj, Value):
        raise untraceable("np.insert at a traced position cannot be traced", "use positions known while tracing")
    x = lift(g, arr)
    if axis is None:
        x, axis = shaping.ravel(x), 0
    along = axis_of(x, axis)
    n = x.shape[along]
    added = g.convert(lift(g, values), x.type.element_type)
    if np.ndim(obj) == 0 and not isinstance(obj, slice) and added.type.rank:
        # NumPy takes the first axis of the values as that of the insertion where one position is given.
        leading = (*(1,) * (x.type.rank - added.type.rank), *added.shape)
        added = shaping.moveaxis(g.reshape(added, leading), 0, along)
    marks = np.insert(np.arange(n), obj, n + np.arange(len(np.insert(np.empty(n), obj, 0)) - n))
    count = len(marks) - n
    shape = tuple(count if k == along else length for k, length in enumerate(x.shape))
    both = shaping.concatenate([x, g.broadcast(added, shape)], along)
    return g.emit("gather", both, marks, axis=along)


@implements(np.resize)
def resize(g: Builder, a: Any, new_shape: Any) -> Value:
    """The elements in row-major order in another shape, begun anew as often as it takes, or cut off."""
    x, shape = shaping.ravel(lift(g, a)), integers(new_shape, "a shape")
    size = math.prod(shape)
    if not x.type.size:
        return g.zeros(x.type.with_shape(shape))
    copies = -(-size // x.type.size)
    return g.reshape(shaping.part(shaping.tile(x, copies), 0, 0, size), shape)
