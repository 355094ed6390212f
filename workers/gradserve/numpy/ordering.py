"""Elements in ascending order, the one in the middle, and positions among ordered ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, axis_of, is_of_scalar, lift
from gradserve.numpy.joining import concatenate
from gradserve.numpy.shaping import part, ravel
from gradserve.numpy.table import implements


@implements(np.sort)
def sort(g: Builder, a: Any, axis: Any = -1, kind: Any = None, *, stable: Any = None) -> Value:
    """The elements in ascending order. Among equal ones, the first has the first one's derivative."""
    x, along = _placed(lift(g, a), axis, "sort")
    return g.sort(x, axis=along)


@implements(np.argsort)
def argsort(g: Builder, a: Any, axis: Any = -1, kind: Any = None, *, stable: Any = None) -> Value:
    """The positions that sort; equal elements keep their order, whatever kind of algorithm is asked for."""
    x = lift(g, a)
    x, along = _placed(x, None if is_of_scalar(x, axis) else axis, "argsort")
    return g.argsort(x, axis=along)


def _placed(x: Value, axis: Any, function: str) -> tuple[Value, int]:
    return (ravel(x), 0) if axis is None else (x, axis_of(x, axis, function))


@implements(np.partition)
def partition(g: Builder, a: Any, kth: Any, axis: Any = -1, kind: Any = None) -> Value:
    """The elements in ascending order, which leaves every kth one at its place."""
    return sort(_with_places(g, a, kth, axis), axis)


@implements(np.argpartition)
def argpartition(g: Builder, a: Any, kth: Any, axis: Any = -1, kind: Any = None) -> Value:
    """The positions that sort, which bring every kth element to its place."""
    return argsort(_with_places(g, a, kth, axis), axis)


def _with_places(g: Builder, a: Any, kth: Any, axis: Any) -> Value:
    """The array, once NumPy has agreed to the places."""
    x = lift(g, a)
    length = x.type.size if axis is None else x.shape[axis_of(x, axis, "partition")]
    np.argpartition(np.arange(length), kth)
    return x


@implements(np.searchsorted)
def searchsorted(g: Builder, a: Any, v: Any, side: str = "left") -> Value:
    """How many elements of the ascending a are below v, or not above it: where v would be put in."""
    x, y = g.promote([lift(g, a), lift(g, v)])
    if x.type.rank != 1:
        raise ValueError("object too deep for desired array")
    if side not in ("left", "right"):
        raise ValueError(f"search side must be 'left' or 'right' (got {side!r})")
    return g.emit("searchsorted", x, y, right=side == "right")


@implements(np.digitize)
def digitize(g: Builder, x: Any, bins: Any, right: bool = False) -> Value:
    """The number of the bin that each element falls into; bins ascend, or descend."""
    if isinstance(bins, Value):
        raise Unsupported("the bins of np.digitize are traced", "use np.searchsorted, whose bins may be")
    edges = np.asarray(bins)
    falling = len(edges) > 1 and edges[0] > edges[-1]
    np.digitize(0.0, edges)  # NumPy's own error where they do neither
    found = searchsorted(edges[::-1] if falling else edges, x, "left" if right else "right")
    return g.sub(len(edges), found) if falling else found


@implements(np.unwrap)
def unwrap(g: Builder, p: Any, discont: Any = None, axis: Any = -1, *, period: Any = 2 * np.pi) -> Value:
    """Angles with whole turns added, so that each is near the one before it."""
    x = lift(g, p)
    if not x.type.is_float:
        raise Unsupported("np.unwrap of integers cannot be traced", "convert them by .astype(np.float64)")
    along = axis_of(x, axis, "unwrap")
    length = x.shape[along]
    if not length:
        return x
    steps = g.sub(part(x, along, 1, length), part(x, along, 0, length - 1))
    half = period / 2
    wrapped = g.sub(g.remainder(g.add(steps, half), period), half)
    wrapped = g.select(g.logical_and(g.eq(wrapped, -half), g.gt(steps, 0)), half, wrapped)
    least = half if discont is None else discont
    turns = g.select(g.lt(g.abs(steps), least), 0, g.sub(wrapped, steps))
    rest = g.add(part(x, along, 1, length), g.cumsum(turns, axis=along))
    return concatenate([part(x, along, 0, 1), rest], along)
