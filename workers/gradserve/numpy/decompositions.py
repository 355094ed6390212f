"""Eigenvalues, singular values, least squares and functions of matrices, with the arguments of NumPy and SciPy."""

from __future__ import annotations

import numpy as np
from gradserve.ir.builder import Builder, Operand, Value
from gradserve.ir.types import ElementType
from gradserve.numpy import reductions
from gradserve.numpy.arguments import builder_of, refuse
from gradserve.numpy.shaping import concatenate, squeeze
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.family import to_float
from gradserve.ops.linalg import triangles
from gradserve.ops.linalg.exponential import Expm
from gradserve.ops.linalg.least_squares import Lstsq, Pinv
from gradserve.ops.linalg.orthogonal import Qr
from gradserve.ops.linalg.sylvester import Sylvester
from gradserve.ops.spectral.eigen import Eigh, Eigvalsh
from gradserve.ops.spectral.matrix_functions import Spectral
from gradserve.ops.spectral.scalar_functions import FUNCTIONS
from gradserve.ops.spectral.singular import Svd, Svdvals


def _matrix(x: Operand, function: str, square: bool = False) -> tuple[Builder, Value]:
    g = builder_of(x)
    value = to_float(g, x)
    if value.type.rank < 2:
        refuse(g, function, f"{value.type} is no matrix")
    if square and value.type.shape[-1] != value.type.shape[-2]:
        refuse(g, function, f"{value.type} is no square matrix")
    return g, value


def eigh(x: Operand) -> tuple[Value, Value]:
    """Eigenvalues, ascending, and eigenvectors of the symmetric part of each matrix, as np.linalg.eigh."""
    g, value = _matrix(x, "eigh", square=True)
    w, q = g.apply(Eigh(0, value.shape[-1]), [value])
    return w, q


def eigvalsh(x: Operand) -> Value:
    """Eigenvalues, ascending, of the symmetric part of each matrix, as np.linalg.eigvalsh."""
    g, value = _matrix(x, "eigvalsh", square=True)
    return g.apply(Eigvalsh(0, value.shape[-1], free=False), [value])[0]


def svd(x: Operand) -> tuple[Value, Value, Value]:
    """U, s and V^T of each matrix, as np.linalg.svd with full_matrices=False."""
    g, value = _matrix(x, "svd")
    u, s, vh = g.apply(Svd(0, min(value.shape[-2:])), [value])
    return u, s, vh


def svdvals(x: Operand, free: bool = False) -> Value:
    """Singular values, descending, as np.linalg.svdvals; `free` if what becomes of them treats equal ones alike."""
    g, value = _matrix(x, "svdvals")
    return g.apply(Svdvals(0, min(value.shape[-2:]), free), [value])[0]


def qr(x: Operand) -> tuple[Value, Value]:
    """Q and R of each matrix, as np.linalg.qr in mode reduced.

    The Q of a wide matrix is that of its first columns, and the rest of R is Q^T times the others.
    """
    g, value = _matrix(x, "qr")
    *_, rows, columns = value.shape
    if rows >= columns:
        q, r = g.apply(Qr(), [value])
        return q, r
    first, rest = (_columns(value, start, stop) for start, stop in ((0, rows), (rows, columns)))
    q, r = g.apply(Qr(), [first])
    return q, concatenate([r, matrix_product(g, q, rest, flip_x=True)], -1)


def _columns(x: Value, start: int, stop: int) -> Value:
    *before, _ = x.shape
    starts = (*(0 for _ in before), start)
    return x.builder.emit("slice", x, starts=starts, stops=(*before, stop), strides=(1,) * x.type.rank)


def pinv(x: Operand, rcond: float | None = None) -> Value:
    """The pseudoinverse of each matrix, as np.linalg.pinv: its derivative is that along matrices of the same rank.

    In single precision, NumPy's limit of 1e-15 would take rounding for rank; there it is that of lstsq.
    """
    g, value = _matrix(x, "pinv")
    limit = 1e-15 if value.type.element_type is ElementType.FLOAT64 else _rounding(value)
    return g.apply(Pinv(limit if rcond is None else float(rcond), full=False), [value])[0]


def lstsq(a: Operand, b: Operand, rcond: float | None = None) -> Value:
    """The solution of least norm of least squares, the first result of np.linalg.lstsq; also for several matrices."""
    g = builder_of(a, b)
    left, right = g.promote([to_float(g, a), to_float(g, b)])
    if left.type.rank < 2 or right.type.rank < left.type.rank - 1:
        refuse(g, "lstsq", f"{left.type} is no matrix or {right.type} is no right-hand side")
    limit = float(rcond) if rcond is not None and rcond >= 0 else _rounding(left)
    if right.type.rank == left.type.rank - 1:
        column = g.reshape(right, (*right.shape, 1))
        return squeeze(g.apply(Lstsq(limit), [left, column])[0], -1)
    return g.apply(Lstsq(limit), [left, right])[0]


def _rounding(x: Value) -> float:
    """The part of the largest singular value up to which NumPy takes others for zero."""
    return float(np.finfo(x.type.element_type.dtype).eps) * max(x.shape[-2:])


def matrix_rank(x: Operand, tol: float | None = None, rtol: float | None = None) -> Value:
    """The number of singular values that are not zero, as np.linalg.matrix_rank."""
    g, value = _matrix(x, "matrix_rank")
    s = svdvals(value, free=True)
    if not s.shape[-1]:
        return reductions.count_nonzero(s, -1)
    relative = _rounding(value) if rtol is None else float(rtol)
    limit = reductions.max(s, -1, keepdims=True) * relative if tol is None else g.constant(float(tol))
    return reductions.count_nonzero(g.emit("gt", s, limit), -1)


def expm(x: Operand) -> Value:
    """The exponential of each matrix, as scipy.linalg.expm."""
    g, value = _matrix(x, "expm", square=True)
    return g.apply(Expm(), [value])[0]


def funm_sym(x: Operand, function: str, parameter: float = 0.0) -> Value:
    """A function of the symmetric part of each matrix A = Q diag(w) Q^T: Q diag(f(w)) Q^T.

    The names are those of `gradserve.ops.spectral.scalar_functions`; the parameter is the exponent of a power.
    """
    g, value = _matrix(x, "funm_sym", square=True)
    if function not in FUNCTIONS:
        refuse(g, "funm_sym", f"{function!r} is none of {', '.join(FUNCTIONS)}")
    return g.apply(Spectral(function, float(parameter), 0, value.shape[-1]), [value])[0]


def sqrtm(x: Operand) -> Value:
    """The square root of each symmetric matrix without negative eigenvalues."""
    return funm_sym(x, "sqrt")


def logm(x: Operand) -> Value:
    """The logarithm of each symmetric positive definite matrix."""
    return funm_sym(x, "log")


def polar(x: Operand) -> tuple[Value, Value]:
    """W with orthonormal columns, or rows if there are fewer, and P = (A^T A)^(1/2) with A = W P for each matrix A."""
    g, value = _matrix(x, "polar")
    u, s, vh = svd(value)
    v = triangles.flipped(g, vh)
    scaled = g.emit("mul", v, g.reshape(s, (*s.shape[:-1], 1, s.shape[-1])))
    return matrix_product(g, u, vh), matrix_product(g, scaled, vh)


def solve_sylvester(a: Operand, b: Operand, c: Operand) -> Value:
    """The solution X of A X + X B = C, as scipy.linalg.solve_sylvester; also for several."""
    g = builder_of(a, b, c)
    return g.apply(Sylvester(), g.promote([to_float(g, x) for x in (a, b, c)]))[0]
