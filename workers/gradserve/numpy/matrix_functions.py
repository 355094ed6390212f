"""Functions of matrices, as scipy.linalg has them; of one matrix or of a stack of them.

`sqrtm`, `logm` and `funm_sym` are of symmetric matrices: the lower triangle alone is read, as np.linalg.eigh does.
Derivatives are right at repeated eigenvalues.
"""

from __future__ import annotations

from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import refuse, to_float
from gradserve.numpy.decompositions import matrix, thin_svd
from gradserve.numpy.table import own
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.linalg import triangles
from gradserve.ops.linalg.exponential import Expm
from gradserve.ops.linalg.sylvester import Sylvester
from gradserve.ops.spectral.matrix_functions import Spectral
from gradserve.ops.spectral.scalar_functions import FUNCTIONS


@own
def expm(g: Builder, A: Any) -> Value:
    """The exponential of a matrix."""
    return g.apply(Expm(), [matrix(g, A, "expm", square=True)])[0]


@own
def sqrtm(g: Builder, A: Any) -> Value:
    """The square root of a symmetric matrix; NaN if an eigenvalue is negative, no derivative if one is 0."""
    return _of_symmetric(g, A, "sqrt")


@own
def logm(g: Builder, A: Any) -> Value:
    """The logarithm of a symmetric positive definite matrix."""
    return _of_symmetric(g, A, "log")


@own
def funm_sym(g: Builder, A: Any, function: str, parameter: float = 0.0) -> Value:
    """Q diag(f(w)) Q.T of a symmetric matrix Q diag(w) Q.T.

    f is one of abs, cos, cosh, exp, expm1, log, log1p, logistic, positive, power, reciprocal, sign, sin, sinh, sqrt and
    tanh; `parameter` is the exponent of a power. `positive` is max(w, 0), the projection on semidefinite matrices.
    """
    return _of_symmetric(g, A, function, parameter)


def _of_symmetric(g: Builder, a: Any, function: str, parameter: float = 0.0) -> Value:
    x = matrix(g, a, "funm_sym", square=True)
    if function not in FUNCTIONS:
        refuse(g, "funm_sym", f"{function!r} is none of {', '.join(FUNCTIONS)}")
    return g.apply(Spectral(function, float(parameter), 0, x.shape[-1]), [x])[0]


@own
def polar(g: Builder, a: Any) -> tuple[Value, Value]:
    """The factors of a = W P, W with orthonormal columns (or rows, if there are fewer), P symmetric."""
    u, s, vh = thin_svd(g, matrix(g, a, "polar"))
    scaled = g.mul(triangles.flipped(g, vh), g.reshape(s, (*s.shape[:-1], 1, s.shape[-1])))
    return matrix_product(g, u, vh), matrix_product(g, scaled, vh)


@own
def solve_sylvester(g: Builder, a: Any, b: Any, q: Any) -> Value:
    """The x with a x + x b = q."""
    return g.apply(Sylvester(), g.promote([to_float(g, x) for x in (a, b, q)]))[0]
