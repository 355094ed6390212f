"""np.linalg beyond square systems: eigenvalues, singular values, least squares, pseudoinverses.

Derivatives are right at repeated eigenvalues and singular values as well, if the result does not depend on which
vectors they have: functions such as Q f(w) Q.T and U f(s) Vh, and sums of f(w). What depends on them is refused there
with NotDifferentiable.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy.arguments import Unsupported, refuse, to_float
from gradserve.numpy.by_parts import columns_of, in_reals, of_columns, real_of
from gradserve.numpy.joining import concatenate
from gradserve.numpy.products import dot
from gradserve.numpy.reductions import count_nonzero
from gradserve.numpy.reductions import max as max_along
from gradserve.numpy.reductions import sum as sum_along
from gradserve.numpy.shaping import flip, part, squeeze
from gradserve.numpy.table import implements
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.elementwise.parts import conjugate, squared_size
from gradserve.ops.linalg.least_squares import Lstsq, Pinv
from gradserve.ops.linalg.orthogonal import Qr
from gradserve.ops.linalg.triangles import flipped, mirrored
from gradserve.ops.spectral.eigen import Eigh, Eigvalsh, UpperEigh
from gradserve.ops.spectral.hermitian import HermitianEigh, PhaseFree
from gradserve.ops.spectral.singular import HermitianSvd, Svd, Svdvals
from gradserve.ops.spectral.unitary import UnitarySvdvals


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


def matrix(g: Builder, a: Any, function: str, square: bool = False, hermitian: bool = False) -> Value:
    """The argument as matrices; with their lower triangles mirrored if NumPy reads these alone.

    Raises:
        InvalidGraph: it has fewer than two axes, or its matrices are not square where they have to be.
    """
    x = to_float(g, a)
    if x.type.rank < 2:
        refuse(g, function, f"{x.type} is no matrix")
    if (square or hermitian) and x.type.shape[-1] != x.type.shape[-2]:
        refuse(g, function, f"{x.type} is no square matrix")
    return mirrored(g, x) if hermitian else x


def _number(argument: Any, what: str) -> float | None:
    if argument is None:
        return None
    if isinstance(argument, Value) or np.ndim(argument):
        raise Unsupported(f"{what} must be a plain number", "leave it out, or give a number")
    return float(argument)


def _one_triangle(g: Builder, a: Any, function: str, triangle: str) -> Value:
    """The argument with that triangle as the lower one, which the ops read."""
    x = matrix(g, a, function, square=True)
    if triangle.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return x if triangle.upper() == "L" else mirrored(g, conjugate(g, flipped(g, x)))


@implements(np.linalg.eigh)
def eigh(g: Builder, a: Any, UPLO: str = "L") -> EighResult:
    """Eigenvalues, ascending, and eigenvectors of the symmetric or Hermitian matrix of which one triangle is read.

    Of complex eigenvectors the phase is any: what depends on it is refused.
    """
    x = _one_triangle(g, a, "eigh", UPLO)
    if x.type.is_complex:
        if UPLO.upper() != "L":
            raise Unsupported("np.linalg.eigh of an upper complex triangle cannot be traced", "write eigh(a.conj().T)")
        w, q = g.apply(HermitianEigh(), [x])
        return EighResult(w, g.apply(PhaseFree(back=False), [q, q])[0])
    kind = Eigh if UPLO.upper() == "L" else UpperEigh
    return EighResult(*g.apply(kind(0, x.shape[-1]), [x]))


@implements(np.linalg.eigvalsh)
def eigvalsh(g: Builder, a: Any, UPLO: str = "L") -> Value:
    """Eigenvalues, ascending, of the symmetric or Hermitian matrix of which one triangle is read: L or U."""
    x = _one_triangle(g, a, "eigvalsh", UPLO)
    if x.type.is_complex:
        return g.apply(HermitianEigh(), [x])[0]
    return g.apply(Eigvalsh(0, x.shape[-1], free=False), [x])[0]


@implements(np.linalg.svd)
def svd(
    g: Builder, a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False
) -> SVDResult | Value:
    """Singular values, descending, and their vectors; for matrices that are not square, with full_matrices=False."""
    x = matrix(g, a, "svd", hermitian=hermitian)
    if not compute_uv:
        return singular_values(g, x)
    if hermitian and not x.type.is_complex:
        return SVDResult(*g.apply(HermitianSvd(0, x.shape[-1]), [x]))
    if full_matrices and x.shape[-1] != x.shape[-2]:
        raise Unsupported(
            "np.linalg.svd with full_matrices=True adds vectors that any others may replace: they have no derivative",
            "write np.linalg.svd(x, full_matrices=False)",
        )
    return SVDResult(*thin_svd(g, x))


def thin_svd(g: Builder, x: Value) -> tuple[Value, ...]:
    """U, s and V^H of each matrix, with as many columns and rows as there are singular values."""
    if x.type.is_complex:
        return _unitary_svd(g, x)
    return g.apply(Svd(0, min(x.shape[-2:])), [x])


def _unitary_svd(g: Builder, x: Value) -> tuple[Value, ...]:
    """The same of complex matrices: of one that is not square, by the square factor of it or of its adjoint."""
    *_, m, n = x.shape
    if m < n:
        u, s, vh = _unitary_svd(g, conjugate(g, flipped(g, x)))
        return conjugate(g, flipped(g, vh)), s, conjugate(g, flipped(g, u))
    if m > n:
        q, r = g.apply(Qr(), [x])
        u, s, vh = _by_pairs(g, r)
        return matrix_product(g, q, u), s, vh
    return _by_pairs(g, x)


def _by_pairs(g: Builder, x: Value) -> tuple[Value, ...]:
    """By the Hermitian [[0, A], [A^H, 0]] of a square matrix A, with eigenvectors (u, v) for each singular value.

    These have any phase: what depends on it is refused. They are NaN where a singular value is 0 to rounding, as zeros
    have vectors of their own on either side.
    """
    *lead, n, _ = x.shape
    rows, columns, nothing = x.type.rank - 2, x.type.rank - 1, g.zeros(x.type)
    turned = conjugate(g, flipped(g, x))
    whole = concatenate([concatenate([nothing, x], -1), concatenate([turned, nothing], -1)], -2)
    w, q = g.apply(HermitianEigh(), [whole])
    (free,) = g.apply(PhaseFree(back=False), [q, q])
    top, s = flip(part(free, columns, n, 2 * n), -1), flip(part(w, rows, n, 2 * n), -1)
    least = g.mul(g.broadcast(part(s, rows, 0, min(n, 1)), s.type.shape), _rounding(x))
    size = g.select(g.gt(s, least), g.full(s.type, float(np.sqrt(2.0))), np.nan)
    pairs = g.mul(top, g.convert(g.reshape(size, (*lead, 1, n)), x.type.element_type))
    return part(pairs, rows, 0, n), s, conjugate(g, flipped(g, part(pairs, rows, n, 2 * n)))


@implements(np.linalg.svdvals)
def svdvals(g: Builder, x: Any) -> Value:
    """Singular values, descending."""
    return singular_values(g, matrix(g, x, "svdvals"))


def singular_values(g: Builder, x: Value, free: bool = False) -> Value:
    """Singular values, descending; `free` if what becomes of them treats equal ones alike."""
    kind = UnitarySvdvals if x.type.is_complex else Svdvals
    return g.apply(kind(0, min(x.shape[-2:]), free), [x])[0]


@implements(np.linalg.qr)
def qr(g: Builder, a: Any, mode: str = "reduced") -> QRResult | Value:
    """Q with orthonormal columns and R upper triangular; R alone in mode r.

    The Q of a wide matrix is that of its first columns, and the rest of R is Q^H times the others.
    """
    x = matrix(g, a, "qr")
    *_, rows, columns = x.shape
    if mode == "complete" and rows > columns:
        raise Unsupported(
            "np.linalg.qr with mode='complete' adds vectors that any others may replace: they have no derivative",
            "write np.linalg.qr(x)",
        )
    if mode not in ("reduced", "complete", "r"):
        raise Unsupported(f"np.linalg.qr with mode={mode!r} cannot be traced", "write np.linalg.qr(x)")
    last = x.type.rank - 1
    q, r = g.apply(Qr(), [part(x, last, 0, min(rows, columns))])
    if rows < columns:
        r = concatenate([r, matrix_product(g, conjugate(g, q), part(x, last, rows, columns), flip_x=True)], -1)
    return r if mode == "r" else QRResult(q, r)


@implements(np.linalg.pinv)
def pinv(g: Builder, a: Any, rcond: Any = None, hermitian: bool = False, rtol: Any = None) -> Value:
    """The pseudoinverse; its derivative is that along matrices of the same rank.

    In single precision, NumPy's limit of 1e-15 would take rounding for rank; there it is that of lstsq.
    """
    x = matrix(g, a, "pinv", hermitian=hermitian)
    given = _number(rcond if rtol is None else rtol, "rcond")
    limit = 1e-15 if x.type.element_type.part is ElementType.FLOAT64 else _rounding(x)
    return in_reals(g, lambda m: g.apply(Pinv(limit if given is None else given, full=False), [m])[0], x)


@implements(np.linalg.lstsq)
def lstsq(g: Builder, a: Any, b: Any, rcond: Any = None) -> tuple[Value, Value, Value, Value]:
    """The solution of least norm, the sums of squared residuals, rank and singular values.

    Where the rank is not full, the derivative is refused. There the residuals are given all the same: shapes are known
    before numbers.
    """
    left, right = g.promote([to_float(g, a), to_float(g, b)])
    if left.type.rank != 2 or right.type.rank not in (1, 2):
        refuse(g, "lstsq", f"{left.type} is no matrix or {right.type} is no right-hand side")
    given = _number(rcond, "rcond")
    limit = given if given is not None and given >= 0 else _rounding(left)
    columns = right if right.type.rank == 2 else g.reshape(right, (*right.shape, 1))
    if left.type.is_complex:
        solution = of_columns(g, g.apply(Lstsq(limit), [real_of(g, left), columns_of(g, columns)])[0])
    else:
        (solution,) = g.apply(Lstsq(limit), [left, columns])
    if right.type.rank == 1:
        solution = squeeze(solution, -1)
    s = singular_values(g, left)
    known = s.shape[-1] > 0
    rank = count_nonzero(g.gt(s, g.mul(max_along(s), limit))) if known else g.constant(0, ElementType.INT32)
    apart = g.sub(right, dot(left, solution))
    squares = sum_along(squared_size(g, apart), 0, keepdims=right.type.rank == 1)
    rows, unknowns = left.shape
    residuals = squares if rows > unknowns else g.zeros(squares.type.with_shape((0,)))
    return solution, residuals, g.convert(rank, ElementType.INT32), s


def _rounding(x: Value) -> float:
    """The part of the largest singular value up to which NumPy takes others for zero."""
    return float(np.finfo(x.type.element_type.dtype).eps) * max(x.shape[-2:])


@implements(np.linalg.matrix_rank)
def matrix_rank(g: Builder, A: Any, tol: Any = None, hermitian: bool = False, rtol: Any = None) -> Value:
    """The number of singular values that are not zero to rounding."""
    x = matrix(g, A, "matrix_rank", hermitian=hermitian)
    s, relative, limit = singular_values(g, x, free=True), _number(rtol, "rtol"), _number(tol, "tol")
    if not s.shape[-1]:
        return count_nonzero(s, -1)
    if limit is not None:
        return count_nonzero(g.gt(s, limit), -1)
    largest = max_along(s, -1, keepdims=True)
    return count_nonzero(g.gt(s, g.mul(largest, _rounding(x) if relative is None else relative)), -1)
