"""Factorisations by LAPACK: LU once for many uses, and how Cholesky factors move."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from gradserve.execution.numpy.kernels import released
from gradserve.execution.numpy.kernels.indexing import require_inside
from gradserve.execution.numpy.kernels.lapack import lapack
from gradserve.execution.numpy.kernels.table import Kernel, kernel
from gradserve.ir.types import Array, TensorType
from gradserve.ops.linalg import triangular_factors
from gradserve.ops.linalg.cholesky import CholeskyCotangent, CholeskyTangent
from gradserve.ops.linalg.factors import OUTSIDE, Lu, LuInverse, LuSolve
from gradserve.ops.linalg.triangular_factors import FEW


@kernel(Lu)
def _lu(op: Lu, types: Sequence[TensorType]) -> Kernel:
    """LAPACK's getrf."""
    del op
    getrf = lapack("getrf", types[0].element_type.dtype)

    def factorised(a: Array) -> tuple[Array, Array]:
        packed, exchanges = np.empty(a.shape, a.dtype), np.empty(a.shape[:-1], np.int32)
        for k in np.ndindex(a.shape[:-2] if a.size else (0,)):
            factors, exchanges[k], _ = getrf(a[k])
            packed[k] = factors.T
        return packed, exchanges

    def single(a: Array) -> tuple[Array, Array]:
        factors, exchanges, _ = getrf(a)
        return factors.T, exchanges

    return single if types[0].rank == 2 and types[0].size else factorised


@kernel(LuSolve, covers=("R1", "R2"))
def _lu_solve(op: LuSolve, types: Sequence[TensorType]) -> Kernel:
    """LAPACK's getrs."""
    getrs, trans = lapack("getrs", types[0].element_type.dtype), int(op.transposed)

    def solved(packed: Array, exchanges: Array, b: Array) -> Array:
        _require_sound(packed, exchanges)
        result = np.empty(b.shape, b.dtype)
        for k in np.ndindex(b.shape[:-2] if b.size else (0,)):
            result[k] = getrs(packed[k].T, exchanges[k], b[k], trans=trans)[0]
        return result

    return solved


@kernel(LuInverse, covers=("R1", "R2"))
def _lu_inverse(op: LuInverse, types: Sequence[TensorType]) -> Kernel:
    """LAPACK's getri."""
    del op
    dtype = types[0].element_type.dtype
    getri, query = lapack("getri", dtype), lapack("getri_lwork", dtype)
    room = int(np.real(query(types[0].lengths[-1])[0])) if types[0].size else 0

    long = 4 / 3 * types[0].lengths[-1] ** 3 > released.WORTH

    def inverted(packed: Array, exchanges: Array) -> Array:
        _require_sound(packed, exchanges)
        result = np.empty(packed.shape, packed.dtype)
        for k in np.ndindex(packed.shape[:-2] if packed.size else (0,)):
            factors, rows = packed[k].T, exchanges[k]
            result[k] = released.getri(factors, rows) if long else getri(factors, rows, lwork=room)[0]
        return result

    return inverted


def _require_sound(packed: Array, exchanges: Array) -> None:
    """Refuses what LAPACK would take at its word: it moves memory by these numbers."""
    if not np.all(np.diagonal(packed, axis1=-2, axis2=-1)):
        raise np.linalg.LinAlgError("Singular matrix")
    require_inside(exchanges, packed.shape[-1], OUTSIDE)


@kernel(CholeskyTangent)
def _cholesky_tangent(op: CholeskyTangent, types: Sequence[TensorType]) -> Kernel:
    del op, types

    def tangent(factor: Array, direction: Array) -> Array:
        return _stacked(_tangent, factor, (direction + np.swapaxes(direction, -1, -2)) / 2)

    return tangent


@kernel(CholeskyCotangent)
def _cholesky_cotangent(op: CholeskyCotangent, types: Sequence[TensorType]) -> Kernel:
    del op, types
    return partial(_stacked, _cotangent)


def _stacked(function: Callable[[Array, Array], Array], factor: Array, beside: Array) -> Array:
    """Of each matrix, and of each direction beside it."""
    result = np.empty(beside.shape, beside.dtype)
    front = beside.ndim - factor.ndim
    for position in np.ndindex(beside.shape[:-2] if beside.size else (0,)):
        result[position] = function(factor[position[front:]], beside[position])
    return result


def _tangent(factor: Array, e: Array) -> Array:
    """By halves, as the factorisation of [[A, B^T], [B, C]]: L11 from A, L21 = B L11^-T, L22 from C - L21 L21^T."""
    n = len(factor)
    if n <= FEW:
        return np.asarray(triangular_factors.tangent(np, factor, e, _solve))
    m = n // 2
    l11, l21, l22 = factor[:m, :m], factor[m:, :m], factor[m:, m:]
    result = np.zeros_like(e)
    y11 = result[:m, :m] = _tangent(l11, e[:m, :m])
    y21 = result[m:, :m] = _solve(l11, (e[m:, :m] - l21 @ y11.T).T, False).T
    moved = y21 @ l21.T
    result[m:, m:] = _tangent(l22, e[m:, m:] - moved - moved.T)
    return result


def _cotangent(factor: Array, x: Array) -> Array:
    """By halves, backwards."""
    n = len(factor)
    if n <= FEW:
        return np.asarray(triangular_factors.cotangent(np, factor, x, _solve))
    m = n // 2
    l11, l21, l22 = factor[:m, :m], factor[m:, :m], factor[m:, m:]
    result = np.empty_like(x)
    s22 = result[m:, m:] = _cotangent(l22, x[m:, m:])
    across = _solve(l11, (x[m:, :m] - 2.0 * (s22 @ l21)).T, True).T
    result[m:, :m] = across / 2.0
    result[:m, m:] = across.T / 2.0
    result[:m, :m] = _cotangent(l11, x[:m, :m] - across.T @ l21)
    return result


def _solve(factor: Array, right: Array, transposed: bool) -> Array:
    if right.size * len(factor) > released.WORTH:
        return released.trtrs(np.ascontiguousarray(factor), right, True, transposed)
    # What is L in rows is U = L^T in LAPACK's columns.
    solution, _ = lapack("trtrs", factor.dtype)(factor.T, right, lower=0, trans=0 if transposed else 1)
    return np.asarray(solution)
