"""Arrays in other shapes: axes moved, added and dropped, elements repeated and turned round."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.client.numpy_surface.operands import axes_of, axis_of, integer, integers, lift
from gradserve.client.numpy_surface.table import implements
from gradserve.client.tracing.origins import untraceable
from gradserve.ir.builder import Builder, Value
from gradserve.numpy import shaping, windows


def _require_row_major(order: str) -> None:
    if order != "C":
        raise untraceable(f"order={order!r} cannot be traced", "transpose before and after: graphs are row-major")


@implements(np.reshape, view=True)
def reshape(g: Builder, a: Any, shape: Any, order: str = "C") -> Value:
    """The elements in row-major order in another shape."""
    _require_row_major(order)
    return shaping.reshape(lift(g, a), integers(shape, "a shape"))


@implements(np.ravel, view=True)
def ravel(g: Builder, a: Any, order: str = "C") -> Value:
    """The elements in row-major order."""
    _require_row_major(order)
    return shaping.ravel(lift(g, a))


@implements(np.transpose, np.permute_dims, view=True)
def transpose(g: Builder, a: Any, axes: Any = None) -> Value:
    """The axes in another order; reversed if none is given."""
    return shaping.transpose(lift(g, a), None if axes is None else integers(axes, "an order of axes"))


@implements(np.matrix_transpose, np.linalg.matrix_transpose, view=True)
def matrix_transpose(g: Builder, x: Any) -> Value:
    """The last two axes exchanged."""
    return shaping.swapaxes(lift(g, x), -1, -2)


@implements(np.swapaxes, view=True)
def swapaxes(g: Builder, a: Any, axis1: Any, axis2: Any) -> Value:
    """Two axes exchanged."""
    return shaping.swapaxes(lift(g, a), integer(axis1, "an axis"), integer(axis2, "an axis"))


@implements(np.moveaxis, view=True)
def moveaxis(g: Builder, a: Any, source: Any, destination: Any) -> Value:
    """Axes moved to other positions."""
    return shaping.moveaxis(lift(g, a), integers(source, "an axis"), integers(destination, "an axis"))


@implements(np.rollaxis, view=True)
def rollaxis(g: Builder, a: Any, axis: Any, start: Any = 0) -> Value:
    """An axis moved to before another."""
    return shaping.rollaxis(lift(g, a), integer(axis, "an axis"), integer(start, "an axis"))


@implements(np.squeeze, view=True)
def squeeze(g: Builder, a: Any, axis: Any = None) -> Value:
    """Axes of length 1 dropped."""
    return shaping.squeeze(lift(g, a), None if axis is None else integers(axis, "an axis"))


@implements(np.expand_dims, view=True)
def expand_dims(g: Builder, a: Any, axis: Any) -> Value:
    """New axes of length 1."""
    return shaping.expand_dims(lift(g, a), integers(axis, "an axis"))


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
    return shaping.flip(x, axes_of(x, axis))


@implements(np.flipud, view=True)
def flipud(g: Builder, m: Any) -> Value:
    """The elements in reverse order along the first axis."""
    return shaping.flip(lift(g, m), 0)


@implements(np.fliplr, view=True)
def fliplr(g: Builder, m: Any) -> Value:
    """The elements in reverse order along the second axis."""
    return shaping.flip(lift(g, m), 1)


@implements(np.rot90, view=True)
def rot90(g: Builder, m: Any, k: Any = 1, axes: Any = (0, 1)) -> Value:
    """The plane of two axes turned by k right angles, from the first towards the second."""
    x = lift(g, m)
    first, second = (axis_of(x, axis) for axis in axes)
    turns = integer(k, "a number of turns") % 4
    if turns == 2:
        return shaping.flip(x, (first, second))
    if turns == 1:
        return shaping.swapaxes(shaping.flip(x, second), first, second)
    return shaping.flip(shaping.swapaxes(x, first, second), second) if turns else x


@implements(np.roll)
def roll(g: Builder, a: Any, shift: Any, axis: Any = None) -> Value:
    """The elements moved on along axes, the last ones round to the front."""
    shifts = integers(shift, "a shift")
    if axis is None:
        return shaping.roll(lift(g, a), sum(shifts))
    return shaping.roll(lift(g, a), shifts if len(shifts) > 1 else shifts[0], integers(axis, "an axis"))


@implements(np.tile)
def tile(g: Builder, A: Any, reps: Any) -> Value:
    """The array repeated as a whole."""
    return shaping.tile(lift(g, A), integers(reps, "a number of repetitions"))


@implements(np.repeat)
def repeat(g: Builder, a: Any, repeats: Any, axis: Any = None) -> Value:
    """Each element repeated, all equally often or each as often as it says."""
    x = lift(g, a)
    counts = integers(repeats, "a number of repetitions")
    if len(counts) == 1:
        return shaping.repeat(x, counts[0], None if axis is None else axis_of(x, axis))
    if axis is None:
        x, axis = shaping.ravel(x), 0
    along = axis_of(x, axis)
    return g.emit("gather", x, np.repeat(np.arange(x.shape[along]), counts), axis=along)


@implements(np.meshgrid)
def meshgrid(g: Builder, *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Value, ...]:
    """The coordinates of a grid, each varying along its own axis."""
    del copy
    values = [shaping.ravel(lift(g, x)) for x in xi]
    rank = len(values)
    axes = list(range(rank))
    if indexing == "xy" and rank > 1:
        axes[:2] = 1, 0
    grids = [
        g.reshape(x, tuple(x.shape[0] if k == axis else 1 for k in range(rank)))
        for x, axis in zip(values, axes, strict=True)
    ]
    return tuple(grids) if sparse else g.align(grids)


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
    return math.prod(x.shape[k] for k in axes_of(x, axis))


@implements(np.lib.stride_tricks.sliding_window_view, view=True)
def sliding_window_view(g: Builder, x: Any, window_shape: Any, axis: Any = None) -> Value:
    """All windows of a shape, along new last axes."""
    value = lift(g, x)
    sizes = integers(window_shape, "a window")
    named = range(value.type.rank) if axis is None else [axis_of(value, k) for k in integers(axis, "an axis")]
    if len(sizes) != len(named):
        raise ValueError("Must provide window_shape for all dimensions of `x`, or one for each axis")
    for along, window in zip(named, sizes, strict=True):  # one after the other, as an axis may be named twice
        if window > value.shape[along]:
            raise ValueError("window shape cannot be larger than input array shape")
        value = windows.windows(value, (window,), (along,))
    return value


@implements(np.fft.fftshift)
def fftshift(g: Builder, x: Any, axes: Any = None) -> Value:
    """The halves along axes exchanged, so that the first element comes into the middle."""
    return _shifted(g, x, axes, lambda n: n // 2)


@implements(np.fft.ifftshift)
def ifftshift(g: Builder, x: Any, axes: Any = None) -> Value:
    """What fftshift undoes."""
    return _shifted(g, x, axes, lambda n: -(n // 2))


def _shifted(g: Builder, x: Any, axes: Any, distance: Callable[[int], int]) -> Value:
    value = lift(g, x)
    named = axes_of(value, axes)
    return shaping.roll(value, [distance(value.shape[k]) for k in named], named) if named else value
