"""Diagonals, triangles and special matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import axis_of, integer, lift, refuse
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.shaping import ravel
from gradserve.numpy.table import implements
from gradserve.ops.linalg import triangles
from gradserve.ops.movement.shapes import permuted


@implements(np.diagonal, view=True)
def diagonal(g: Builder, a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Value:
    """The elements on a diagonal of two axes.

    With the two axes laid end to end these are equally spaced, so that a slice takes them and nothing is computed.
    """
    value, offset = lift(g, a), integer(offset, "a diagonal")
    first, second = axis_of(value, axis1, "diagonal"), axis_of(value, axis2, "diagonal")
    if first == second:
        refuse(g, "diagonal", f"axes {axis1} and {axis2} of {value.type} are one")
    others = tuple(axis for axis in range(value.type.rank) if axis not in (first, second))
    value = permuted(g, value, (*others, first, second))
    *leading, rows, columns = value.shape
    start = offset if offset >= 0 else -offset * columns
    count = max(min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns), 0)
    start, stop = (start, start + (count - 1) * (columns + 1) + 1) if count else (0, 0)
    return g.emit(
        "slice",
        g.reshape(value, (*leading, rows * columns)),
        starts=(*(0 for _ in leading), start),
        stops=(*leading, stop),
        strides=(*(1 for _ in leading), columns + 1),
    )


@implements(np.trace)
def trace(g: Builder, a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None) -> Value:
    """The sum of the elements on a diagonal of two axes."""
    return sum_along(diagonal(lift(g, a), offset, axis1, axis2), -1, dtype)


@implements(np.linalg.diagonal, view=True)
def linalg_diagonal(g: Builder, x: Any, offset: Any = 0) -> Value:
    """The elements on a diagonal of the last two axes."""
    return diagonal(lift(g, x), offset, -2, -1)


@implements(np.linalg.trace)
def linalg_trace(g: Builder, x: Any, offset: Any = 0, dtype: Any = None) -> Value:
    """The sum of the elements on a diagonal of the last two axes."""
    return trace(lift(g, x), offset, -2, -1, dtype)


@implements(np.diag)
def diag(g: Builder, v: Any, k: Any = 0) -> Value:
    """The diagonal of a matrix, or the matrix with a diagonal."""
    value, k = lift(g, v), integer(k, "a diagonal")
    if value.type.rank == 2:
        return diagonal(value, k)
    if value.type.rank != 1:
        refuse(g, "diag", f"{value.type} is neither a vector nor a matrix")
    (length,) = value.shape
    size = length + abs(k)
    start = k if k >= 0 else -k * size
    spread = length + (length - 1) * size if length else 0
    flat = g.emit("pad", value, low=(start,), high=(size * size - start - spread,), interior=(size,))
    return g.reshape(flat, (size, size))


@implements(np.diagflat)
def diagflat(g: Builder, v: Any, k: Any = 0) -> Value:
    """The matrix with all elements on a diagonal."""
    return diag(ravel(lift(g, v)), k)


@implements(np.tril)
def tril(g: Builder, m: Any, k: Any = 0) -> Value:
    """The matrix with zeros above a diagonal."""
    return triangles.lower(g, _matrix(g, m, "tril"), integer(k, "a diagonal"))


@implements(np.triu)
def triu(g: Builder, m: Any, k: Any = 0) -> Value:
    """The matrix with zeros below a diagonal."""
    return triangles.upper(g, _matrix(g, m, "triu"), integer(k, "a diagonal"))


def _matrix(g: Builder, m: Any, function: str) -> Value:
    value = lift(g, m)
    if value.type.rank < 2:
        refuse(g, function, f"{value.type} is no matrix")
    return value
