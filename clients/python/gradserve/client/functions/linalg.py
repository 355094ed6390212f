"""Functions of matrices, as scipy.linalg has them; of one matrix or of a stack of them.

`sqrtm`, `logm` and `funm_sym` take the symmetric part (x + x.T) / 2. Derivatives are right at repeated eigenvalues.
"""

from __future__ import annotations

from typing import Any

from gradserve.client.functions.of_arrays import of_arrays
from gradserve.client.numpy_surface.operands import as_operand
from gradserve.ir.builder import Builder, Value
from gradserve.numpy import algebra, decompositions
from gradserve.ops.family import to_float


def _real(g: Builder, a: Any) -> Value:
    return to_float(g, as_operand(g, a))


@of_arrays
def expm(g: Builder, A: Any) -> Value:
    """The exponential of a matrix."""
    return decompositions.expm(_real(g, A))


@of_arrays
def sqrtm(g: Builder, A: Any) -> Value:
    """The square root of a symmetric matrix; NaN if an eigenvalue is negative, no derivative if one is 0."""
    return decompositions.sqrtm(_real(g, A))


@of_arrays
def logm(g: Builder, A: Any) -> Value:
    """The logarithm of a symmetric positive definite matrix."""
    return decompositions.logm(_real(g, A))


@of_arrays
def funm_sym(g: Builder, A: Any, function: str, parameter: float = 0.0) -> Value:
    """Q diag(f(w)) Q.T of a symmetric matrix Q diag(w) Q.T.

    f is one of abs, cos, cosh, exp, expm1, log, log1p, logistic, positive, power, reciprocal, sign, sin, sinh, sqrt and
    tanh; `parameter` is the exponent of a power. `positive` is max(w, 0), the projection on semidefinite matrices.
    """
    return decompositions.funm_sym(_real(g, A), function, parameter)


@of_arrays
def polar(g: Builder, a: Any) -> tuple[Value, Value]:
    """The factors of a = W P, W with orthonormal columns (or rows, if there are fewer), P symmetric."""
    return decompositions.polar(_real(g, a))


@of_arrays
def solve_sylvester(g: Builder, a: Any, b: Any, q: Any) -> Value:
    """The x with a x + x b = q."""
    return decompositions.solve_sylvester(_real(g, a), _real(g, b), _real(g, q))


@of_arrays
def solve_triangular(g: Builder, a: Any, b: Any, trans: Any = 0, lower: bool = False) -> Value:
    """The x with t x = b, t the upper or the lower triangle of a, or its transpose for trans=1."""
    return algebra.solve_triangular(_real(g, a), _real(g, b), trans, lower)


@of_arrays
def cho_solve(g: Builder, c_and_lower: Any, b: Any) -> Value:
    """The x with a x = b, given a Cholesky factor of a and whether it is the lower one."""
    factor, lower = c_and_lower
    return algebra.cho_solve((_real(g, factor), bool(lower)), _real(g, b))
