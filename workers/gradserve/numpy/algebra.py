"""Norms, systems and factors of matrices, with the arguments of np.linalg and scipy.linalg."""

from __future__ import annotations

import math

from gradserve.ir.builder import Operand, Value, broadcast_shape
from gradserve.ir.errors import ConstraintError
from gradserve.numpy import reductions
from gradserve.numpy.arguments import Axis, all_axes, builder_of, lifted, reduced_axes, refuse
from gradserve.numpy.decompositions import svdvals
from gradserve.numpy.matrices import eye
from gradserve.numpy.products import matmul
from gradserve.ops.family import to_float
from gradserve.ops.linalg import triangles
from gradserve.ops.linalg.stacked import part
from gradserve.ops.movement.shapes import permuted


def norm(x: Operand, ord: float | str | None = None, axis: Axis = None, keepdims: bool = False) -> Value:
    """The norm of vectors or matrices, as np.linalg.norm.

    Its derivative where the norm is 0 is 0: the shortest of the subgradients there. So it is for the nuclear norm in
    what singular values of 0 add to it. Norms of order 2 and -2 have none where the extreme singular value is repeated.
    """
    value = to_float(builder_of(x), x)
    g = value.builder
    axes = reduced_axes(value, axis, "norm")
    if ord is None or (ord == "fro" and len(axes) == 2) or (ord == 2 and len(axes) == 1):
        return reductions.root(reductions.sum(value * value, axes, keepdims))
    if len(axes) == 1 and not isinstance(ord, str):
        return _vector_norm(value, float(ord), axes, keepdims)
    if len(axes) == 2 and ord in (2, -2, "nuc"):
        return _singular_norm(value, ord, all_axes(value, axis, "norm"), keepdims)
    if len(axes) != 2 or ord not in (1, -1, math.inf, -math.inf):
        refuse(g, "norm", f"there is no norm of order {ord!r} along {len(axes)} axes")
    # The sum of sizes in each column (1) or row (inf); then the largest or the smallest of these.
    rows, columns = all_axes(value, axis, "norm")
    along = rows if abs(float(ord)) == 1 else columns
    sizes = reductions.sum(g.emit("abs", value), along, keepdims=True)
    extreme = (reductions.max if float(ord) > 0 else reductions.min)(sizes, axes, keepdims=True)
    return extreme if keepdims else reductions.sum(extreme, axes)


def _singular_norm(x: Value, order: float | str, axes: tuple[int, ...], keepdims: bool) -> Value:
    """The sum, the largest or the smallest of the singular values of matrices along two axes."""
    others = tuple(axis for axis in range(x.type.rank) if axis not in axes)
    matrices = permuted(x.builder, x, (*others, *axes))
    s = svdvals(matrices, free=order == "nuc")
    count = s.shape[-1]
    if order != "nuc":
        first = 0 if order == 2 else count - 1
        s = part(x.builder, s, first, min(first + 1, count))
    found = reductions.sum(s, -1)
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(x.type.shape))
    return x.builder.reshape(found, kept) if keepdims else found


def cond(x: Operand, p: float | str | None = None) -> Value:
    """The condition number of each matrix in a norm, as np.linalg.cond."""
    g = builder_of(x)
    value = to_float(g, x)
    if value.type.rank < 2 or not value.type.size:
        refuse(g, "cond", f"{value.type} is no matrix, or empty")
    if p is None or p in (2, -2):
        s = svdvals(value)
        count = s.shape[-1]
        largest, smallest = (reductions.sum(part(g, s, k, k + 1), -1) for k in (0, count - 1))
        return g.emit("div", smallest, largest) if p == -2 else g.emit("div", largest, smallest)
    return norm(value, p, (-2, -1)) * norm(inv(value), p, (-2, -1))


def _vector_norm(x: Value, order: float, axes: tuple[int, ...], keepdims: bool) -> Value:
    g = x.builder
    sizes = g.emit("abs", x)
    if math.isinf(order):
        return (reductions.max if order > 0 else reductions.min)(sizes, axes, keepdims)
    if order == 0:
        return g.convert(reductions.count_nonzero(x, axes, keepdims), x.type.element_type)
    if order == 1:
        return reductions.sum(sizes, axes, keepdims)
    power = reductions.sum(g.emit("pow", sizes, order), axes, keepdims)
    vanishes = g.emit("eq", power, 0)
    safe = g.emit("pow", g.emit("select", vanishes, 1, power), 1 / order)
    return g.emit("select", vanishes, 0, safe)


def _of_matrix(op: str, x: Operand) -> tuple[Value, ...]:
    g = builder_of(x)
    return g.emit_all(op, to_float(g, x))


def inv(x: Operand) -> Value:
    """The inverse of each matrix, as np.linalg.inv."""
    return _of_matrix("inv", x)[0]


def det(x: Operand) -> Value:
    """The determinant of each matrix, as np.linalg.det."""
    return _of_matrix("det", x)[0]


def slogdet(x: Operand) -> tuple[Value, Value]:
    """The sign of each determinant and the logarithm of its absolute value, as np.linalg.slogdet."""
    sign, logarithm = _of_matrix("slogdet", x)
    return sign, logarithm


def cholesky(x: Operand, upper: bool = False) -> Value:
    """The lower factor L of each symmetric matrix L L^T, or the upper factor L^T, as np.linalg.cholesky."""
    (factor,) = _of_matrix("cholesky", x)
    return triangles.flipped(factor.builder, factor) if upper else factor


def solve(a: Operand, b: Operand) -> Value:
    """The solution X of A X = B for each matrix A, as np.linalg.solve: B is a vector if it has one axis."""
    return _solved("solve", a, b)


def solve_triangular(a: Operand, b: Operand, trans: int | str = 0, lower: bool = False) -> Value:
    """The solution X of T X = B, T the upper or lower triangle of A, as scipy.linalg.solve_triangular."""
    if trans not in (0, 1, "N", "T"):
        refuse(builder_of(a, b), "solve_triangular", f"trans is 0, 1, 'N' or 'T', not {trans!r}")
    return _solved("triangular_solve", a, b, lower=lower, transposed=trans in (1, "T"))


def cho_solve(factor: tuple[Operand, bool], b: Operand) -> Value:
    """The solution X of A X = B, given A's Cholesky factor and whether it is the lower one, as scipy.linalg."""
    c, lower = factor
    half = solve_triangular(c, b, trans=0 if lower else 1, lower=lower)
    return solve_triangular(c, half, trans=1 if lower else 0, lower=lower)


def _solved(op: str, a: Operand, b: Operand, **attributes: bool) -> Value:
    g, (matrix, right) = lifted(a, b)
    matrix, right = g.promote([to_float(g, matrix), to_float(g, right)])
    if matrix.type.rank < 2 or not right.type.rank:
        refuse(g, op, f"{matrix.type} is no matrix or {right.type} is no right-hand side")
    if right.type.rank == 1:
        column = _solved(op, matrix, g.reshape(right, (*right.type.shape, 1)), **attributes)
        return g.reshape(column, column.type.shape[:-1])
    try:
        along = broadcast_shape([matrix.type.shape[:-2], right.type.shape[:-2]])
    except ConstraintError as error:
        refuse(g, op, error.description)
    matrix = g.broadcast(matrix, (*along, *matrix.type.shape[-2:]))
    return g.emit(op, matrix, g.broadcast(right, (*along, *right.type.shape[-2:])), **attributes)


def matrix_power(x: Operand, exponent: int) -> Value:
    """The product of each matrix with itself, as np.linalg.matrix_power: squarings and few other products."""
    g, (value,) = lifted(x)
    if exponent < 0:
        return matrix_power(inv(value), -exponent)
    if not exponent:
        return g.broadcast(eye(g, value.shape[-1], element_type=value.type.element_type), value.type.shape)
    result = None
    while exponent:
        if exponent % 2:
            result = value if result is None else matmul(result, value)
        exponent //= 2
        value = matmul(value, value) if exponent else value
    assert result is not None
    return result
