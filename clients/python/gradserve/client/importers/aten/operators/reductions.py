"""Reductions along axes, running sums, and positions of extremes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gradserve.client.importers.aten.table import Node, Result, Scalar, axes_in, axis_in, translates
from gradserve.client.importers.lax import normalising, ordering
from gradserve.client.importers.lax import reductions as lax
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.lax.movement import along, numbers
from gradserve.ir.builder import Value
from gradserve.numpy import exponentials, norms, statistics

Axes = int | Sequence[int] | None


def _shaped(n: Node, reduced: Value, number: int = 0) -> Value:
    """In the shape that the program tells: reduced axes are gone, or have length 1."""
    shape = n.shapes[number]
    return reduced if shape is None else n.g.reshape(reduced, shape)


@translates("sum", "prod")
def _sum(n: Node, x: Operand, dim: Axes = None, keepdim: bool = False, dtype: object = None) -> Result:
    """The sum or the product along axes."""
    return _shaped(n, lax.reduce(n.g, n.operand(x), n.name, axes_in(dim, x.rank)))


@translates("mean")
def _mean(n: Node, x: Operand, dim: Axes = None, keepdim: bool = False, dtype: object = None) -> Result:
    """The mean along axes."""
    return _shaped(n, normalising.mean(n.g, n.of(x), axes_in(dim, x.rank)))


@translates("any", "all")
def _any(n: Node, x: Operand, dim: Axes = None, keepdim: bool = False) -> Result:
    """Whether some or all elements along axes are not zero."""
    truths, axes = n.of(x, np.dtype(np.bool_)), axes_in(dim, x.rank)
    return _shaped(n, n.g.emit(f"reduce_{n.name}", truths, axes=axes) if axes else truths)


@translates("amax", "amin", "max.default", "min.default", "max.unary_out", "min.unary_out")
def _extreme(n: Node, x: Operand, dim: Axes = None, keepdim: bool = False) -> Result:
    """The largest or smallest element along axes; equal ones share the derivative evenly."""
    return _shaped(n, lax.reduce(n.g, x, n.name.removeprefix("a"), axes_in(dim, x.rank)))


@translates("max.other", "min.other")
def _of_two(n: Node, x: Operand, y: Operand) -> Result:
    """The larger or the smaller of two."""
    return n.g.emit("maximum" if n.name == "max" else "minimum", n.of(x), n.of(y))


@translates("max.dim", "min.dim")
def _extreme_and_place(n: Node, x: Operand, dim: int, keepdim: bool = False) -> Result:
    """The largest or smallest element along an axis, and where the first such is; it alone has a derivative."""
    if not x.rank:
        return [x, n.g.constant(0)]
    axis = axis_in(dim, x.rank)
    place = lax.position(n.g, x, f"arg{n.name}", axis, np.dtype(np.int64))
    wide = n.g.reshape(place, tuple(1 if k == axis else m for k, m in enumerate(x.shape)))
    found = ordering.along_axis(n.g, x.value, wide, axis)
    return [_shaped(n, found), _shaped(n, place, 1)]


@translates("argmax", "argmin")
def _place(n: Node, x: Operand, dim: int | None = None, keepdim: bool = False) -> Result:
    """Where the first extreme is along an axis, or among all elements in a row."""
    if not x.rank:
        return n.g.constant(0)
    flat = x if dim is not None else Operand(n.g.reshape(x.value, (math.prod(x.shape),)), x.dtype)
    axis = 0 if dim is None else axis_in(dim, x.rank)
    return _shaped(n, lax.position(n.g, flat, n.name, axis, np.dtype(np.int64)))


@translates("cumsum", "cumprod", "logcumsumexp")
def _cumulated(n: Node, x: Operand, dim: int, dtype: object = None) -> Result:
    """The sums or products of all elements up to each one."""
    if not x.rank:
        return n.of(x)
    name = "cumlogsumexp" if n.name == "logcumsumexp" else n.name
    return lax.accumulate(n.g, n.operand(x), name, axis_in(dim, x.rank), False)


@translates("cummax", "cummin")
def _running_extreme(n: Node, x: Operand, dim: int) -> Result:
    """The extremes of all elements up to each one, and where the last such is; it alone has a derivative."""
    if not x.rank:
        return [x, n.g.constant(0)]
    g, axis = n.g, axis_in(dim, x.rank)
    running = lax.accumulate(g, Operand(g.stop_gradient(x.value), x.dtype), n.name, axis, False)
    reached = g.logical_or(g.eq(x.value, running), g.ne(x.value, x.value))
    own = g.broadcast(along(g, numbers(g, x.shape[axis]), axis, x.rank), x.shape)
    place = lax.accumulate(g, Operand(g.select(reached, own, 0), np.dtype(np.int64)), "cummax", axis, False)
    return [ordering.along_axis(g, x.value, place, axis), place]


@translates("logsumexp")
def _logsumexp(n: Node, x: Operand, dim: Axes, keepdim: bool = False) -> Result:
    """The logarithm of the sum of exponentials along axes."""
    axes = axes_in(dim, x.rank)
    return _shaped(n, exponentials.logsumexp(n.of(x), axis=axes) if axes else n.of(x))  # type: ignore[arg-type]


@translates("var", "std", "var_mean", "std_mean")
def _var(
    n: Node, x: Operand, dim: Axes | bool = None, unbiased: bool | None = None, keepdim: bool = False, **named: Scalar
) -> Result:
    """The variance or the standard deviation along axes, of n - correction degrees of freedom."""
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = named.get("correction")
    less = float(correction) if correction is not None else float(unbiased is not False)
    axes, g = axes_in(dim, x.rank), n.g
    centre = normalising.mean(g, x.value, axes)
    rest = g.sub(x.value, centre)
    count = math.prod(x.shape[k] for k in axes)
    square = g.real(g.mul(rest, g.conj(rest))) if x.is_complex else g.mul(rest, rest)
    squares = g.reduce_sum(square, axes=axes) if axes else square
    spread = g.div(squares, max(count - less, 0.0))
    if n.name.startswith("std"):
        spread = statistics.root(spread)
    return [_shaped(n, spread), _shaped(n, centre, 1)] if n.name.endswith("mean") else _shaped(n, spread)


@translates("norm", "linalg_vector_norm")
def _norm(
    n: Node, x: Operand, ord: Scalar | None = 2, dim: Axes = None, keepdim: bool = False, dtype: object = None
) -> Result:
    """The p-norm of the elements along axes."""
    g, value, axes = n.g, x.value if x.is_complex else n.of(x), axes_in(dim, x.rank)
    if not axes:
        return _shaped(n, g.abs(value) if ord else g.convert(g.ne(value, 0), n.of(0).type.element_type))
    rest = [k for k in range(x.rank) if k not in axes]
    lines = g.reshape(
        g.emit("permute", value, order=(*rest, *axes)),
        (*(x.shape[k] for k in rest), math.prod(x.shape[k] for k in axes)),
    )
    return _shaped(n, norms.vector_norm(lines, axis=-1, ord=2 if ord is None else ord))


@translates("count_nonzero")
def _count_nonzero(n: Node, x: Operand, dim: Axes = None) -> Result:
    """How many elements along axes are not zero."""
    ones = n.g.convert(n.of(x, np.dtype(np.bool_)), n.of(0).type.element_type)
    axes = axes_in(dim, x.rank)
    return n.g.reduce_sum(ones, axes=axes) if axes else ones
