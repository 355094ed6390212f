"""Arrays in other shapes: axes moved, added and dropped, elements turned round and repeated to fill a shape."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, axes_of, axis_of, integer, integers, lift, refuse
from gradserve.numpy.table import implements
from gradserve.ops.movement.shapes import permuted


def _is_column_major(order: str) -> bool:
    """Whether elements are read and laid down with the first axis fastest."""
    if order not in ("C", "F"):
        raise Unsupported(
            f"order={order!r} cannot be traced", "say 'C' or 'F': how arguments lie in memory is not known"
        )
    return order == "F"


@implements(np.reshape, view=True)
def reshape(g: Builder, a: Any, shape: Any, order: str = "C") -> Value:
    """The elements in row-major order in another shape; column by column for the order F."""
    x, lengths = lift(g, a), list(integers(shape, "a shape"))
    if lengths.count(-1) == 1:
        others = -math.prod(lengths)
        if not others or x.type.size % others:
            refuse(g, "reshape", f"{x.type} does not fit the shape {tuple(lengths)}")
        lengths[lengths.index(-1)] = x.type.size // others
    if _is_column_major(order):
        return transpose(g.reshape(transpose(x), tuple(reversed(lengths))))
    return g.reshape(x, tuple(lengths))


@implements(np.ravel, view=True)
def ravel(g: Builder, a: Any, order: str = "C") -> Value:
    """The elements in row-major order; column by column for the order F."""
    x = lift(g, a)
    x = transpose(x) if _is_column_major(order) else x
    return g.reshape(x, (x.type.size,))


@implements(np.transpose, np.permute_dims, view=True)
def transpose(g: Builder, a: Any, axes: Any = None) -> Value:
    """The axes in another order; reversed if none is given."""
    x = lift(g, a)
    order = tuple(reversed(range(x.type.rank))) if axes is None else axes_of(x, axes, "transpose")
    if len(order) != x.type.rank:
        refuse(g, "transpose", f"axes {order} do not name every axis of {x.type}")
    return permuted(g, x, order)


@implements(np.matrix_transpose, np.linalg.matrix_transpose, view=True)
def matrix_transpose(g: Builder, x: Any) -> Value:
    """The last two axes exchanged."""
    return swapaxes(lift(g, x), -1, -2)


@implements(np.swapaxes, view=True)
def swapaxes(g: Builder, a: Any, axis1: Any, axis2: Any) -> Value:
    """Two axes exchanged."""
    x = lift(g, a)
    first, second = axis_of(x, axis1, "swapaxes"), axis_of(x, axis2, "swapaxes")
    order = list(range(x.type.rank))
    order[first], order[second] = second, first
    return permuted(g, x, order)


@implements(np.moveaxis, view=True)
def moveaxis(g: Builder, a: Any, source: Any, destination: Any) -> Value:
    """Axes moved to other positions."""
    x = lift(g, a)
    origin, target = axes_of(x, source, "moveaxis"), axes_of(x, destination, "moveaxis")
    if len(origin) != len(target):
        refuse(g, "moveaxis", f"{source} and {destination} differ in length")
    order = [axis for axis in range(x.type.rank) if axis not in origin]
    for position, axis in sorted(zip(target, origin, strict=True)):
        order.insert(position, axis)
    return permuted(g, x, order)


@implements(np.rollaxis, view=True)
def rollaxis(g: Builder, a: Any, axis: Any, start: Any = 0) -> Value:
    """An axis moved to before another."""
    x = lift(g, a)
    # A negative start counts from the last axis, not from behind it.
    places = x.type.rank + (integer(start, "an axis") >= 0)
    source, target = axis_of(x, axis, "rollaxis"), axis_of(x, start, "rollaxis", places)
    return moveaxis(x, source, target - (source < target))


@implements(np.squeeze, view=True)
def squeeze(g: Builder, a: Any, axis: Any = None) -> Value:
    """Axes of length 1 dropped."""
    x = lift(g, a)
    ones = tuple(k for k, n in enumerate(x.type.shape) if n == 1)
    axes = ones if axis is None else axes_of(x, axis, "squeeze")
    if not set(axes) <= set(ones):
        refuse(g, "squeeze", f"{x.type} is longer than 1 along one of the axes {axes}")
    return g.reshape(x, tuple(n for k, n in enumerate(x.type.shape) if k not in axes))


@implements(np.expand_dims, view=True)
def expand_dims(g: Builder, a: Any, axis: Any) -> Value:
    """New axes of length 1."""
    x, named = lift(g, a), integers(axis, "an axis")
    rank = x.type.rank + len(named)
    axes, lengths = axes_of(x, named, "expand_dims", rank), iter(x.type.shape)
    return g.reshape(x, tuple(1 if k in axes else next(lengths) for k in range(rank)))


@implements(np.broadcast_to, view=True)
def broadcast_to(g: Builder, array: Any, shape: Any) -> Value:
    """The elements repeated to fill a shape."""
    return g.broadcast(lift(g, array), integers(shape, "a shape"))


@implements(np.broadcast_arrays, view=True)
def broadcast_arrays(g: Builder, *args: Any) -> tuple[Value, ...]:
    """Arrays repeated to one shape."""
    return g.align([lift(g, array) for array in args])


def _with_rank(g: Builder, array: Any, rank: int) -> Value:
    value = lift(g, array)
    shape = value.type.shape
    missing = max(rank - len(shape), 0)
    # np.atleast_3d alone puts a matrix in front of its new axis, and a vector between.
    after = missing and int(rank == 3 and len(shape) in (1, 2))
    return g.reshape(value, (*(1,) * (missing - after), *shape, *(1,) * after))


def _each(g: Builder, arrays: tuple[Any, ...], rank: int) -> Value | tuple[Value, ...]:
    values = tuple(_with_rank(g, array, rank) for array in arrays)
    return values[0] if len(values) == 1 else values


@implements(np.atleast_1d, view=True)
def atleast_1d(g: Builder, *arys: Any) -> Value | tuple[Value, ...]:
    """Arrays with one axis or more."""
    return _each(g, arys, 1)


@implements(np.atleast_2d, view=True)
def atleast_2d(g: Builder, *arys: Any) -> Value | tuple[Value, ...]:
    """Arrays with two axes or more."""
    return _each(g, arys, 2)


@implements(np.atleast_3d, view=True)
def atleast_3d(g: Builder, *arys: Any) -> Value | tuple[Value, ...]:
    """Arrays with three axes or more."""
    return _each(g, arys, 3)


@implements(np.flip, view=True)
def flip(g: Builder, m: Any, axis: Any = None) -> Value:
    """The elements in reverse order along axes."""
    x = lift(g, m)
    return g.emit("reverse", x, axes=tuple(sorted(axes_of(x, axis, "flip"))))


@implements(np.flipud, view=True)
def flipud(g: Builder, m: Any) -> Value:
    """The elements in reverse order along the first axis."""
    return flip(lift(g, m), 0)


@implements(np.fliplr, view=True)
def fliplr(g: Builder, m: Any) -> Value:
    """The elements in reverse order along the second axis."""
    return flip(lift(g, m), 1)


@implements(np.rot90, view=True)
def rot90(g: Builder, m: Any, k: Any = 1, axes: Any = (0, 1)) -> Value:
    """The plane of two axes turned by k right angles, from the first towards the second."""
    x = lift(g, m)
    first, second = (axis_of(x, axis, "rot90") for axis in axes)
    turns = integer(k, "a number of turns") % 4
    if turns == 2:
        return flip(x, (first, second))
    if turns == 1:
        return swapaxes(flip(x, second), first, second)
    return flip(swapaxes(x, first, second), second) if turns else x


@implements(np.copy)
def copy(g: Builder, a: Any) -> Value:
    """The array itself: traced arrays do not share memory."""
    return lift(g, a)


@implements(np.shape)
def shape(g: Builder, a: Any) -> tuple[int, ...]:
    """The lengths, known while tracing."""
    return lift(g, a).shape


@implements(np.ndim)
def ndim(g: Builder, a: Any) -> int:
    """The number of axes."""
    return lift(g, a).type.rank


@implements(np.size)
def size(g: Builder, a: Any, axis: Any = None) -> int:
    """The number of elements, of all or along axes."""
    x = lift(g, a)
    return math.prod(x.shape[k] for k in axes_of(x, axis, "size"))


def part(x: Value, axis: int, start: int, stop: int, stride: int = 1) -> Value:
    """Every `stride`-th element from `start` up to but not including `stop` along the axis."""
    starts = tuple(start if k == axis else 0 for k in range(x.type.rank))
    stops = tuple(stop if k == axis else n for k, n in enumerate(x.shape))
    strides = tuple(stride if k == axis else 1 for k in range(x.type.rank))
    if stops == x.shape and not any(starts) and stride == 1:
        return x
    return x.builder.emit("slice", x, starts=starts, stops=stops, strides=strides)
