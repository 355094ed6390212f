"""Arrays laid side by side, cut apart, and put into one another."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import (
    Unsupported,
    axis_of,
    integer,
    integers,
    lift,
    refuse,
    strict,
    with_dtype,
)
from gradserve.numpy.shaping import atleast_2d, atleast_3d, expand_dims, moveaxis, part, ravel
from gradserve.numpy.table import implements


def _parts(g: Builder, arrays: Any) -> tuple[Value, ...]:
    return tuple(rows(arrays)) if isinstance(arrays, Value) else g.promote([strict(g, array) for array in arrays])


def rows(x: Value) -> list[Value]:
    """The slices of an array along its first axis."""
    n, *rest = x.shape
    return [x.builder.reshape(part(x, 0, k, k + 1), tuple(rest)) for k in range(n)]


@implements(np.concatenate, np.concat)
def concatenate(g: Builder, arrays: Any, axis: Any = 0, dtype: Any = None) -> Value:
    """Arrays one after the other along an axis."""
    values = _parts(g, arrays)
    if axis is None:
        values, axis = tuple(ravel(value) for value in values), 0
    along = axis_of(values[0], axis, "concatenate")
    return with_dtype(g, values[0] if len(values) == 1 else g.emit("concatenate", *values, axis=along), dtype)


@implements(np.stack)
def stack(g: Builder, arrays: Any, axis: Any = 0, dtype: Any = None) -> Value:
    """Arrays one after the other along a new axis."""
    values = _parts(g, arrays)
    if any(value.type.shape != values[0].type.shape for value in values):
        refuse(g, "stack", f"shapes differ: {', '.join(str(value.type) for value in values)}")
    along = axis_of(values[0], axis, "stack", values[0].type.rank + 1)
    return concatenate([expand_dims(value, along) for value in values], along, dtype)


@implements(np.vstack)
def vstack(g: Builder, tup: Any, dtype: Any = None) -> Value:
    """Arrays below each other."""
    return _joined(g, tup, 0, atleast_2d, dtype)


@implements(np.hstack)
def hstack(g: Builder, tup: Any, dtype: Any = None) -> Value:
    """Arrays beside each other."""
    values = [g.reshape(value, value.shape or (1,)) for value in _parts(g, tup)]
    return concatenate(values, 0 if values[0].type.rank == 1 else 1, dtype)


@implements(np.dstack)
def dstack(g: Builder, tup: Any) -> Value:
    """Arrays behind each other."""
    return _joined(g, tup, 2, atleast_3d)


@implements(np.column_stack)
def column_stack(g: Builder, tup: Any) -> Value:
    """Vectors as columns beside each other."""
    return _joined(g, tup, 1, lambda x: g.reshape(x, (x.type.size, 1)) if x.type.rank < 2 else x)


def _joined(g: Builder, arrays: Any, axis: int, form: Callable[..., Any], dtype: Any = None) -> Value:
    """The parts, each brought to a form, one after the other."""
    return concatenate([form(value) for value in _parts(g, arrays)], axis, dtype)


@implements(np.append)
def append(g: Builder, arr: Any, values: Any, axis: Any = None) -> Value:
    """One array after the other."""
    return concatenate([arr, values], axis)


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
    return concatenate([_block(g, each, axis + 1, rank) for each in arrays], axis)


def _depth(arrays: Any) -> int:
    return 1 + _depth(arrays[0]) if isinstance(arrays, list) else 0


def _leaves(arrays: Any) -> list[Any]:
    return [leaf for each in arrays for leaf in _leaves(each)] if isinstance(arrays, list) else [arrays]


@implements(np.split, view=True)
def split(g: Builder, ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Value]:
    """Equal parts along an axis, or the parts between positions."""
    x = lift(g, ary)
    along = axis_of(x, axis, "split")
    length, parts = x.shape[along], indices_or_sections
    if isinstance(parts, Value) or np.iterable(parts):
        edges = [0, *(slice(stop).indices(length)[1] for stop in integers(parts, "a position")), length]
    elif (count := integer(parts, "a number of parts")) < 1 or length % count:
        refuse(g, "split", f"{x.type} has no {count} equal parts along axis {along}")
    else:
        edges = [k * (length // count) for k in range(count + 1)]
    return [part(x, along, start, max(start, stop)) for start, stop in itertools.pairwise(edges)]


@implements(np.array_split, view=True)
def array_split(g: Builder, ary: Any, indices_or_sections: Any, axis: Any = 0) -> list[Value]:
    """Parts along an axis that differ in length by at most 1, or the parts between positions."""
    x = lift(g, ary)
    if np.iterable(indices_or_sections):
        return split(x, indices_or_sections, axis)
    length, count = x.shape[axis_of(x, axis, "array_split")], integer(indices_or_sections, "a number of parts")
    short, longer = divmod(length, count)
    lengths = [short + 1] * longer + [short] * (count - longer)
    return split(x, [int(edge) for edge in np.cumsum(lengths)[:-1]], axis)


@implements(np.hsplit, view=True)
def hsplit(g: Builder, ary: Any, indices_or_sections: Any) -> list[Value]:
    """Parts beside each other."""
    x = lift(g, ary)
    return split(x, indices_or_sections, 1 if x.type.rank > 1 else 0)


@implements(np.vsplit, view=True)
def vsplit(g: Builder, ary: Any, indices_or_sections: Any) -> list[Value]:
    """Parts below each other."""
    return split(lift(g, ary), indices_or_sections, 0)


@implements(np.dsplit, view=True)
def dsplit(g: Builder, ary: Any, indices_or_sections: Any) -> list[Value]:
    """Parts behind each other."""
    return split(lift(g, ary), indices_or_sections, 2)


def _unstack(g: Builder, x: Any, axis: Any = 0) -> tuple[Value, ...]:
    """The slices along an axis."""
    value = lift(g, x)
    return tuple(rows(moveaxis(value, axis_of(value, axis, "unstack"), 0)))


if hasattr(np, "unstack"):  # since NumPy 2.1
    implements(np.unstack, view=True)(_unstack)


@implements(np.delete)
def delete(g: Builder, arr: Any, obj: Any, axis: Any = None) -> Value:
    """The array without the slices at some positions along an axis."""
    if isinstance(obj, Value):
        raise Unsupported("np.delete at a traced position cannot be traced", "use positions known while tracing")
    x = lift(g, arr)
    if axis is None:
        x, axis = ravel(x), 0
    along = axis_of(x, axis, "delete")
    return g.emit("gather", x, np.delete(np.arange(x.shape[along]), obj), axis=along)


@implements(np.insert)
def insert(g: Builder, arr: Any, obj: Any, values: Any, axis: Any = None) -> Value:
    """The array with values put in before some positions along an axis."""
    if isinstance(obj, Value):
        raise Unsupported("np.insert at a traced position cannot be traced", "use positions known while tracing")
    x = lift(g, arr)
    if axis is None:
        x, axis = ravel(x), 0
    along = axis_of(x, axis, "insert")
    n = x.shape[along]
    added = g.convert(lift(g, values), x.type.element_type)
    if np.ndim(obj) == 0 and not isinstance(obj, slice) and added.type.rank:
        # NumPy takes the first axis of the values as that of the insertion where one position is given.
        leading = (*(1,) * (x.type.rank - added.type.rank), *added.shape)
        added = moveaxis(g.reshape(added, leading), 0, along)
    marks = np.insert(np.arange(n), obj, n + np.arange(len(np.insert(np.empty(n), obj, 0)) - n))
    count = len(marks) - n
    shape = tuple(count if k == along else length for k, length in enumerate(x.shape))
    both = concatenate([x, g.broadcast(added, shape)], along)
    return g.emit("gather", both, marks, axis=along)
