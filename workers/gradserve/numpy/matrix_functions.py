"""Functions of matrices, as scipy.linalg has them; of one matrix or of a stack of them.

`sqrtm`, `logm` and `funm_sym` are of symmetric or Hermitian matrices: the lower triangle alone is read, as
np.linalg.eigh does. Derivatives are right at repeated eigenvalues.
"""

from __future__ import annotations

from typing import Any

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import refuse, to_float
from gradserve.numpy.by_parts import complex_of, in_reals, real_of
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
    return in_reals(g, lambda x: g.apply(Expm(), [x])[0], matrix(g, A, "expm", square=True))


@own
def sqrtm(g: Builder, A: Any) -> Value:
    """The root of a symmetric or Hermitian matrix; NaN if an eigenvalue is negative, no derivative if one is 0."""
    return _of_symmetric(g, A, "sqrt")


@own
def logm(g: Builder, A: Any) -> Value:
    """The logarithm of a symmetric or Hermitian positive definite matrix."""
    return _of_symmetric(g, A, "log")


@own
def funm_sym(g: Builder, A: Any, function: str, parameter: float = 0.0) -> Value:
    """Q diag(f(w)) Q^H of a symmetric or Hermitian matrix Q diag(w) Q^H.

    f is one of abs, cos, cosh, exp, expm1, log, log1p, logistic, positive, power, reciprocal, sign, sin, sinh, sqrt and
    tanh; `parameter` is the exponent of a power. `positive` is max(w, 0), the projection on semidefinite matrices.
    """
    return _of_symmetric(g, A, function, parameter)


def _of_symmetric(g: Builder, a: Any, function: str, parameter: float = 0.0) -> Value:
    x = matrix(g, a, "funm_sym", square=True)
    if function not in FUNCTIONS:
        refuse(g, "funm_sym", f"{function!r} is none of {', '.join(FUNCTIONS)}")
    whole = triangles.mirrored(g, x) if x.type.is_complex else x
    return in_reals(g, lambda m: g.apply(Spectral(function, float(parameter), 0, m.shape[-1]), [m])[0], whole)


@own
def polar(g: Builder, a: Any) -> tuple[Value, Value]:
    """The factors of a = W P, W with orthonormal columns (or rows, if there are fewer), P symmetric or Hermitian."""
    x = matrix(g, a, "polar")
    if x.type.is_complex:
        w, p = polar(real_of(g, x))
        return complex_of(g, w), complex_of(g, p)
    u, s, vh = thin_svd(g, x)
    scaled = g.mul(triangles.flipped(g, vh), g.reshape(s, (*s.shape[:-1], 1, s.shape[-1])))
    return matrix_product(g, u, vh), matrix_product(g, scaled, vh)


@own
def solve_sylvester(g: Builder, a: Any, b: Any, q: Any) -> Value:
    """The x with a x + x b = q."""
    operands = g.promote([to_float(g, x) for x in (a, b, q)])
    return in_reals(g, lambda *each: g.apply(Sylvester(), each)[0], *operands)
