"""Sums, extrema and moments along axes, with NumPy's arguments."""

from __future__ import annotations

import builtins
import math

from gradserve.ir.builder import Operand, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import (
    Axis,
    all_axes,
    builder_of,
    kept,
    lifted,
    one_axis,
    reduced_axes,
    refuse,
)
from gradserve.ops.family import to_float
from gradserve.ops.movement.shapes import permuted


def _reduced(op: str, x: Operand, axis: Axis, keepdims: bool) -> Value:
    g, (value,) = lifted(x)
    axes = reduced_axes(value, axis, op.removeprefix("reduce_"))
    return kept(g, g.emit(op, value, axes=axes), value, axes, keepdims)


def sum(x: Operand, axis: Axis = None, keepdims: bool = False) -> Value:
    """The sum along the axes, as np.sum."""
    return _reduced("reduce_sum", x, axis, keepdims)


def prod(x: Operand, axis: Axis = None, keepdims: bool = False) -> Value:
    """The product along the axes, as np.prod."""
    return _reduced("reduce_prod", x, axis, keepdims)


def max(x: Operand, axis: Axis = None, keepdims: bool = False) -> Value:
    """The largest element along the axes, as np.max."""
    return _reduced("reduce_max", x, axis, keepdims)


def min(x: Operand, axis: Axis = None, keepdims: bool = False) -> Value:
    """The smallest element along the axes, as np.min."""
    return _reduced("reduce_min", x, axis, keepdims)


def any(x: Operand, axis: Axis = None, keepdims: bool = False) -> Value:
    """Whether an element along the axes is true or not zero, as np.any."""
    return _reduced("reduce_any", _truth(x), axis, keepdims)


def all(x: Operand, axis: Axis = None, keepdims: bool = False) -> Value:
    """Whether every element along the axes is true or not zero, as np.all."""
    return _reduced("reduce_all", _truth(x), axis, keepdims)


def _truth(x: Operand) -> Value:
    g, (value,) = lifted(x)
    return value if value.type.element_type is ElementType.BOOL else g.emit("ne", value, 0)


def count_nonzero(x: Operand, axis: Axis = None, keepdims: bool = False) -> Value:
    """The number of elements that are true or not zero, as np.count_nonzero."""
    return sum(_truth(x), axis, keepdims)


def argmax(x: Operand, axis: int | None = None, keepdims: bool = False) -> Value:
    """The first position of the largest element, as np.argmax; in row-major order if no axis is given."""
    return _position("argmax", x, axis, keepdims)


def argmin(x: Operand, axis: int | None = None, keepdims: bool = False) -> Value:
    """The first position of the smallest element, as np.argmin; in row-major order if no axis is given."""
    return _position("argmin", x, axis, keepdims)


def _position(op: str, x: Operand, axis: int | None, keepdims: bool) -> Value:
    g, (value,) = lifted(x)
    if axis is None:
        found = g.emit(op, g.reshape(value, (value.type.size,)), axis=0)
        return kept(g, found, value, tuple(range(value.type.rank)), keepdims)
    along = one_axis(value, axis, op)
    return kept(g, g.emit(op, value, axis=along), value, (along,), keepdims)


def cumsum(x: Operand, axis: int | None = None) -> Value:
    """The sums of the first elements, as np.cumsum; in row-major order if no axis is given."""
    g, (value,) = lifted(x)
    if axis is None:
        return g.emit("cumsum", g.reshape(value, (value.type.size,)), axis=0)
    return g.emit("cumsum", value, axis=one_axis(value, axis, "cumsum"))


def mean(x: Operand, axis: Axis = None, keepdims: bool = False) -> Value:
    """The mean along the axes, as np.mean; NaN over no elements."""
    value = to_float(builder_of(x), x)
    return sum(value, axis, keepdims) / float(_count(value, reduced_axes(value, axis, "mean")))


def average(x: Operand, axis: Axis = None, weights: Operand | None = None, keepdims: bool = False) -> Value:
    """The weighted mean along the axes, as np.average: weights have the shape of x, or one for each of one axis."""
    if weights is None:
        return mean(x, axis, keepdims)
    g, (value, weight) = lifted(x, weights)
    given = all_axes(value, axis, "average")
    axes = tuple(sorted(given))
    if weight.type.shape != value.type.shape:
        if weight.type.shape != tuple(value.type.shape[k] for k in given):
            refuse(g, "average", f"weights {weight.type} do not fit {value.type} along axes {given}")
        weight = permuted(g, weight, tuple(map(given.index, axes)))  # their axes come in the order given
        weight = g.reshape(weight, tuple(n if k in axes else 1 for k, n in enumerate(value.type.shape)))
        weight = g.broadcast(weight, value.type.shape)
    return sum(value * weight, axes, keepdims) / sum(weight, axes, keepdims)


def var(x: Operand, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Value:
    """The mean squared distance from the mean, as np.var; divided by the number of elements less `ddof`."""
    value = to_float(builder_of(x), x)
    axes = reduced_axes(value, axis, "var")
    distance = value - mean(value, axes, keepdims=True)
    # No more elements than ddof: division by zero, and so NaN, as in NumPy.
    return sum(distance * distance, axes, keepdims) / float(builtins.max(_count(value, axes) - ddof, 0))


def std(x: Operand, axis: Axis = None, ddof: float = 0, keepdims: bool = False) -> Value:
    """The root of the variance, as np.std. Its derivative where all elements are equal is 0, as that of `norm`."""
    return root(var(x, axis, ddof, keepdims))


def root(square: Value) -> Value:
    """The root of a sum of squares; its derivative at 0 is 0, the shortest of the subgradients of a norm there."""
    g = square.builder
    vanishes = g.emit("eq", square, 0)
    return g.emit("select", vanishes, 0, g.emit("sqrt", g.emit("select", vanishes, 1, square)))


def _count(x: Value, axes: tuple[int, ...]) -> int:
    return math.prod(x.shape[axis] for axis in axes)
