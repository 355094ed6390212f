"""Diagonals and triangles, and np.linalg on square matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradserve.client.numpy_surface.operands import as_operand, axis_of, integer, integers, lift
from gradserve.client.numpy_surface.reductions import with_dtype
from gradserve.client.numpy_surface.table import implements
from gradserve.ir.builder import Builder, Value
from gradserve.numpy import algebra, matrices, shaping
from gradserve.ops.family import to_float


class SlogdetResult(NamedTuple):
    """What np.linalg.slogdet returns."""

    sign: Value
    logabsdet: Value


@implements(np.diag)
def diag(g: Builder, v: Any, k: Any = 0) -> Value:
    """The diagonal of a matrix, or the matrix with a diagonal."""
    return matrices.diag(lift(g, v), integer(k, "a diagonal"))


@implements(np.diagflat)
def diagflat(g: Builder, v: Any, k: Any = 0) -> Value:
    """The matrix with all elements on a diagonal."""
    return matrices.diag(shaping.ravel(lift(g, v)), integer(k, "a diagonal"))


@implements(np.diagonal, view=True)
def diagonal(g: Builder, a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1) -> Value:
    """The elements on a diagonal of two axes."""
    x = lift(g, a)
    return matrices.diagonal(x, integer(offset, "a diagonal"), axis_of(x, axis1), axis_of(x, axis2))


@implements(np.trace)
def trace(g: Builder, a: Any, offset: Any = 0, axis1: Any = 0, axis2: Any = 1, dtype: Any = None) -> Value:
    """The sum of the elements on a diagonal of two axes."""
    x = with_dtype(g, lift(g, a), dtype)
    found = matrices.trace(x, integer(offset, "a diagonal"), axis_of(x, axis1), axis_of(x, axis2))
    return with_dtype(g, found, dtype)


@implements(np.linalg.diagonal, view=True)
def linalg_diagonal(g: Builder, x: Any, offset: Any = 0) -> Value:
    """The elements on a diagonal of the last two axes."""
    return diagonal(g, x, offset, -2, -1)


@implements(np.linalg.trace)
def linalg_trace(g: Builder, x: Any, offset: Any = 0, dtype: Any = None) -> Value:
    """The sum of the elements on a diagonal of the last two axes."""
    return trace(g, x, offset, -2, -1, dtype)


@implements(np.tril)
def tril(g: Builder, m: Any, k: Any = 0) -> Value:
    """The matrix with zeros above a diagonal."""
    return matrices.tril(lift(g, m), integer(k, "a diagonal"))


@implements(np.triu)
def triu(g: Builder, m: Any, k: Any = 0) -> Value:
    """The matrix with zeros below a diagonal."""
    return matrices.triu(lift(g, m), integer(k, "a diagonal"))


@implements(np.linalg.solve)
def solve(g: Builder, a: Any, b: Any) -> Value:
    """The solution x of a x = b; b is a vector if it has one axis, else a matrix or several."""
    left, right = (to_float(g, operand) for operand in g.promote([as_operand(g, a), as_operand(g, b)]))
    is_vector = right.type.rank == 1
    columns = g.reshape(right, (*right.shape, 1)) if is_vector else right
    leading = g.align([_leading(g, left), _leading(g, columns)])[0].shape
    left = g.broadcast(left, (*leading, *left.shape[-2:]))
    columns = g.broadcast(columns, (*leading, *columns.shape[-2:]))
    solution = g.emit("solve", left, columns)
    return g.reshape(solution, solution.shape[:-1]) if is_vector else solution


def _leading(g: Builder, x: Value) -> Value:
    return g.zeros(x.type.with_shape(x.shape[:-2]))


@implements(np.linalg.inv)
def inv(g: Builder, a: Any) -> Value:
    """The inverse."""
    return g.inv(to_float(g, as_operand(g, a)))


@implements(np.linalg.det)
def det(g: Builder, a: Any) -> Value:
    """The determinant."""
    return g.det(to_float(g, as_operand(g, a)))


@implements(np.linalg.slogdet)
def slogdet(g: Builder, a: Any) -> SlogdetResult:
    """The sign of the determinant, and the logarithm of its absolute value."""
    return SlogdetResult(*g.emit_all("slogdet", to_float(g, as_operand(g, a))))


@implements(np.linalg.cholesky)
def cholesky(g: Builder, a: Any, upper: bool = False) -> Value:
    """The lower factor L with L L^T = a, or its transpose."""
    lower = g.cholesky(to_float(g, as_operand(g, a)))
    return shaping.swapaxes(lower, -1, -2) if upper else lower


@implements(np.linalg.norm)
def norm(g: Builder, x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Value:
    """The norm of vectors or matrices."""
    value = lift(g, x)
    if axis is None and ord is not None and value.type.rank > 2:
        raise ValueError("Improper number of dimensions to norm.")
    axes = None if axis is None else _in_order(value, axis)
    if axes is None and ord is None and value.type.rank == 2:
        axes = (0, 1)
    return algebra.norm(value, ord, axes, keepdims)


def _in_order(x: Value, axis: Any) -> tuple[int, ...]:
    return tuple(axis_of(x, k) for k in integers(axis, "an axis"))


@implements(np.linalg.vector_norm)
def vector_norm(g: Builder, x: Any, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Value:
    """The norm of vectors along axes, or of all elements as one vector."""
    value = lift(g, x)
    axes = tuple(range(value.type.rank)) if axis is None else _in_order(value, axis)
    others = tuple(k for k in range(value.type.rank) if k not in axes)
    merged = shaping.transpose(value, (*others, *axes))
    merged = g.reshape(merged, (*(value.shape[k] for k in others), int(np.prod([value.shape[k] for k in axes]))))
    found = algebra.norm(merged, ord, -1)
    return g.reshape(found, tuple(1 if k in axes else n for k, n in enumerate(value.shape))) if keepdims else found


@implements(np.linalg.matrix_norm)
def matrix_norm(g: Builder, x: Any, keepdims: bool = False, ord: Any = "fro") -> Value:
    """The norm of matrices along the last two axes."""
    return norm(g, x, ord, (-2, -1), keepdims)
