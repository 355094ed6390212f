"""Linear algebra: what LAPACK does in one call or one loop over a stack, its results in row-major order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal

import numpy as np

from gradserve.execution.numpy.kernels import released
from gradserve.execution.numpy.kernels.lapack import lapack, plain_rows, row_major
from gradserve.execution.numpy.kernels.table import Kernel, kernel
from gradserve.ir.guards import enforce
from gradserve.ir.types import Array, TensorType
from gradserve.ops.linalg import finite
from gradserve.ops.linalg.cholesky import Cholesky
from gradserve.ops.linalg.determinants import CofactorChange, Cofactors
from gradserve.ops.linalg.least_squares import Lstsq, Pinv
from gradserve.ops.linalg.matrices import Inv, OfMatrix
from gradserve.ops.linalg.minors import cofactor_change, cofactors
from gradserve.ops.linalg.orthogonal import FullRank, Qr
from gradserve.ops.linalg.solve import Solve, TriangularSolve
from gradserve.ops.linalg.stacked import Beside
from gradserve.ops.linalg.sylvester import OPPOSITE, Sylvester

kernel(OfMatrix, Beside, Qr, FullRank)(plain_rows)
# NumPy raises LinAlgError by itself.
kernel(Inv, covers=("R1",))(plain_rows)


@kernel(Cholesky, covers=("R1",))
def _cholesky(op: Cholesky, types: Sequence[TensorType]) -> Kernel:
    """LAPACK reads the lower triangle alone."""
    del op, types
    return row_major(np.linalg.cholesky)


@kernel(Solve, covers=("R1",))
def _solve(op: Solve, types: Sequence[TensorType]) -> Kernel:
    del op, types
    return np.linalg.solve


@kernel(TriangularSolve, covers=("R1",))
def _triangular_solve(op: TriangularSolve, types: Sequence[TensorType]) -> Kernel:
    """LAPACK's trtrs."""
    from scipy.linalg import solve_triangular  # an executor has SciPy; a client that only traces need not

    trans: Literal["N", "T"] = "T" if op.transposed else "N"
    lower = op.lower
    long = types[0].lengths[-1] ** 2 * types[1].lengths[-1] > released.WORTH

    def solved(a: Array, b: Array) -> Array:
        result = np.empty(b.shape, b.dtype)
        if not b.size:
            return result
        for k in np.ndindex(a.shape[:-2]):
            # NaN is data: it goes through, as in every other op.
            if long:
                result[k] = released.trtrs(np.ascontiguousarray(a[k]), b[k], lower, op.transposed)
            else:
                result[k] = solve_triangular(a[k], b[k], trans=trans, lower=lower, check_finite=False)
        return result

    return solved


@kernel(Sylvester, covers=("R1",))
def _sylvester(op: Sylvester, types: Sequence[TensorType]) -> Kernel:
    """By the Schur forms of A and B (Bartels, Stewart 1972)."""
    del op
    trsyl = lapack("trsyl", types[2].element_type.dtype)
    m, n = types[2].lengths[-2:]
    long = 25 * max(m, n) ** 3 > released.WORTH
    schur = released.gees if long else finite.schur

    def solved(a: Array, b: Array, c: Array) -> Array:
        result = np.empty(c.shape, c.dtype)
        for k in np.ndindex(a.shape[:-2] if c.size else (0,)):
            if not (finite.is_finite(a[k]) and finite.is_finite(b[k])):
                result[(..., *k, slice(None), slice(None))] = np.nan
                continue
            (r, u), (s, v) = schur(a[k]), schur(b[k].T)
            for before in np.ndindex(c.shape[: c.ndim - a.ndim]):
                inside = u.T @ c[before + k] @ v
                y, scale, info = released.trsyl(r, s, inside) if long else trsyl(r, s, inside, tranb="T")
                if info:
                    raise np.linalg.LinAlgError(OPPOSITE)
                result[before + k] = scale * (u @ y @ v.T)
        return result

    return solved


@kernel(Pinv, covers=("R1",))
def _pinv(op: Pinv, types: Sequence[TensorType]) -> Kernel:
    """Singular values are taken once, for the guard as for the result."""
    del types

    def pinv(a: Array) -> Array:
        u, s, vh = finite.svd(a, full_matrices=False)
        if op.full and not np.all(op.kept(np, s)):
            enforce(op, [a], [])
        return np.asarray(op.inverse(np, u, s, vh))

    return pinv


@kernel(Lstsq)
def _lstsq(op: Lstsq, types: Sequence[TensorType]) -> Kernel:
    """LAPACK's own, for the only matrix that NumPy takes at a time."""
    if any(t.rank != 2 for t in types) or not all(t.size for t in types):
        return plain_rows(op, types)
    rcond = op.rcond

    def lstsq(a: Array, b: Array) -> Any:
        if not (finite.is_finite(a) and finite.is_finite(b)):
            return op.impl(np, a, b)
        return np.linalg.lstsq(a, b, rcond=rcond)[0]

    return row_major(lstsq)


@kernel(Cofactors)
def _cofactors(op: Cofactors, types: Sequence[TensorType]) -> Kernel:
    del op, types
    return row_major(partial(_by_inverse, _cofactors_of_inverse, partial(cofactors, np)))


@kernel(CofactorChange)
def _cofactor_change(op: CofactorChange, types: Sequence[TensorType]) -> Kernel:
    del op, types
    return row_major(partial(_by_inverse, _change_of_inverse, partial(cofactor_change, np)))


def _by_inverse(quick: Callable[..., Array], safe: Callable[..., Any], a: Array, *rest: Array) -> Any:
    """`quick`, from the inverse at a tenth of the work, where it has nearly all digits; `safe` for other matrices."""
    if not a.size:
        return safe(a, *rest)
    try:
        inverse = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        return safe(a, *rest)
    condition = np.abs(a).sum(axis=-2).max(axis=-1) * np.abs(inverse).sum(axis=-2).max(axis=-1)
    good = condition < np.finfo(a.dtype).eps ** (-1 / 3)
    if good.all():
        return quick(a, inverse, *rest)
    if not good.any():
        return safe(a, *rest)
    lead = rest[0].shape[:-2] if rest else a.shape[:-2]
    chosen = np.broadcast_to(good, lead)[..., None, None]
    return np.where(chosen, quick(a, inverse, *rest), safe(a, *rest))


def _turned(x: Array) -> Array:
    return np.swapaxes(x, -1, -2)


def _cofactors_of_inverse(a: Array, inverse: Array) -> Array:
    return np.asarray(np.linalg.det(a)[..., None, None] * _turned(inverse))


def _change_of_inverse(a: Array, inverse: Array, e: Array) -> Array:
    moved = inverse @ e
    trace = np.trace(moved, axis1=-2, axis2=-1)[..., None, None]
    return np.asarray(np.linalg.det(a)[..., None, None] * _turned(trace * inverse - moved @ inverse))
