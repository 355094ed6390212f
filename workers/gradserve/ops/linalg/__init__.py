"""Ops on matrices: solutions, factors, determinants, exponentials."""

from gradserve.ops.linalg import (
    cholesky,
    determinants,
    exponential,
    factors,
    least_squares,
    matrices,
    orthogonal,
    solve,
    sylvester,
)
