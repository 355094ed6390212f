"""np.linalg beyond square systems: eigenvalues, singular values, least squares, pseudoinverses.

Derivatives are right at repeated eigenvalues and singular values as well, if the result does not depend on which
vectors they have: functions such as Q f(w) Q.T and U f(s) Vh, and sums of f(w). What depends on them is refused there
with NotDifferentiable.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gradserve.client.numpy_surface.operands import as_operand, integer, integers, lift
from gradserve.client.numpy_surface.table import implements
from gradserve.client.tracing.origins import untraceable
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy import algebra, decompositions, reductions, shaping
from gradserve.ops.family import to_float
from gradserve.ops.spectral.eigen import symmetric_part


class EighResult(NamedTuple):
    """What np.linalg.eigh returns."""

    eigenvalues: Value
    eigenvectors: Value


class SVDResult(NamedTuple):
    """What np.linalg.svd returns."""

    U: Value
    S: Value
    Vh: Value


class QRResult(NamedTuple):
    """What np.linalg.qr returns."""

    Q: Value
    R: Value


def _real(g: Builder, a: Any, hermitian: bool = False) -> Value:
    """The matrix, or its symmetric part: NumPy reads one triangle of a matrix that is said to be symmetric."""
    x = to_float(g, as_operand(g, a))
    return symmetric_part(g, x) if hermitian else x


def _number(argument: Any, what: str) -> float | None:
    if argument is None:
        return None
    if isinstance(argument, Value) or np.ndim(argument):
        raise untraceable(f"{what} must be a plain number", "leave it out, or give a number")
    return float(argument)


@implements(np.linalg.eigh)
def eigh(g: Builder, a: Any, UPLO: str = "L") -> EighResult:
    """Eigenvalues, ascending, and eigenvectors of the symmetric part (a + a.T) / 2."""
    return EighResult(*decompositions.eigh(_real(g, a)))


@implements(np.linalg.eigvalsh)
def eigvalsh(g: Builder, a: Any, UPLO: str = "L") -> Value:
    """Eigenvalues, ascending, of the symmetric part (a + a.T) / 2."""
    return decompositions.eigvalsh(_real(g, a))


@implements(np.linalg.svd)
def svd(
    g: Builder, a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> SVDResult | Value:
    """Singular values, descending, and their vectors; for matrices that are not square, with full_matrices=False."""
    x = _real(g, a, hermitian)
    if not compute_uv:
        return decompositions.svdvals(x)
    if full_matrices and x.type.rank >= 2 and x.shape[-1] != x.shape[-2]:
        raise untraceable(
            "np.linalg.svd with full_matrices=True adds vectors that any others may replace: they have no derivative",
            "write np.linalg.svd(x, full_matrices=False)",
        )
    return SVDResult(*decompositions.svd(x))


@implements(np.linalg.svdvals)
def svdvals(g: Builder, x: Any) -> Value:
    """Singular values, descending."""
    return decompositions.svdvals(_real(g, x))


@implements(np.linalg.qr)
def qr(g: Builder, a: Any, mode: str = "reduced") -> QRResult | Value:
    """Q with orthonormal columns and R upper triangular; R alone in mode r."""
    x = _real(g, a)
    if mode == "complete" and x.type.rank >= 2 and x.shape[-2] > x.shape[-1]:
        raise untraceable(
            "np.linalg.qr with mode='complete' adds vectors that any others may replace: they have no derivative",
            "write np.linalg.qr(x)",
        )
    if mode not in ("reduced", "complete", "r"):
        raise untraceable(f"np.linalg.qr with mode={mode!r} cannot be traced", "write np.linalg.qr(x)")
    q, r = decompositions.qr(x)
    return r if mode == "r" else QRResult(q, r)


@implements(np.linalg.pinv)
def pinv(g: Builder, a: Any, rcond: Any = None, hermitian: bool = False, rtol: Any = None) -> Value:
    """The pseudoinverse; its derivative is that along matrices of the same rank."""
    given = _number(rcond if rtol is None else rtol, "rcond")
    return decompositions.pinv(_real(g, a, hermitian), given)


@implements(np.linalg.lstsq)
def lstsq(g: Builder, a: Any, b: Any, rcond: Any = None) -> tuple[Value, Value, Value, Value]:
    """The solution of least norm, the sums of squared residuals, rank and singular values.

    Where the rank is not full, the derivative is refused. There the residuals are given all the same: shapes are known
    before numbers.
    """
    left, right = g.promote([_real(g, a), _real(g, b)])
    limit = _number(rcond, "rcond")
    solution = decompositions.lstsq(left, right, limit)
    s = decompositions.svdvals(left)
    rows, columns = left.shape[-2:]
    relative = (
        limit if limit is not None and limit >= 0 else np.finfo(left.type.element_type.dtype).eps * max(rows, columns)
    )
    if not s.shape[-1]:
        rank = g.constant(0, ElementType.INT32)
    else:
        rank = reductions.count_nonzero(g.emit("gt", s, reductions.max(s) * float(relative)))
    apart = right - g.emit("contract", left, solution, lhs_contract=(1,), rhs_contract=(0,), lhs_batch=(), rhs_batch=())
    squares = reductions.sum(apart * apart, 0, keepdims=right.type.rank == 1)
    residuals = squares if rows > columns else g.zeros(right.type.with_shape((0,)))
    return solution, residuals, g.convert(rank, ElementType.INT32), s


@implements(np.linalg.matrix_rank)
def matrix_rank(g: Builder, A: Any, tol: Any = None, hermitian: bool = False, rtol: Any = None) -> Value:
    """The number of singular values that are not zero to rounding."""
    return decompositions.matrix_rank(_real(g, A, hermitian), _number(tol, "tol"), _number(rtol, "rtol"))


@implements(np.linalg.cond)
def cond(g: Builder, x: Any, p: Any = None) -> Value:
    """The condition number in a norm: of order 2, or as np.linalg.norm counts them."""
    return algebra.cond(_real(g, x), p)


@implements(np.linalg.tensorsolve)
def tensorsolve(g: Builder, a: Any, b: Any, axes: Any = None) -> Value:
    """The x with np.tensordot(a, x, x.ndim) == b."""
    x, right = lift(g, a), lift(g, b)
    if axes is not None:
        moved = [axis % x.type.rank for axis in integers(axes, "axes")]
        x = shaping.transpose(x, [k for k in range(x.type.rank) if k not in moved] + moved)
    shape = x.shape[right.type.rank :]
    size = right.type.size
    if math.prod(shape) != size or x.type.size != size * size:
        raise np.linalg.LinAlgError("Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == b.size")
    return g.reshape(algebra.solve(g.reshape(x, (size, size)), g.reshape(right, (size,))), shape)


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
    return g.reshape(algebra.inv(g.reshape(x, (rows, rows))), (*shape[count:], *shape[:count]))
