"""Arrays in other shapes: XLA's broadcasts, pads and slices, the latter at computed positions as well."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.lax.elements import Operand, held
from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.ir.types import Array, ElementType, TensorType
from gradserve.ops.movement.shapes import constant_behind


def broadcast_in_dim(g: Builder, x: Operand, shape: Sequence[int], dimensions: Sequence[int]) -> Value:
    """x with its axes at these places of a shape, repeated along the others and along those of length 1."""
    lengths = dict(zip(dimensions, x.shape, strict=True))
    return g.broadcast(g.reshape(x.value, tuple(lengths.get(k, 1) for k in range(len(shape)))), tuple(shape))


def iota(g: Builder, dtype: np.dtype[np.generic], shape: Sequence[int], dimension: int) -> Value:
    """Along one axis the numbers from 0 on, the same along all others."""
    line = g.emit("iota", length=shape[dimension], element_type=held(dtype))
    return broadcast_in_dim(g, Operand(line, dtype), shape, (dimension,))


def numbers(g: Builder, length: int) -> Value:
    """The numbers from 0 on, as positions."""
    return g.emit("iota", length=length, element_type=ElementType.INT64)


def along(g: Builder, line: Value, axis: int, rank: int) -> Value:
    """A vector as an array that has lengths of 1 along all axes but one."""
    return g.reshape(line, (*(1,) * axis, line.shape[0], *(1,) * (rank - axis - 1)))


def pad(g: Builder, x: Operand, fill: Operand, config: Sequence[tuple[int, int, int]]) -> Value:
    """x with `fill` before, behind and between its elements along each axis; negative numbers take elements away."""
    low, high, interior = ([edge[k] for edge in config] for k in range(3))
    kept = padded(g, x.value, fill.value, [max(n, 0) for n in low], [max(n, 0) for n in high], interior)
    starts = tuple(max(-n, 0) for n in low)
    stops = tuple(max(n - max(-k, 0), start) for n, k, start in zip(kept.shape, high, starts, strict=True))
    if not any(starts) and stops == kept.shape:
        return kept
    return g.emit("slice", kept, starts=starts, stops=stops, strides=(1,) * len(starts))


def padded(
    g: Builder, x: Value, fill: Value, low: Sequence[int], high: Sequence[int], interior: Sequence[int] | None = None
) -> Value:
    """x with `fill` around it and between its elements."""
    spread = interior or [0] * x.type.rank
    if not any((*low, *high, *spread)):
        return x
    attributes = {"low": tuple(low), "high": tuple(high), "interior": tuple(spread)}
    framed = g.emit("pad", x, **attributes)
    known = constant_behind(g, fill)
    if known is not None and not _has_sign(known) and not known.any():
        return framed
    inside = g.emit("pad", g.full(TensorType(ElementType.BOOL, x.type.shape), True), **attributes)
    return g.select(inside, framed, fill)


def _has_sign(numbers: Array) -> bool:
    """Whether any of them is negative, or a zero or a part that is."""
    parts = (numbers.real, numbers.imag) if numbers.dtype.kind == "c" else (numbers.astype(np.float64),)
    return any(np.signbit(part).any() for part in parts)


def concatenate(g: Builder, operands: Sequence[Operand], axis: int) -> Value:
    """The operands one behind the other."""
    return g.emit("concatenate", *(x.value for x in operands), axis=axis)


def stack(g: Builder, operands: Sequence[Operand], axis: int) -> Value:
    """The operands one behind the other along a new axis."""
    shape = list(operands[0].shape)
    shape.insert(axis, 1)
    return g.emit("concatenate", *(g.reshape(x.value, tuple(shape)) for x in operands), axis=axis)


def unstack(g: Builder, x: Operand, axis: int) -> list[Value]:
    """The slices along an axis, without it."""
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return [g.reshape(part(g, x.value, axis, k, k + 1), shape) for k in range(x.shape[axis])]


def sliced(g: Builder, x: Operand, starts: Sequence[int], stops: Sequence[int], strides: Sequence[int]) -> Value:
    """Every `strides`-th element from `starts` to before `stops`."""
    return g.emit("slice", x.value, starts=tuple(starts), stops=tuple(stops), strides=tuple(strides))


def part(g: Builder, x: Value, axis: int, start: int, stop: int) -> Value:
    """The elements from a start to before a stop along one axis."""
    starts, stops = [0] * x.type.rank, list(x.shape)
    starts[axis], stops[axis] = start, stop
    return g.emit("slice", x, starts=tuple(starts), stops=tuple(stops), strides=(1,) * x.type.rank)


def dynamic_slice(g: Builder, x: Operand, starts: Sequence[Operand], sizes: Sequence[int]) -> Value:
    """The elements from computed positions on, which are brought to where all of them are inside."""
    found = x.value
    for axis, (start, size) in enumerate(zip(starts, sizes, strict=True)):
        n = x.shape[axis]
        if size == n:
            continue
        first = _inside(g, start, n - size)
        known = g.literal(first)
        if isinstance(known, Literal):
            found = part(g, found, axis, int(known.array), int(known.array) + size)
        else:
            found = g.emit("gather", found, g.add(first, numbers(g, size)), axis=axis)
    return found


def dynamic_update_slice(g: Builder, x: Operand, update: Operand, starts: Sequence[Operand]) -> Value:
    """x with other elements from computed positions on, which are brought to where all of them are inside."""
    rank, new = x.rank, update.value
    inside = g.full(TensorType(ElementType.BOOL, x.value.type.shape), True)
    for axis, (start, n, size) in enumerate(zip(starts, x.shape, update.shape, strict=True)):
        if size == n:
            continue
        place = g.sub(numbers(g, n), _inside(g, start, n - size))
        within = g.logical_and(g.ge(place, 0), g.lt(place, size))
        inside = g.logical_and(inside, along(g, within, axis, rank))
        if not size:
            return x.value
        new = g.emit("gather", new, g.minimum(g.maximum(place, 0), size - 1), axis=axis)
    return g.select(inside, new, x.value)


def _inside(g: Builder, start: Operand, most: int) -> Value:
    """A position between 0 and the last one from which all elements are inside."""
    known = g.literal(start.value)
    if isinstance(known, Literal):
        return g.constant(min(max(int(known.array), 0), most), ElementType.INT64)
    return g.minimum(g.maximum(g.convert(start.value, ElementType.INT64), 0), most)


def reverse(g: Builder, x: Operand, axes: Sequence[int]) -> Value:
    """The elements in reverse order along axes."""
    return g.emit("reverse", x.value, axes=tuple(sorted(axes))) if axes else x.value


def permute(g: Builder, x: Value, order: Sequence[int]) -> Value:
    """The axes in another order; x itself if it is the same."""
    return x if list(order) == list(range(x.type.rank)) else g.emit("permute", x, order=tuple(order))
