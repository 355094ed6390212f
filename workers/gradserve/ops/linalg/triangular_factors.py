"""How the Cholesky factor of a matrix moves with it, and back, in as few steps as the factor itself takes.

Both go by halves, as the factorisation of [[A, B^T], [B, C]] does: L11 from A, L21 = B L11^-T, L22 from C - L21 L21^T
(I. Murray, "Differentiation of the Cholesky decomposition", 2016). Below a few rows, and for other array namespaces,
dL = L phi(L^-1 dA L^-T) by triangular systems, with phi the lower triangle with half the diagonal.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.types import Array
from gradserve.ops.linalg.lapack import routine

FEW = 24
"""Rows up to which one system is cheaper than two halves."""


def tangent(xp: Any, factor: Array, direction: Array) -> Any:
    """The lower triangular Y with L Y^T + Y L^T the symmetric part of the direction E."""
    direction = (direction + xp.matrix_transpose(direction)) / 2
    return _stacked(_tangent, factor, direction) if xp is np else _whole_tangent(xp, _by(xp), factor, direction)


def cotangent(xp: Any, factor: Array, weights: Array) -> Any:
    """The symmetric S such that 2 S L has the lower triangle of the weights X."""
    return _stacked(_cotangent, factor, weights) if xp is np else _whole_cotangent(xp, _by(xp), factor, weights)


@functools.cache
def flops(n: int) -> float:
    """FLOPs of either."""
    if n <= FEW:
        return 4.0 * n**3
    first = n // 2
    rest = n - first
    return flops(first) + flops(rest) + rest * first * (3.0 * first + 2.0 * rest)


def _stacked(function: Callable[[Array, Array], Array], factor: Array, beside: Array) -> Array:
    """Of each matrix, and of each direction beside it."""
    result = np.empty(beside.shape, beside.dtype)
    front = beside.ndim - factor.ndim
    for position in np.ndindex(beside.shape[:-2] if beside.size else (0,)):
        result[position] = function(factor[position[front:]], beside[position])
    return result


def _tangent(factor: Array, e: Array) -> Array:
    n = len(factor)
    if n <= FEW:
        return np.asarray(_whole_tangent(np, _by_lapack, factor, e))
    m = n // 2
    l11, l21, l22 = factor[:m, :m], factor[m:, :m], factor[m:, m:]
    result = np.zeros_like(e)
    y11 = result[:m, :m] = _tangent(l11, e[:m, :m])
    y21 = result[m:, :m] = _by_lapack(l11, (e[m:, :m] - l21 @ y11.T).T, False).T
    moved = y21 @ l21.T
    result[m:, m:] = _tangent(l22, e[m:, m:] - moved - moved.T)
    return result


def _cotangent(factor: Array, x: Array) -> Array:
    n = len(factor)
    if n <= FEW:
        return np.asarray(_whole_cotangent(np, _by_lapack, factor, x))
    m = n // 2
    l11, l21, l22 = factor[:m, :m], factor[m:, :m], factor[m:, m:]
    result = np.empty_like(x)
    s22 = result[m:, m:] = _cotangent(l22, x[m:, m:])
    across = _by_lapack(l11, (x[m:, :m] - 2.0 * (s22 @ l21)).T, True).T
    result[m:, :m] = across / 2.0
    result[:m, m:] = across.T / 2.0
    result[:m, :m] = _cotangent(l11, x[:m, :m] - across.T @ l21)
    return result


Solve = Callable[[Any, Any, bool], Any]
"""L^-1 B, or L^-T B."""


def _whole_tangent(xp: Any, solve: Solve, factor: Array, e: Array) -> Any:
    half = solve(factor, e, False)
    inside = solve(factor, xp.matrix_transpose(half), False)
    return xp.matmul(xp.tril(factor), _phi(xp, inside))


def _whole_cotangent(xp: Any, solve: Solve, factor: Array, x: Array) -> Any:
    inside = _phi(xp, xp.matmul(xp.matrix_transpose(xp.tril(factor)), xp.tril(x)))
    half = solve(factor, xp.matrix_transpose(solve(factor, inside, True)), True)
    return (half + xp.matrix_transpose(half)) / 2


def _phi(xp: Any, x: Any) -> Any:
    return (xp.tril(x) + xp.tril(x, k=-1)) / 2


def _by(xp: Any) -> Solve:
    def solve(factor: Any, right: Any, transposed: bool) -> Any:
        triangle = xp.broadcast_to(xp.tril(factor), (*right.shape[:-2], *factor.shape[-2:]))
        return xp.linalg.solve(xp.matrix_transpose(triangle) if transposed else triangle, right)

    return solve


def _by_lapack(factor: Array, right: Array, transposed: bool) -> Array:
    # What is L in rows is U = L^T in LAPACK's columns.
    solution, _ = routine("trtrs", factor.dtype)(factor.T, right, lower=0, trans=0 if transposed else 1)
    return np.asarray(solution)
