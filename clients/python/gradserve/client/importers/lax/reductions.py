"""Reductions of whole axes, of all elements up to each one, and of windows."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.client.importers.lax.elements import Operand, finished, held, ordered
from gradserve.client.importers.lax.movement import padded, part
from gradserve.client.importers.lax.ordering import along_axis
from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.ir.types import ElementType
from gradserve.numpy.accumulations import cummax, cummin, logcumsumexp
from gradserve.numpy.arguments import Unsupported

_ON_TRUTHS: dict[str, str] = {"sum": "any", "prod": "all", "max": "any", "min": "all", "and": "all", "or": "any"}


def reduce(g: Builder, x: Operand, fold: str, axes: Sequence[int]) -> Value:
    """The sum, product, extreme and so on along axes.

    Raises:
        Unsupported: it is one of the bits of integers.
    """
    if not axes:
        return x.value
    along = tuple(sorted(axes))
    if x.dtype.kind == "b":
        if fold == "xor":
            count = g.reduce_sum(g.convert(x.value, ElementType.INT64), axes=along)
            return g.ne(g.remainder(count, 2), 0)
        return g.emit(f"reduce_{_ON_TRUTHS[fold]}", x.value, axes=along)
    if fold in ("and", "or", "xor"):
        raise Unsupported(f"reductions by '{fold}' of integers are no op", "reduce truth values")
    if fold in ("max", "min"):
        if 0 in (x.shape[axis] for axis in axes):
            shape = tuple(n for axis, n in enumerate(x.shape) if axis not in axes)
            return g.broadcast(identity(g, fold, x.dtype), shape)
        found = g.emit(f"reduce_{fold}", ordered(g, x), axes=along)
        return ordered(g, Operand(found, x.dtype))
    return finished(g, g.emit(f"reduce_{fold}", x.value, axes=along), x.dtype)


def identity(g: Builder, fold: str, dtype: np.dtype[Any]) -> Value:
    """What a fold begins with."""
    if dtype.kind == "b":
        return g.constant(fold in ("prod", "min", "and"))
    if fold in ("sum", "prod", "or", "xor"):
        return g.constant(int(fold == "prod"), held(dtype))
    if dtype.kind == "f":
        return g.constant(-math.inf if fold == "max" else math.inf, held(dtype))
    limits = np.iinfo(dtype)
    return g.constant(np.array(limits.min if fold == "max" else limits.max, dtype).astype(held(dtype).dtype))


def position(g: Builder, x: Operand, name: str, axis: int, dtype: np.dtype[Any]) -> Value:
    """Where the first largest or smallest element is along an axis."""
    value = g.convert(x.value, ElementType.INT32) if x.dtype.kind == "b" else ordered(g, x)
    return g.convert(g.emit(name, value, axis=axis), held(dtype))


_ACCUMULATED: dict[str, Callable[..., Value]] = {"cummax": cummax, "cummin": cummin, "cumlogsumexp": logcumsumexp}


def accumulate(g: Builder, x: Operand, name: str, axis: int, reverse: bool) -> Value:
    """The sums, products and so on of all elements up to each one, or from each one on."""
    value = g.emit("reverse", x.value, axes=(axis,)) if reverse else x.value
    made = _ACCUMULATED[name](value, axis=axis) if name in _ACCUMULATED else g.emit(name, value, axis=axis)
    made = finished(g, made, x.dtype)
    return g.emit("reverse", made, axes=(axis,)) if reverse else made


@dataclass(frozen=True)
class Frame:
    """How windows lie in an array: a number for each axis."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[int, int], ...]
    base_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]

    @property
    def moved(self) -> tuple[int, ...]:
        """The axes along which there is more to it than the elements one by one."""
        plain = zip(self.sizes, self.strides, self.padding, self.base_dilation, strict=True)
        return tuple(axis for axis, numbers in enumerate(plain) if numbers != (1, 1, (0, 0), 1))

    def padded(self, g: Builder, x: Value, fill: Value) -> Value:
        """The array with `fill` around it and between its elements, less what negative padding takes away."""
        low, high = ([max(pair[side], 0) for pair in self.padding] for side in (0, 1))
        wide = padded(g, x, fill, low, high, [n - 1 for n in self.base_dilation])
        for axis, (before, behind) in enumerate(self.padding):
            if before < 0 or behind < 0:
                wide = part(g, wide, axis, max(-before, 0), wide.shape[axis] + min(behind, 0))
        return wide

    @property
    def attributes(self) -> dict[str, tuple[int, ...]]:
        """Those of the op that takes the windows."""
        named = {"sizes": self.sizes, "strides": self.strides, "dilations": self.window_dilation}
        return {"axes": self.moved} | {name: tuple(each[k] for k in self.moved) for name, each in named.items()}


def reduce_window(g: Builder, x: Operand, fold: str, frame: Frame) -> Value:
    """The reduction of each window."""
    accumulated = _accumulated(g, x, fold, frame)
    if accumulated is not None:
        return accumulated
    fill = identity(g, fold, x.dtype)
    blocks = g.emit("windows", frame.padded(g, x.value, fill), **frame.attributes)
    return reduce(g, Operand(blocks, x.dtype), fold, range(x.rank, blocks.type.rank))


def _accumulated(g: Builder, x: Operand, fold: str, frame: Frame) -> Value | None:
    """All elements up to each one, if that is what the windows are."""
    name = {"sum": "cumsum", "prod": "cumprod", "max": "cummax", "min": "cummin"}.get(fold)
    plain = frame.strides == frame.base_dilation == frame.window_dilation == (1,) * x.rank
    if name is None or x.dtype.kind == "b" or not plain or len(frame.moved) != 1:
        return None
    (axis,) = frame.moved
    n = x.shape[axis]
    sides = {(n - 1, 0): False, (0, n - 1): True}
    if frame.sizes[axis] != n or n < 2 or frame.padding[axis] not in sides:
        return None
    return accumulate(g, x, name, axis, sides[frame.padding[axis]])


def select_and_gather(g: Builder, source: Operand, x: Operand, largest: bool, frame: Frame) -> Value:
    """The elements of `source` where the first extreme of each window of x is; 0 where that is of the padding."""
    if not frame.moved:
        return source.value
    fold = "max" if largest else "min"
    blocks, given = (
        g.emit("windows", frame.padded(g, each.value, fill), **frame.attributes)
        for each, fill in ((x, identity(g, fold, x.dtype)), (source, g.constant(0, source.value.type.element_type)))
    )
    lead = blocks.shape[: x.rank]
    flat, taken = (g.reshape(each, (*lead, math.prod(blocks.shape[x.rank :]))) for each in (blocks, given))
    place = g.emit("argmax" if largest else "argmin", flat, axis=x.rank)
    return g.reshape(along_axis(g, taken, g.reshape(place, (*lead, 1)), x.rank), lead)


def select_and_scatter_add(g: Builder, source: Operand, x: Operand, largest: bool, frame: Frame) -> Value:
    """Zeros in the shape of x, with each element of `source` added where the first extreme of its window is."""
    fold = "max" if largest else "min"
    if not frame.moved:
        return source.value
    wide = frame.padded(g, x.value, identity(g, fold, x.dtype))
    blocks = g.emit("windows", wide, **frame.attributes)
    count = math.prod(blocks.shape[x.rank :])
    flat = g.reshape(blocks, (*blocks.shape[: x.rank], count))
    place = g.emit("argmax" if largest else "argmin", flat, axis=x.rank)
    hit = g.eq(g.reshape(place, (*place.shape, 1)), g.emit("iota", length=count, element_type=ElementType.INT64))
    shares = g.select(hit, g.reshape(source.value, (*source.shape, 1)), 0)
    lengths = tuple(wide.shape[k] for k in frame.moved)
    added = g.emit("overlap_add", g.reshape(shares, blocks.shape), **frame.attributes, lengths=lengths)
    for axis, (before, _) in enumerate(frame.padding):
        added = part(g, added, axis, before, before + x.shape[axis]) if before or added.shape != x.shape else added
    return added
