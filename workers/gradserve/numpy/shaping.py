"""Arrays put into other shapes, cut apart and laid together, with NumPy's arguments."""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Sequence

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.numpy.arguments import Axis, all_axes, builder_of, lifted, one_axis, promoted, refuse
from gradserve.ops.movement.shapes import permuted


def reshape(x: Operand, shape: int | Sequence[int]) -> Value:
    """The elements in row-major order in another shape; one length may be -1 and follows from the others."""
    g, (value,) = lifted(x)
    lengths = [operator.index(n) for n in (shape if isinstance(shape, Sequence) else (shape,))]
    if lengths.count(-1) == 1:
        others = -math.prod(lengths)
        if not others or value.type.size % others:
            refuse(g, "reshape", f"{value.type} does not fit the shape {tuple(lengths)}")
        lengths[lengths.index(-1)] = value.type.size // others
    return g.reshape(value, tuple(lengths))


def ravel(x: Operand) -> Value:
    """The elements in row-major order along one axis."""
    return reshape(x, -1) if builder_of(x).lift(x).type.size else reshape(x, 0)


def transpose(x: Operand, axes: Sequence[int] | None = None) -> Value:
    """The axes in another order: reversed if none is given."""
    g, (value,) = lifted(x)
    order = tuple(reversed(range(value.type.rank))) if axes is None else all_axes(value, axes, "transpose")
    if len(order) != value.type.rank:
        refuse(g, "transpose", f"axes {order} do not name every axis of {value.type}")
    return permuted(g, value, order)


def swapaxes(x: Operand, axis1: int, axis2: int) -> Value:
    """Two axes exchanged."""
    g, (value,) = lifted(x)
    first, second = one_axis(value, axis1, "swapaxes"), one_axis(value, axis2, "swapaxes")
    order = list(range(value.type.rank))
    order[first], order[second] = second, first
    return permuted(g, value, order)


def moveaxis(x: Operand, source: int | Sequence[int], destination: int | Sequence[int]) -> Value:
    """Axes moved to other positions; the rest keep their order."""
    g, (value,) = lifted(x)
    origin, target = all_axes(value, source, "moveaxis"), all_axes(value, destination, "moveaxis")
    if len(origin) != len(target):
        refuse(g, "moveaxis", f"{source} and {destination} differ in length")
    order = [axis for axis in range(value.type.rank) if axis not in origin]
    for position, axis in sorted(zip(target, origin, strict=True)):
        order.insert(position, axis)
    return permuted(g, value, order)


def rollaxis(x: Operand, axis: int, start: int = 0) -> Value:
    """The axis moved to before the axis `start`."""
    _, (value,) = lifted(x)
    places = value.type.rank + (start >= 0)  # a negative start counts from the last axis, not from behind it
    source, target = one_axis(value, axis, "rollaxis"), one_axis(value, start, "rollaxis", places)
    return moveaxis(value, source, target - (source < target))


def expand_dims(x: Operand, axis: int | Sequence[int]) -> Value:
    """New axes of length 1 at these positions of the result."""
    g, (value,) = lifted(x)
    count = len(axis) if isinstance(axis, Sequence) else 1
    axes = all_axes(value, axis, "expand_dims", value.type.rank + count)
    lengths = iter(value.type.shape)
    return g.reshape(value, tuple(1 if k in axes else next(lengths) for k in range(value.type.rank + count)))


def squeeze(x: Operand, axis: Axis = None) -> Value:
    """The axes of length 1 dropped: all of them, or those named."""
    g, (value,) = lifted(x)
    if axis is None:
        return g.reshape(value, tuple(n for n in value.type.shape if n != 1))
    axes = all_axes(value, axis, "squeeze")
    if any(value.type.shape[k] != 1 for k in axes):
        refuse(g, "squeeze", f"{value.type} is longer than 1 along one of the axes {axes}")
    return g.reshape(value, tuple(n for k, n in enumerate(value.type.shape) if k not in axes))


def broadcast_to(x: Operand, shape: int | Sequence[int]) -> Value:
    """The elements repeated by NumPy's rule."""
    g, (value,) = lifted(x)
    return g.broadcast(value, tuple(shape) if isinstance(shape, Sequence) else (shape,))


def concatenate(operands: Sequence[Operand], axis: int | None = 0) -> Value:
    """The operands one after the other along the axis; flattened first if there is none."""
    g, values = promoted(*operands)
    if axis is None:
        return g.emit("concatenate", *(ravel(value) for value in values), axis=0)
    return _joined(g, values, one_axis(values[0], axis, "concatenate"))


def _joined(g: Builder, values: Sequence[Value], axis: int) -> Value:
    return values[0] if len(values) == 1 else g.emit("concatenate", *values, axis=axis)


def stack(operands: Sequence[Operand], axis: int = 0) -> Value:
    """The operands one after the other along a new axis."""
    g, values = promoted(*operands)
    if any(value.type.shape != values[0].type.shape for value in values):
        refuse(g, "stack", f"shapes differ: {', '.join(str(value.type) for value in values)}")
    position = one_axis(values[0], axis, "stack", values[0].type.rank + 1)
    return _joined(g, [expand_dims(value, position) for value in values], position)


def split(x: Operand, parts: int | Sequence[int], axis: int = 0) -> list[Value]:
    """Equal parts along the axis, or the parts between the positions given."""
    g, (value,) = lifted(x)
    along = one_axis(value, axis, "split")
    length = value.shape[along]
    if isinstance(parts, Sequence):
        edges = [0, *(slice(stop).indices(length)[1] for stop in parts), length]
    elif parts < 1 or length % parts:
        refuse(g, "split", f"{value.type} has no {parts} equal parts along axis {along}")
    else:
        edges = [k * (length // parts) for k in range(parts + 1)]
    return [part(value, along, start, max(start, stop)) for start, stop in itertools.pairwise(edges)]


def part(x: Value, axis: int, start: int, stop: int, stride: int = 1) -> Value:
    """Every `stride`-th element from `start` up to but not including `stop` along the axis."""
    starts = tuple(start if k == axis else 0 for k in range(x.type.rank))
    stops = tuple(stop if k == axis else n for k, n in enumerate(x.shape))
    strides = tuple(stride if k == axis else 1 for k in range(x.type.rank))
    if stops == x.shape and not any(starts) and stride == 1:
        return x
    return x.builder.emit("slice", x, starts=starts, stops=stops, strides=strides)


def flip(x: Operand, axis: Axis = None) -> Value:
    """The elements in reverse order along the axes."""
    g, (value,) = lifted(x)
    return g.emit("reverse", value, axes=tuple(sorted(all_axes(value, axis, "flip"))))


def roll(x: Operand, shift: int | Sequence[int], axis: Axis = None) -> Value:
    """The elements moved on along the axes, the last ones round to the front; in row-major order without an axis."""
    g, (value,) = lifted(x)
    if axis is None:
        return g.reshape(roll(ravel(value), shift, 0), value.type.shape)
    # Unlike elsewhere an axis may come twice here, and its shifts add up.
    named = [one_axis(value, k, "roll") for k in (axis if isinstance(axis, Sequence) else (axis,))]
    shifts = list(shift) if isinstance(shift, Sequence) else [shift] * len(named)
    if len(named) == 1:
        named *= len(shifts)
    for along, distance in zip(named, shifts, strict=True):
        length = value.shape[along]
        cut = length - distance % length if length else 0
        if cut != length and length:
            value = _joined(g, [part(value, along, cut, length), part(value, along, 0, cut)], along)
    return value


def tile(x: Operand, repetitions: int | Sequence[int]) -> Value:
    """The array repeated as a whole along each axis, the last ones first."""
    g, (value,) = lifted(x)
    counts = tuple(repetitions) if isinstance(repetitions, Sequence) else (repetitions,)
    rank = max(len(counts), value.type.rank)
    counts = (1,) * (rank - len(counts)) + counts
    shape = (1,) * (rank - value.type.rank) + value.shape
    apart = g.reshape(value, tuple(n for length in shape for n in (1, length)))
    repeated = g.broadcast(apart, tuple(n for pair in zip(counts, shape, strict=True) for n in pair))
    return g.reshape(repeated, tuple(map(operator.mul, counts, shape)))


def repeat(x: Operand, count: int, axis: int | None = None) -> Value:
    """Each element `count` times in a row along the axis; in row-major order without an axis."""
    g, (value,) = lifted(x)
    if axis is None:
        value, axis = ravel(value), 0
    along = one_axis(value, axis, "repeat")
    before, length, after = value.shape[:along], value.shape[along], value.shape[along + 1 :]
    apart = g.reshape(value, (*before, length, 1, *after))
    return g.reshape(g.broadcast(apart, (*before, length, count, *after)), (*before, length * count, *after))
