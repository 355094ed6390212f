"""Elements moved round, repeated and laid out as grids and windows."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import axes_of, axis_of, integers, lift
from gradserve.numpy.shaping import part, ravel
from gradserve.numpy.table import implements


@implements(np.roll)
def roll(g: Builder, a: Any, shift: Any, axis: Any = None) -> Value:
    """The elements moved on along axes, the last ones round to the front."""
    x, shifts = lift(g, a), integers(shift, "a shift")
    if axis is None:
        return g.reshape(roll(ravel(x), sum(shifts), 0), x.type.shape)
    # Unlike elsewhere an axis may come twice here, and its shifts add up.
    named = [axis_of(x, k, "roll") for k in integers(axis, "an axis")]
    if len(named) == 1:
        named *= len(shifts)
    elif len(shifts) == 1:
        shifts *= len(named)
    for along, distance in zip(named, shifts, strict=True):
        length = x.shape[along]
        cut = length - distance % length if length else 0
        if cut != length and length:
            x = g.emit("concatenate", part(x, along, cut, length), part(x, along, 0, cut), axis=along)
    return x


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
    named = axes_of(value, axes, "fftshift")
    return roll(value, [distance(value.shape[k]) for k in named], named) if named else value


@implements(np.tile)
def tile(g: Builder, A: Any, reps: Any) -> Value:
    """The array repeated as a whole."""
    x, counts = lift(g, A), integers(reps, "a number of repetitions")
    rank = max(len(counts), x.type.rank)
    counts = (1,) * (rank - len(counts)) + counts
    shape = (1,) * (rank - x.type.rank) + x.shape
    apart = g.reshape(x, tuple(n for length in shape for n in (1, length)))
    repeated = g.broadcast(apart, tuple(n for pair in zip(counts, shape, strict=True) for n in pair))
    return g.reshape(repeated, tuple(map(operator.mul, counts, shape)))


@implements(np.repeat)
def repeat(g: Builder, a: Any, repeats: Any, axis: Any = None) -> Value:
    """Each element repeated, all equally often or each as often as it says."""
    x, counts = lift(g, a), integers(repeats, "a number of repetitions")
    if axis is None:
        x, axis = ravel(x), 0
    along = axis_of(x, axis, "repeat")
    before, length, after = x.shape[:along], x.shape[along], x.shape[along + 1 :]
    if len(counts) != 1:
        return g.emit("gather", x, np.repeat(np.arange(length), counts), axis=along)
    apart = g.reshape(x, (*before, length, 1, *after))
    return g.reshape(g.broadcast(apart, (*before, length, *counts, *after)), (*before, length * counts[0], *after))


@implements(np.resize)
def resize(g: Builder, a: Any, new_shape: Any) -> Value:
    """The elements in row-major order in another shape, begun anew as often as it takes, or cut off."""
    x, shape = ravel(lift(g, a)), integers(new_shape, "a shape")
    size = math.prod(shape)
    if not x.type.size:
        return g.zeros(x.type.with_shape(shape))
    return g.reshape(part(tile(x, -(-size // x.type.size)), 0, 0, size), shape)


@implements(np.meshgrid)
def meshgrid(g: Builder, *xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Value, ...]:
    """The coordinates of a grid, each varying along its own axis."""
    del copy
    values = [ravel(lift(g, x)) for x in xi]
    rank = len(values)
    axes = list(range(rank))
    if indexing == "xy" and rank > 1:
        axes[:2] = 1, 0
    grids = [
        g.reshape(x, tuple(x.shape[0] if k == axis else 1 for k in range(rank)))
        for x, axis in zip(values, axes, strict=True)
    ]
    return tuple(grids) if sparse else g.align(grids)
