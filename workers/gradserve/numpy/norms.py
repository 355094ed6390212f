"""Norms of vectors and matrices, and condition numbers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import reductions
from gradserve.numpy.arguments import axes_of, kept, lift, refuse, to_float
from gradserve.numpy.decompositions import singular_values
from gradserve.numpy.reductions import count_nonzero
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.shaping import transpose
from gradserve.numpy.statistics import root
from gradserve.numpy.systems import inv
from gradserve.numpy.table import implements
from gradserve.ops.elementwise.parts import squared_size
from gradserve.ops.linalg.stacked import part
from gradserve.ops.movement.shapes import permuted


@implements(np.linalg.norm)
def norm(g: Builder, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Value:
    """The norm of vectors or matrices.

    Its derivative where the norm is 0 is 0: the shortest of the subgradients there. So it is for the nuclear norm in
    what singular values of 0 add to it. Norms of order 2 and -2 have none where the extreme singular value is repeated.
    """
    value = to_float(g, x)
    if axis is None and ord is not None and value.type.rank > 2:
        raise ValueError("Improper number of dimensions to norm.")
    axes = axes_of(value, axis, "norm")
    if ord is None or (ord == "fro" and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return root(sum_along(squared_size(g, value), axes, keepdims=keepdims))
    if len(axes) == 1 and not isinstance(ord, str):
        return _vector_norm(g, value, float(ord), axes, keepdims)
    if len(axes) == 2 and ord in (2, -2, "nuc"):
        return _singular_norm(g, value, ord, axes, keepdims)
    if len(axes) != 2 or ord not in (1, -1, math.inf, -math.inf):
        refuse(g, "norm", f"there is no norm of order {ord!r} along {len(axes)} axes")
    # The sum of sizes in each column (1) or row (inf); then the largest or the smallest of these.
    rows, columns = axes
    along = rows if abs(float(ord)) == 1 else columns
    sizes = sum_along(g.abs(value), along, keepdims=True)
    extreme = (reductions.max if float(ord) > 0 else reductions.min)(sizes, axes, keepdims=True)
    return extreme if keepdims else sum_along(extreme, axes)


def _singular_norm(g: Builder, x: Value, order: Any, axes: tuple[int, ...], keepdims: bool) -> Value:
    """The sum, the largest or the smallest of the singular values of matrices along two axes."""
    others = tuple(axis for axis in range(x.type.rank) if axis not in axes)
    s = singular_values(g, permuted(g, x, (*others, *axes)), free=order == "nuc")
    if order != "nuc":
        first = 0 if order == 2 else s.shape[-1] - 1
        s = part(g, s, first, min(first + 1, s.shape[-1]))
    return kept(g, sum_along(s, -1), x, axes, keepdims)


def _vector_norm(g: Builder, x: Value, order: float, axes: tuple[int, ...], keepdims: bool) -> Value:
    sizes = g.abs(x)
    if math.isinf(order):
        return (reductions.max if order > 0 else reductions.min)(sizes, axes, keepdims)
    if order == 0:
        return g.convert(count_nonzero(x, axes, keepdims), x.type.element_type.part)
    if order == 1:
        return sum_along(sizes, axes, keepdims=keepdims)
    power = sum_along(g.pow(sizes, order), axes, keepdims=keepdims)
    vanishes = g.eq(power, 0)
    return g.select(vanishes, 0, g.pow(g.select(vanishes, 1, power), 1 / order))


@implements(np.linalg.vector_norm)
def vector_norm(g: Builder, x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Value:
    """The norm of vectors along axes, or of all elements as one vector."""
    value = lift(g, x)
    axes = axes_of(value, axis, "vector_norm")
    others = tuple(k for k in range(value.type.rank) if k not in axes)
    merged = transpose(value, (*others, *axes))
    merged = g.reshape(merged, (*(value.shape[k] for k in others), math.prod(value.shape[k] for k in axes)))
    return kept(g, norm(merged, ord, -1), value, axes, keepdims)


@implements(np.linalg.matrix_norm)
def matrix_norm(g: Builder, x: Any, keepdims: bool = False, ord: Any = "fro") -> Value:
    """The norm of matrices along the last two axes."""
    return norm(lift(g, x), ord, (-2, -1), keepdims)


@implements(np.linalg.cond)
def cond(g: Builder, x: Any, p: Any = None) -> Value:
    """The condition number in a norm: of order 2, or as np.linalg.norm counts them."""
    value = to_float(g, x)
    if value.type.rank < 2 or not value.type.size:
        refuse(g, "cond", f"{value.type} is no matrix, or empty")
    if p is not None and p not in (2, -2):
        return g.mul(norm(value, p, (-2, -1)), norm(inv(value), p, (-2, -1)))
    s = singular_values(g, value)
    largest, smallest = (sum_along(part(g, s, k, k + 1), -1) for k in (0, s.shape[-1] - 1))
    return g.div(smallest, largest) if p == -2 else g.div(largest, smallest)
