"""Systems of equations, inverses, determinants and powers of square matrices."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.errors import ConstraintError
from gradserve.ir.shapes import broadcast_shape
from gradserve.numpy.arguments import integer, integers, lift, promoted, refuse, to_float
from gradserve.numpy.products import matmul
from gradserve.numpy.shaping import swapaxes, transpose
from gradserve.numpy.table import implements, own
from gradserve.ops.elementwise.parts import conjugate
from gradserve.ops.linalg import triangles


class SlogdetResult(NamedTuple):
    """What np.linalg.slogdet returns."""

    sign: Value
    logabsdet: Value


@implements(np.linalg.inv)
def inv(g: Builder, a: Any) -> Value:
    """The inverse."""
    return g.inv(to_float(g, a))


@implements(np.linalg.det)
def det(g: Builder, a: Any) -> Value:
    """The determinant."""
    return g.det(to_float(g, a))


@implements(np.linalg.slogdet)
def slogdet(g: Builder, a: Any) -> SlogdetResult:
    """The sign of the determinant, and the logarithm of its absolute value."""
    return SlogdetResult(*g.emit_all("slogdet", to_float(g, a)))


@implements(np.linalg.cholesky)
def cholesky(g: Builder, a: Any, upper: bool = False) -> Value:
    """The lower factor L with L L^H = a, or L^H; of a, the lower triangle alone is read, or the upper one."""
    x = to_float(g, a)
    return _adjoint(g, g.cholesky(_adjoint(g, x))) if upper else g.cholesky(x)


def _adjoint(g: Builder, x: Value) -> Value:
    """The conjugate of each matrix transposed."""
    return conjugate(g, swapaxes(x, -1, -2))


@implements(np.linalg.solve)
def solve(g: Builder, a: Any, b: Any) -> Value:
    """The solution x of a x = b; b is a vector if it has one axis, else a matrix or several."""
    return _solved(g, "solve", a, b)


@own
def solve_triangular(
    g: Builder, a: Any, b: Any, trans: Any = 0, lower: bool = False, unit_diagonal: bool = False
) -> Value:
    """The x with t x = b, t a triangle of a, or its transpose for trans=1, or the conjugate of that for trans=2.

    With `unit_diagonal` the diagonal is not read, and taken for ones.
    """
    if trans not in (0, 1, 2, "N", "T", "C"):
        refuse(g, "solve_triangular", f"trans is 0, 1, 2, 'N', 'T' or 'C', not {trans!r}")
    if unit_diagonal:
        given = to_float(g, a)
        if given.type.rank < 2:
            refuse(g, "solve_triangular", f"{given.type} is no matrix")
        a = g.select(g.constant(np.eye(*given.shape[-2:], dtype=np.bool_)), 1, given)
    if trans in (2, "C"):
        a = conjugate(g, lift(g, a))
    return _solved(g, "triangular_solve", a, b, lower=bool(lower), transposed=trans not in (0, "N"))


@own
def cho_solve(g: Builder, c_and_lower: Any, b: Any) -> Value:
    """The x with a x = b, given a Cholesky factor of a and whether it is the lower one."""
    factor, lower = c_and_lower
    c = to_float(g, factor)
    half = solve_triangular(c, b, trans=0 if lower else 2, lower=lower)
    return solve_triangular(c, half, trans=2 if lower else 0, lower=lower)


def _solved(g: Builder, op: str, a: Any, b: Any, **attributes: bool) -> Value:
    matrix, right = (to_float(g, operand) for operand in promoted(g, a, b))
    if matrix.type.rank < 2 or not right.type.rank:
        refuse(g, op, f"{matrix.type} is no matrix or {right.type} is no right-hand side")
    if right.type.rank == 1:
        column = _solved(g, op, matrix, g.reshape(right, (*right.type.shape, 1)), **attributes)
        return g.reshape(column, column.type.shape[:-1])
    try:
        along = broadcast_shape([matrix.type.shape[:-2], right.type.shape[:-2]])
    except ConstraintError as error:
        refuse(g, op, error.description)
    matrix = g.broadcast(matrix, (*along, *matrix.type.shape[-2:]))
    return g.emit(op, matrix, g.broadcast(right, (*along, *right.type.shape[-2:])), **attributes)


@implements(np.linalg.matrix_power)
def matrix_power(g: Builder, a: Any, n: Any) -> Value:
    """The matrix to a whole power."""
    x, exponent = lift(g, a), integer(n, "an exponent")
    if exponent < 0:
        x, exponent = inv(x), -exponent
    result: Value | None = None
    while exponent:
        if exponent % 2:
            result = x if result is None else matmul(result, x)
        exponent //= 2
        x = matmul(x, x) if exponent else x
    if result is None:
        return g.broadcast(triangles.on_diagonal(g, x.shape[-1], x.type.element_type), x.type.shape)
    return result


@implements(np.linalg.tensorsolve)
def tensorsolve(g: Builder, a: Any, b: Any, axes: Any = None) -> Value:
    """The x with np.tensordot(a, x, x.ndim) == b."""
    x, right = lift(g, a), lift(g, b)
    if axes is not None:
        moved = [axis % x.type.rank for axis in integers(axes, "axes")]
        x = transpose(x, [k for k in range(x.type.rank) if k not in moved] + moved)
    shape = x.shape[right.type.rank :]
    size = right.type.size
    if math.prod(shape) != size or x.type.size != size * size:
        raise np.linalg.LinAlgError("Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == b.size")
    return g.reshape(solve(g.reshape(x, (size, size)), g.reshape(right, (size,))), shape)


@implements(np.linalg.tensorinv)
def tensorinv(g: Builder, a: Any, ind: Any = 2) -> Value:
    """The inverse of np.tensordot with a over its last axes, of which the first are `ind`."""
    x, count = lift(g, a), integer(ind, "ind")
    if count <= 0:
        raise ValueError("Invalid ind argument.")
    shape = x.shape
    rows = math.prod(shape[:count])
    if x.type.size != rows * rows:
        raise np.linalg.LinAlgError("Last 2 dimensions of the array must be square")
    return g.reshape(inv(g.reshape(x, (rows, rows))), (*shape[count:], *shape[:count]))
