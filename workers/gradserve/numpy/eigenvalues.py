"""Eigenvalues and eigenvectors of general matrices, and roots of polynomials, which are eigenvalues.

They are complex, also where NumPy gives real ones: which ones it gives depends on the numbers. Derivatives are those of
simple eigenvalues; what depends on one that is equal to another, or defective, is refused.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType, TensorType
from gradserve.numpy.arguments import refuse, to_float
from gradserve.numpy.decompositions import matrix
from gradserve.numpy.joining import concatenate
from gradserve.numpy.polynomials import convolve
from gradserve.numpy.shaping import part, ravel
from gradserve.numpy.table import implements
from gradserve.ops.spectral.general import Eig


class EigResult(NamedTuple):
    """What np.linalg.eig returns."""

    eigenvalues: Value
    eigenvectors: Value


@implements(np.linalg.eig)
def eig(g: Builder, a: Any) -> EigResult:
    """Eigenvalues and eigenvectors, as columns, of general matrices: complex ones, also of real numbers."""
    w, v, _ = g.apply(Eig(), [matrix(g, a, "eig", square=True)])
    return EigResult(w, v)


@implements(np.linalg.eigvals)
def eigvals(g: Builder, a: Any) -> Value:
    """Eigenvalues of general matrices: complex ones, also of real numbers."""
    return g.apply(Eig(), [matrix(g, a, "eigvals", square=True)])[0]


@implements(np.roots)
def roots(g: Builder, p: Any) -> Value:
    """The complex roots of a polynomial. Its first coefficient is not 0: NumPy leaves out zeros by the numbers."""
    x = to_float(g, p)
    if x.type.rank != 1:
        refuse(g, "roots", f"{x.type} is no vector of coefficients")
    if x.type.size < 2:
        return g.zeros(TensorType(ElementType.FLOAT64, (0,)))
    return eigvals(companion(g, x))


def companion(g: Builder, p: Value) -> Value:
    """The matrix whose eigenvalues are the roots of a polynomial, the coefficient of the highest power first."""
    n = p.shape[0] - 1
    first = g.reshape(g.neg(g.div(part(p, 0, 1, n + 1), part(p, 0, 0, 1))), (1, n))
    below = g.constant(np.eye(max(n - 1, 0), n), p.type.element_type)
    return concatenate([first, below])


@implements(np.poly)
def poly(g: Builder, seq_of_zeros: Any) -> Value:
    """The coefficients of the polynomial with these roots, or that of a matrix: complex if the roots are."""
    x = to_float(g, seq_of_zeros)
    values = eigvals(x) if x.type.rank == 2 else ravel(x)
    found = g.constant(np.ones(1), values.type.element_type)
    for k in range(values.type.size):
        factor = concatenate([g.constant(np.ones(1), values.type.element_type), -part(values, 0, k, k + 1)])
        found = convolve(found, factor)
    return found
