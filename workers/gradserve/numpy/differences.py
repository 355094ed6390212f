"""What is computed from neighbouring elements: differences, slopes and integrals."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import as_operand, axes_of, axis_of, integer, lift, to_float
from gradserve.numpy.joining import concatenate
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.shaping import part, ravel
from gradserve.numpy.table import implements


@implements(np.diff)
def diff(g: Builder, a: Any, n: Any = 1, axis: Any = -1, prepend: Any = None, append: Any = None) -> Value:
    """Each element less the one before it, n times."""
    x = lift(g, a)
    along = axis_of(x, axis, "diff")
    times = integer(n, "the number of differences")
    if not times:
        return x
    ends = [_end(g, x, along, end) for end in (prepend, append)]
    if any(end is not None for end in ends):
        x = concatenate([each for each in (ends[0], x, ends[1]) if each is not None], along)
    difference = g.ne if x.type.element_type is ElementType.BOOL else g.sub
    for _ in range(times):
        length = x.shape[along]
        x = difference(part(x, along, min(1, length), length), part(x, along, 0, max(length - 1, 0)))
    return x


def _end(g: Builder, x: Value, axis: int, end: Any) -> Value | None:
    if end is None:
        return None
    value = lift(g, end)
    return value if value.type.rank else g.broadcast(value, tuple(1 if k == axis else n for k, n in enumerate(x.shape)))


@implements(np.ediff1d)
def ediff1d(g: Builder, ary: Any) -> Value:
    """Each element less the one before it, in row-major order."""
    return diff(ravel(lift(g, ary)))


@implements(np.gradient)
def gradient(g: Builder, f: Any, *varargs: Any, axis: Any = None, edge_order: Any = 1) -> Value | tuple[Value, ...]:
    """Slopes along axes: central differences of the second order inside, one-sided ones at the edges."""
    x = to_float(g, f)
    axes = axes_of(x, axis, "gradient")
    spacings = list(varargs) * len(axes) if len(varargs) == 1 else list(varargs) or [1.0] * len(axes)
    if len(spacings) != len(axes):
        raise TypeError("invalid number of arguments")
    order = integer(edge_order, "the order at the edges")
    if order not in (1, 2):
        raise ValueError("'edge_order' greater than 2 not supported")
    slopes = tuple(_slope(g, x, k, as_operand(g, step), order) for k, step in zip(axes, spacings, strict=True))
    return slopes[0] if len(slopes) == 1 else slopes


def _slope(g: Builder, x: Value, axis: int, spacing: Any, order: int) -> Value:
    n = x.shape[axis]
    if n < order + 1:
        raise ValueError(
            "Shape of array too small to calculate a numerical gradient, "
            "at least (edge_order + 1) elements are required."
        )
    step = g.convert(g.lift(spacing), x.type.element_type)
    if step.type.rank == 1:
        if step.shape[0] != n:
            raise ValueError("when 1d, distances must match the length of the corresponding dimension")
        return _uneven_slope(g, x, axis, _laid_along(g, diff(step), axis, x.type.rank), order)
    if step.type.rank:
        raise ValueError("distances must be either scalars or 1d")
    steps = diff(x, 1, axis)
    first, last = (part(steps, axis, k, k + 1) for k in (0, n - 2))
    inner = g.mul(g.add(part(steps, axis, 0, n - 2), part(steps, axis, 1, n - 1)), 0.5)
    if order == 2:
        second, one_before = (part(steps, axis, k, k + 1) for k in (1, n - 3))
        first, last = (g.sub(g.mul(a, 1.5), g.mul(b, 0.5)) for a, b in ((first, second), (last, one_before)))
    return g.div(concatenate([first, inner, last], axis), step)


def _laid_along(g: Builder, vector: Value, axis: int, rank: int) -> Value:
    return g.reshape(vector, tuple(vector.shape[0] if k == axis else 1 for k in range(rank)))


def _uneven_slope(g: Builder, x: Value, axis: int, widths: Value, order: int) -> Value:
    """The slopes of parabolas through three neighbours; at the edges of theirs, or of the first and last line."""
    n = x.shape[axis]
    slopes = g.div(diff(x, 1, axis), widths)
    left, right = (part(slopes, axis, k, n - 2 + k) for k in (0, 1))
    before, after = (part(widths, axis, k, n - 2 + k) for k in (0, 1))
    bend = g.div(g.sub(right, left), g.add(before, after))
    inner = g.add(left, g.mul(bend, before))
    first, last = (part(slopes, axis, k, k + 1) for k in (0, n - 2))
    if order == 2:
        bends = [part(bend, axis, k, k + 1) for k in (0, n - 3)]
        first = g.sub(first, g.mul(bends[0], part(widths, axis, 0, 1)))
        last = g.add(last, g.mul(bends[1], part(widths, axis, n - 2, n - 1)))
    return concatenate([first, inner, last], axis)


@implements(np.trapezoid)
def trapezoid(g: Builder, y: Any, x: Any = None, dx: Any = 1.0, axis: Any = -1) -> Value:
    """The integral of the piecewise linear function through y, over x or with spacing dx."""
    height = lift(g, y)  # of integers and truth values NumPy adds the pairs first
    along = axis_of(height, axis, "trapezoid")
    n = height.shape[along]
    width: Any = as_operand(g, dx)
    if x is not None:
        width = diff(lift(g, x), 1, -1 if lift(g, x).type.rank == 1 else along)
        if width.type.rank == 1:
            width = g.reshape(width, tuple(n - 1 if k == along else 1 for k in range(height.type.rank)))
    pairs = g.add(part(height, along, 1, n), part(height, along, 0, n - 1))
    return sum_along(g.mul(g.mul(width, pairs), 0.5), along)
