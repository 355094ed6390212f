"""Ops on matrices: solutions, factors, determinants, exponentials."""

from gradserve.ops.linalg import (
    banded,
    cholesky,
    determinants,
    exponential,
    factors,
    least_squares,
    matrices,
    orthogonal,
    pivoted,
    riccati,
    solve,
    sparse,
    sparse_solve,
    sylvester,
)
