"""How the Cholesky factor of a matrix moves with it, and back: dL = L phi(L^-1 dA L^-T) by triangular systems.

phi is the lower triangle with half the diagonal (I. Murray, "Differentiation of the Cholesky decomposition", 2016).
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeAlias

from gradserve.ir.types import Array

FEW = 24
"""Rows up to which executors take one system: beyond, two halves are cheaper."""
Solve: TypeAlias = Callable[[Any, Any, bool], Any]
"""L^-1 B, or L^-T B."""


@functools.cache
def flops(n: int) -> float:
    """FLOPs of either, by halves."""
    if n <= FEW:
        return 4.0 * n**3
    first = n // 2
    rest = n - first
    return flops(first) + flops(rest) + rest * first * (3.0 * first + 2.0 * rest)


def tangent(xp: Any, factor: Array, direction: Array, solve: Solve | None = None) -> Any:
    """The lower triangular Y with L Y^T + Y L^T = E, the direction, which is symmetric."""
    solve = solve or systems(xp)
    half = solve(factor, direction, False)
    inside = solve(factor, xp.matrix_transpose(half), False)
    return xp.matmul(xp.tril(factor), _phi(xp, inside))


def cotangent(xp: Any, factor: Array, weights: Array, solve: Solve | None = None) -> Any:
    """The symmetric S such that 2 S L has the lower triangle of the weights X."""
    solve = solve or systems(xp)
    inside = _phi(xp, xp.matmul(xp.matrix_transpose(xp.tril(factor)), xp.tril(weights)))
    half = solve(factor, xp.matrix_transpose(solve(factor, inside, True)), True)
    return (half + xp.matrix_transpose(half)) / 2


def _phi(xp: Any, x: Any) -> Any:
    return (xp.tril(x) + xp.tril(x, k=-1)) / 2


def systems(xp: Any) -> Solve:
    """Triangular systems by the solver of the array API."""

    def solve(factor: Any, right: Any, transposed: bool) -> Any:
        triangle = xp.broadcast_to(xp.tril(factor), (*right.shape[:-2], *factor.shape[-2:]))
        return xp.linalg.solve(xp.matrix_transpose(triangle) if transposed else triangle, right)

    return solve
