"""scipy.linalg of general matrices: eigenvalues, roots and logarithms, factors with rows exchanged, regulators."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.graph import Literal
from gradserve.numpy import eigenvalues, systems
from gradserve.numpy.arguments import Unsupported, integers, promoted, refuse, to_float
from gradserve.numpy.decompositions import matrix
from gradserve.numpy.indexing import getitem
from gradserve.numpy.matrices import tril, triu
from gradserve.numpy.matrix_functions import expm
from gradserve.numpy.shaping import swapaxes
from gradserve.numpy.table import implements_scipy
from gradserve.ops.contraction.contract import matrix_product
from gradserve.ops.linalg.exponential import Logm, Sqrtm
from gradserve.ops.linalg.pivoted import PivotedLu, exchange
from gradserve.ops.linalg.riccati import ContinuousRiccati, DiscreteRiccati
from gradserve.ops.linalg.triangles import on_diagonal


def _over(g: Builder, a: Any, b: Any, name: str) -> Value:
    """The matrix a, or b^-1 a of a generalised problem."""
    x = matrix(g, a, name, square=True)
    return x if b is None else systems.solve(b, x)


@implements_scipy("linalg.eig")
def eig(g: Builder, a: Any, b: Any = None, left: bool = False, right: bool = True) -> Any:
    """Eigenvalues and eigenvectors, as columns, of general matrices: complex ones, also of real numbers."""
    if left:
        raise Unsupported("scipy.linalg.eig with left=True cannot be traced", "write scipy.linalg.eig(a.conj().T)")
    if b is not None and right:
        raise Unsupported("scipy.linalg.eig of two matrices cannot be traced", "write eigvals, or eig of solve(b, a)")
    return tuple(eigenvalues.eig(a)) if right else eigvals(a, b)


@implements_scipy("linalg.eigvals")
def eigvals(g: Builder, a: Any, b: Any = None) -> Value:
    """Eigenvalues of a general matrix, or of one beside another, b: complex ones, also of real numbers."""
    return eigenvalues.eigvals(_over(g, a, b, "eigvals"))


@implements_scipy("linalg.sqrtm")
def sqrtm(g: Builder, A: Any) -> Value:
    """The principal root of a matrix: of real numbers a real one, and refused where it is complex."""
    return g.apply(Sqrtm(), [matrix(g, A, "sqrtm", square=True)])[0]


@implements_scipy("linalg.logm")
def logm(g: Builder, A: Any) -> Value:
    """The principal logarithm of a matrix: of real numbers a real one, and refused where it is complex."""
    return g.apply(Logm(), [matrix(g, A, "logm", square=True)])[0]


@implements_scipy("linalg.signm")
def signm(g: Builder, A: Any) -> Value:
    """The sign of a matrix, A (A A)^(-1/2): its eigenvalues are the signs of A's real parts; of regular ones."""
    x = matrix(g, A, "signm", square=True)
    return systems.solve(sqrtm(matrix_product(g, x, x)), x)


@implements_scipy("linalg.fractional_matrix_power")
def fractional_matrix_power(g: Builder, A: Any, t: Any) -> Value:
    """A matrix to any power, as expm(t logm(A)); whole ones known while tracing as products."""
    x = matrix(g, A, "fractional_matrix_power", square=True)
    if not isinstance(t, Value) and float(t).is_integer():
        return systems.matrix_power(x, int(t))
    return expm(g.mul(logm(x), to_float(g, t)))


def _factors(g: Builder, a: Any, name: str) -> tuple[Value, ...]:
    x = matrix(g, a, name)
    if x.shape[-1] != x.shape[-2]:
        raise Unsupported(f"scipy.linalg.{name} of {x.type}, which is not square, cannot be traced", "write qr instead")
    return g.apply(PivotedLu(), [x])


@implements_scipy("linalg.lu")
def lu(g: Builder, a: Any, permute_l: bool = False, *, p_indices: bool = False) -> tuple[Value, ...]:
    """P, L and U with P L U = a, P a permutation; or P L and U."""
    left, right, _, order = _factors(g, a, "lu")
    if p_indices and not permute_l:
        return order, left, right
    turned = swapaxes(exchange(g, order, left.type.element_type), -1, -2)
    return (matrix_product(g, turned, left), right) if permute_l else (turned, left, right)


@implements_scipy("linalg.lu_factor")
def lu_factor(g: Builder, a: Any) -> tuple[Value, Value]:
    """What lu_solve takes: U and what is below the diagonal of L in one matrix, and exchanges of rows."""
    left, right, exchanges, _ = _factors(g, a, "lu_factor")
    return g.add(tril(left, -1), right), exchanges


@implements_scipy("linalg.lu_solve")
def lu_solve(g: Builder, lu_and_piv: Any, b: Any, trans: int = 0) -> Value:
    """The x with a x = b, or a^T x = b, given scipy.linalg.lu_factor of a."""
    packed, pivots = lu_and_piv
    factors, right = promoted(g, to_float(g, packed), to_float(g, b))
    n = factors.shape[-1]
    if factors.type.rank != 2 or right.type.rank not in (1, 2) or right.shape[0] != n:
        refuse(g, "lu_solve", f"{factors.type} and {right.type} are no linear system")
    unit = g.add(tril(factors, -1), on_diagonal(g, n, factors.type.element_type))
    upper, order = triu(factors), _order(g, pivots, n)
    if trans in (0, "N"):
        half = systems.solve_triangular(unit, getitem(g, right, order), lower=True)
        return systems.solve_triangular(upper, half)
    half = systems.solve_triangular(upper, right, trans=1)
    half = systems.solve_triangular(unit, half, trans=1, lower=True)
    back = np.argsort(order) if isinstance(order, np.ndarray) else g.emit("argsort", order, axis=0)
    return getitem(g, half, back)


def _order(g: Builder, pivots: Any, n: int) -> Any:
    """The rows in the order to which exchanges, one after the other, bring them."""
    if not isinstance(pivots, Value) or isinstance(g.literal(pivots), Literal):
        known = np.arange(n)
        for k, other in enumerate(integers(pivots, "pivots")):
            known[[k, other]] = known[[other, k]]
        return known
    rows = g.emit("iota", length=n, element_type=pivots.type.element_type)
    order = rows
    for k in range(n):
        place = g.reshape(getitem(g, pivots, k), (1,))
        here, there = getitem(g, order, slice(k, k + 1)), getitem(g, order, place)
        order = g.select(g.eq(rows, k), there, g.select(g.eq(rows, place), here, order))
    return order


def _regulated(g: Builder, kind: Any, operands: tuple[Any, ...], e: Any, s: Any) -> Value:
    if e is not None or s is not None:
        raise Unsupported("equations of Riccati with e= or s= cannot be traced", "bring the system into the plain form")
    return g.apply(kind(), g.promote([matrix(g, x, "solve_are") for x in operands]))[0]


@implements_scipy("linalg.solve_continuous_are")
def solve_continuous_are(g: Builder, a: Any, b: Any, q: Any, r: Any, e: Any = None, s: Any = None) -> Value:
    """The X with a^T X + X a - X b r^-1 b^T X + q = 0 that makes the regulated system stable; of real numbers."""
    return _regulated(g, ContinuousRiccati, (a, b, q, r), e, s)


@implements_scipy("linalg.solve_discrete_are")
def solve_discrete_are(g: Builder, a: Any, b: Any, q: Any, r: Any, e: Any = None, s: Any = None) -> Value:
    """The X with a^T X a - X - a^T X b (r + b^T X b)^-1 b^T X a + q = 0 that makes it stable; of real numbers."""
    return _regulated(g, DiscreteRiccati, (a, b, q, r), e, s)
