"""Arrays with more elements around them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported, lift
from gradserve.numpy.joining import concatenate
from gradserve.numpy.quantiles import median
from gradserve.numpy.reductions import max as max_along
from gradserve.numpy.reductions import min as min_along
from gradserve.numpy.shaping import part
from gradserve.numpy.statistics import mean
from gradserve.numpy.table import implements

_MOVED = ("edge", "reflect", "symmetric", "wrap")
"""Modes that repeat elements of the array."""
_REDUCED: dict[str, Callable[..., Value]] = {
    "maximum": max_along,
    "mean": mean,
    "median": median,
    "minimum": min_along,
}
"""Modes that reduce the elements at an edge to one."""


@implements(np.pad)
def pad(
    g: Builder,
    array: Any,
    pad_width: Any,
    mode: Any = "constant",
    constant_values: Any = 0,
    end_values: Any = 0,
    stat_length: Any = None,
    reflect_type: str = "even",
) -> Value:
    """The array with more elements around it: a constant, its own repeated or mirrored, ramps, means of its edges."""
    x = lift(g, array)
    widths = _pairs(pad_width, x.type.rank, "pad_width")
    if x.type.element_type is ElementType.BOOL and mode in ("linear_ramp", "mean", "median"):
        raise Unsupported(f"np.pad of truth values with mode={mode!r} cannot be traced", "convert them by .astype(int)")
    if mode == "constant":
        return _pad_constant(g, x, widths, constant_values)
    if mode == "empty":  # of which NumPy promises nothing
        return _pad_constant(g, x, widths, 0)
    if mode == "linear_ramp":
        ends = _pairs(end_values, x.type.rank, "end_values")
        return _each_axis(x, widths, lambda x, axis, width: _ramps(g, x, axis, width, ends[axis]))
    if mode in _REDUCED:
        lengths = _pairs(x.type.size if stat_length is None else stat_length, x.type.rank, "stat_length")
        return _each_axis(x, widths, lambda x, axis, width: _statistics(g, x, axis, width, lengths[axis], mode))
    if mode not in _MOVED:
        known = ", ".join(("constant", "empty", "linear_ramp", *sorted(_REDUCED), *_MOVED))
        raise Unsupported(f"np.pad with mode={mode!r} cannot be traced", f"{known} can")
    if reflect_type != "even" and mode in ("reflect", "symmetric"):
        return _each_axis(x, widths, lambda x, axis, width: _odd(g, x, axis, width, mode))
    return _each_axis(x, widths, lambda x, axis, width: _moved(g, x, axis, width, mode))


def _each_axis(x: Value, widths: Sequence[Any], extend: Callable[[Value, int, Any], Value]) -> Value:
    for axis, width in enumerate(widths):
        if any(width):
            x = extend(x, axis, width)
    return x


def _pairs(numbers: Any, rank: int, name: str) -> list[tuple[Any, Any]]:
    if isinstance(numbers, Value):
        raise Unsupported(f"np.pad with a traced {name}= cannot be traced", "join the parts by np.concatenate")
    if isinstance(numbers, dict):
        pairs = [(0, 0)] * rank
        for axis, number in numbers.items():
            pairs[axis] = number if isinstance(number, tuple) else (number, number)
        return pairs
    return [tuple(pair) for pair in np.broadcast_to(np.asarray(numbers), (rank, 2)).tolist()]


def _pad_constant(g: Builder, x: Value, widths: Sequence[tuple[int, int]], constants: Any) -> Value:
    pairs = _pairs(constants, x.type.rank, "constant_values")
    if not np.any(pairs):
        before, after = (tuple(width[k] for width in widths) for k in (0, 1))
        return g.emit("pad", x, low=before, high=after, interior=(0,) * x.type.rank) if any(before + after) else x
    for axis, numbers in enumerate(pairs):
        low, high = (g.full(_edge_type(x, axis, n), c) for n, c in zip(widths[axis], numbers, strict=True))
        x = concatenate([low, x, high], axis)
    return x


def _edge_type(x: Value, axis: int, count: int) -> Any:
    return x.type.with_shape((*x.shape[:axis], count, *x.shape[axis + 1 :]))


def _moved(g: Builder, x: Value, axis: int, width: tuple[int, int], mode: Any) -> Value:
    return g.emit("gather", x, np.pad(np.arange(x.shape[axis]), width, mode=mode), axis=axis)


def _odd(g: Builder, x: Value, axis: int, width: tuple[int, int], mode: Any) -> Value:
    """Mirrored at the edge and turned over: 2 x[edge] - x, and again at each edge that is met further on.

    What NumPy makes of the line 0, 1, 2, ... tells how: such lines go on straight, so that a value is the place.
    """
    n = x.shape[axis]
    places = np.pad(np.arange(n), width, mode=mode)
    period = max(2 * (n - 1) if mode == "reflect" else 2 * n, 1)
    straight = np.arange(-width[0], n + width[1])
    rounds = np.floor_divide(straight, period)
    mirrored = (np.mod(straight, period) >= n).astype(int)
    signs = np.where(mirrored, -1.0, 1.0)
    first, last = (part(x, axis, k, k + 1) for k in (0, n - 1))
    along = tuple(-1 if k == axis else 1 for k in range(x.type.rank))
    element_type = x.type.element_type
    moved = g.mul(g.emit("gather", x, places, axis=axis), g.constant(signs.reshape(along), element_type))
    # One round adds twice the rise from edge to edge; the way back starts from twice the last element.
    rise = g.mul(g.sub(last, first), g.constant((2 * rounds).reshape(along), element_type))
    return g.add(g.add(moved, rise), g.mul(last, g.constant((2 * mirrored).reshape(along), element_type)))


def _ramps(g: Builder, x: Value, axis: int, width: tuple[int, int], ends: tuple[Any, Any]) -> Value:
    """Straight lines from the end values to the edges."""
    parts = []
    for side, (count, end) in enumerate(zip(width, ends, strict=True)):
        at = 0 if side == 0 else x.shape[axis] - 1
        edge = part(x, axis, at, at + 1)
        share = np.arange(count) / max(count, 1)
        share = (share if side == 0 else share[::-1]).reshape(tuple(-1 if k == axis else 1 for k in range(x.type.rank)))
        ramp = g.add(g.mul(edge, share), (1 - share) * float(end))
        parts.append(g.convert(ramp if x.type.is_float else g.floor(ramp), x.type.element_type))
    return concatenate([parts[0], x, parts[1]], axis)


def _statistics(g: Builder, x: Value, axis: int, width: tuple[int, int], lengths: Any, mode: str) -> Value:
    """One number for each edge, from so many elements next to it."""
    n = x.shape[axis]
    parts = []
    for side, (count, length) in enumerate(zip(width, lengths, strict=True)):
        taken = min(length, n)
        block = part(x, axis, 0, taken) if side == 0 else part(x, axis, n - taken, n)
        number = _REDUCED[mode](block, axis, keepdims=True)
        number = g.round(number) if number.type.is_float and not x.type.is_float else number
        parts.append(g.broadcast(g.convert(number, x.type.element_type), _edge_type(x, axis, count).shape))
    return concatenate([parts[0], x, parts[1]], axis)
