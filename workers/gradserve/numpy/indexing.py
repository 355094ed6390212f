"""Indexing: `x[...]` with numbers, slices, None, Ellipsis, masks and arrays of positions, all by NumPy's rules."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.types import Array, ElementType
from gradserve.numpy.arguments import Unsupported, as_operand, axis_of, integer, lift, promoted
from gradserve.numpy.shaping import ravel
from gradserve.numpy.table import implements
from gradserve.ops.movement.shapes import permuted

ALL = slice(None)


def is_basic(key: Any) -> bool:
    """Whether NumPy would return a view."""
    parts = key if isinstance(key, tuple) else (key,)
    return all(part is None or part is Ellipsis or isinstance(part, slice) or _is_integer(part) for part in parts)


def getitem(g: Builder, x: Value, key: Any) -> Value:
    """The elements of x that the key selects.

    Raises:
        Untraceable: the key is a traced mask, so that the shape of the result depends on numbers.
        IndexError: the key does not fit x.
    """
    parts = _complete(x, [_part(g, part) for part in (key if isinstance(key, tuple) else (key,))])
    basic = _apply_basic(g, x, parts)
    positions = [k for k, part in enumerate(part for part in parts if not isinstance(part, int)) if _is_array(part)]
    if not positions:
        return basic
    indices = [part for part in parts if _is_array(part)]
    # NumPy counts numbers as arrays here: where something stands between them, the new axes come first.
    advanced = [k for k, part in enumerate(parts) if isinstance(part, int) or _is_array(part)]
    if advanced[-1] - advanced[0] >= len(advanced):
        others = [axis for axis in range(basic.type.rank) if axis not in positions]
        basic = permuted(g, basic, (*positions, *others))
        positions = list(range(len(positions)))
    return _gather(g, basic, positions[0], indices)


def _is_integer(part: Any) -> bool:
    if isinstance(part, bool | np.bool_ | Value):
        return False
    if isinstance(part, np.ndarray):
        return part.ndim == 0 and part.dtype.kind in "iu"
    return isinstance(part, int | np.integer)


def _is_array(part: Any) -> bool:
    return isinstance(part, np.ndarray | Value)


def _part(g: Builder, part: Any) -> Any:
    """One part of a key as an int, a slice of numbers, None, Ellipsis, a mask, or an array of positions."""
    if part is None or part is Ellipsis:
        return part
    if isinstance(part, slice):
        return slice(*(None if n is None else integer(n, "a slice") for n in (part.start, part.stop, part.step)))
    if _is_integer(part):
        return operator.index(part)
    if isinstance(part, list | tuple):
        part = as_operand(g, part) if len(part) else np.zeros(0, np.int64)
    if isinstance(part, Value):
        return _traced(g, part)
    if isinstance(part, np.ndarray) and part.dtype.kind in "iub" and part.ndim:
        return part if part.dtype == np.bool_ else part.astype(np.int64)
    raise IndexError(
        "only integers, slices (`:`), ellipsis (`...`), None and integer or boolean arrays are valid indices, "
        f"not {part!r}"
    )


def _traced(g: Builder, index: Value) -> Value:
    if index.type.element_type is ElementType.BOOL:
        raise Unsupported(
            "a traced mask selects a number of elements that depends on numbers",
            "write np.where(mask, x, 0), or use a mask of captured data",
        )
    if index.type.is_float:
        raise IndexError("arrays used as indices must be of integer (or boolean) type")
    return g.convert(index, ElementType.INT64)


def _consumed(part: Any) -> int:
    """The axes of x that a part of a key speaks about."""
    if part is None or part is Ellipsis:
        return 0
    return part.ndim if isinstance(part, np.ndarray) and part.dtype == np.bool_ else 1


def _complete(x: Value, parts: list[Any]) -> list[Any]:
    """The parts with one for every axis of x: Ellipsis spelt out, masks as positions, all checked against lengths."""
    missing = x.type.rank - sum(map(_consumed, parts))
    if missing < 0:
        raise IndexError(
            f"too many indices for array: array is {x.type.rank}-dimensional, but {x.type.rank - missing} were indexed"
        )
    dots = [k for k, part in enumerate(parts) if part is Ellipsis]
    if len(dots) > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    at = dots[0] if dots else len(parts)
    parts = [*parts[:at], *[ALL] * missing, *parts[at + 1 :]]
    complete: list[Any] = []
    axis = 0
    for part in parts:
        complete += _fitted(part, x.shape[axis : axis + _consumed(part)], axis)
        axis += _consumed(part)
    return complete


def _fitted(part: Any, lengths: tuple[int, ...], axis: int) -> list[Any]:
    """The part against the lengths of the axes it speaks about, counted from the front."""
    if isinstance(part, int):
        (n,) = lengths
        if not -n <= part < n:
            raise IndexError(f"index {part} is out of bounds for axis {axis} with size {n}")
        return [part % n]
    if isinstance(part, np.ndarray) and part.dtype == np.bool_:
        if part.shape != lengths:
            raise IndexError(f"boolean index of shape {part.shape} did not match indexed array of shape {lengths}")
        return list(part.nonzero())
    if isinstance(part, np.ndarray):
        (n,) = lengths
        outside = part[(part < -n) | (part >= n)]
        if outside.size:
            raise IndexError(f"index {outside.flat[0]} is out of bounds for axis {axis} with size {n}")
        return [np.where(part < 0, part + n, part)]
    return [part]


def _apply_basic(g: Builder, x: Value, parts: Sequence[Any]) -> Value:
    """x cut by the numbers and slices, with the new axes; axes indexed by arrays stay whole."""
    of_axes = [part for part in parts if part is not None]
    ranges = [_range(part, n) for part, n in zip(of_axes, x.shape, strict=True)]
    backward = tuple(axis for axis, r in enumerate(ranges) if r.step < 0)
    forward = [r[::-1] if r.step < 0 else r for r in ranges]
    if any(len(r) != n for r, n in zip(forward, x.shape, strict=True)):
        bounds = {
            "starts": tuple(r.start if len(r) else 0 for r in forward),
            "stops": tuple(r[-1] + 1 if len(r) else 0 for r in forward),
            "strides": tuple(r.step if len(r) > 1 else 1 for r in forward),
        }
        x = g.emit("slice", x, **bounds)
    if backward:
        x = g.emit("reverse", x, axes=backward)
    lengths = iter(x.shape)
    shape = [(1 if part is None else next(lengths), part) for part in parts]
    return g.reshape(x, tuple(n for n, part in shape if not isinstance(part, int)))


def _range(part: Any, length: int) -> range:
    if isinstance(part, int):
        return range(part, part + 1)
    return range(length)[part] if isinstance(part, slice) else range(length)


def _gather(g: Builder, x: Value, first: int, indices: Sequence[Array | Value]) -> Value:
    """The elements of x at positions along neighbouring axes, of which `first` is the first."""
    count = len(indices)
    lengths = x.shape[first : first + count]
    wrapped = [_wrapped(g, index, n) for index, n in zip(indices, lengths, strict=True)]
    if count == 1:
        return g.emit("gather", x, wrapped[0], axis=first)
    merged = g.reshape(x, (*x.shape[:first], math.prod(lengths), *x.shape[first + count :]))
    return g.emit("gather", merged, _merged(g, wrapped, lengths), axis=first)


def _wrapped(g: Builder, index: Array | Value, length: int) -> Array | Value:
    """Positions counted from the front; captured ones are already."""
    if not isinstance(index, Value):
        return index
    return g.select(g.lt(index, 0), g.add(index, length), index)


def _merged(g: Builder, indices: Sequence[Array | Value], lengths: tuple[int, ...]) -> Operand:
    """Positions along several axes as positions along all of them merged."""
    strides = [math.prod(lengths[k + 1 :]) for k in range(len(lengths))]
    captured = [index * stride for index, stride in zip(indices, strides, strict=True) if not isinstance(index, Value)]
    merged: Operand = functools.reduce(operator.add, captured) if captured else 0
    traced = [part for part in zip(indices, lengths, strides, strict=True) if isinstance(part[0], Value)]
    for index, _, stride in traced:
        merged = g.add(merged, g.mul(index, stride))
    for index, length, _ in traced:
        # A position outside of its own axis could be one inside the merged axis: there it must stay outside.
        outside = g.logical_or(g.lt(index, 0), g.ge(index, length))
        merged = g.select(outside, math.prod(lengths), merged)
    return merged


@implements(np.take)
def take(g: Builder, a: Any, indices: Any, axis: Any = None, mode: str = "raise") -> Value:
    """The slices at positions along an axis."""
    x, index = lift(g, a), as_operand(g, indices)
    if axis is None:
        x, axis = ravel(x), 0
    along = axis_of(x, axis, "take")
    n = x.shape[along]
    if mode == "clip":
        index = g.clip(g.lift(index), 0, n - 1) if isinstance(index, Value) else np.clip(index, 0, n - 1)
    elif mode == "wrap":
        index = g.remainder(index, n) if isinstance(index, Value) else np.asarray(index) % n
    return getitem(g, x, (*(ALL,) * along, index))


@implements(np.take_along_axis)
def take_along_axis(g: Builder, arr: Any, indices: Any, axis: Any = -1) -> Value:
    """For each vector along an axis, its elements at the positions in the same place."""
    x, index = lift(g, arr), as_operand(g, indices)
    if axis is None:
        x, axis = ravel(x), 0
    return getitem(g, x, along_axis(g, x, index, axis_of(x, axis, "take_along_axis")))


def along_axis(g: Builder, x: Value, index: Operand, axis: int) -> tuple[Any, ...]:
    """The key that selects, for each vector along an axis, its elements at the positions in the same place."""
    rank = x.type.rank
    if (index.type.rank if isinstance(index, Value) else np.ndim(index)) != rank:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    key = [np.arange(n).reshape((1,) * k + (-1,) + (1,) * (rank - k - 1)) for k, n in enumerate(x.shape)]
    return (*key[:axis], index, *key[axis + 1 :])


@implements(np.compress)
def compress(g: Builder, condition: Any, a: Any, axis: Any = None) -> Value:
    """The slices along an axis where a captured condition holds."""
    if isinstance(condition, Value):
        raise Unsupported(
            "np.compress by a traced condition selects a number of elements that depends on numbers",
            "write np.where(condition, x, 0)",
        )
    x = lift(g, a)
    if axis is None:
        x, axis = ravel(x), 0
    along = axis_of(x, axis, "compress")
    return g.emit("gather", x, np.compress(condition, np.arange(x.shape[along])), axis=along)


@implements(np.choose)
def choose(g: Builder, a: Any, choices: Any, mode: str = "raise") -> Value:
    """For each position in a, the element there of the choice that it names."""
    index, options = lift(g, a), promoted(g, *choices)
    count = len(options)
    if mode == "raise":
        index = _wrapped_by_nothing(g, index, count)
    index = g.clip(index, 0, count - 1) if mode == "clip" else g.remainder(index, count)
    result = options[0]
    for k, option in enumerate(options[1:], start=1):
        result = g.select(g.eq(index, k), option, result)
    return g.broadcast(result, g.align([index, *options])[0].type.shape)


def _wrapped_by_nothing(g: Builder, index: Value, count: int) -> Value:
    """The positions, each looked up in 0, 1, 2, ..., which is refused when run if one is not there."""
    return g.emit("gather", np.arange(count), g.convert(index, ElementType.INT64), axis=0)
