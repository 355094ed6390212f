"""scipy.linalg: eigenvalues and eigenvectors of symmetric matrices, of pairs of them, and of those of few diagonals."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import decompositions
from gradserve.numpy.arguments import integers, lift, refuse, to_float, to_real
from gradserve.numpy.decompositions import matrix
from gradserve.numpy.indexing import getitem
from gradserve.numpy.matrices import diag
from gradserve.numpy.shaping import part, swapaxes
from gradserve.numpy.systems import solve_triangular
from gradserve.numpy.table import implements_scipy
from gradserve.ops.elementwise.parts import conjugate
from gradserve.ops.linalg.triangles import mirrored


@implements_scipy("linalg.eigh")
def eigh(
    g: Builder, a: Any, b: Any = None, *, lower: bool = True, eigvals_only: bool = False, subset_by_index: Any = None
) -> Any:
    """Eigenvalues, ascending, and eigenvectors of the symmetric matrix of which one triangle is read.

    With a definite b they are those with a v = w b v, and v^H b v = 1.
    """
    x = matrix(g, a, "eigh", square=True)
    start, stop = _chosen(g, x, subset_by_index)
    factor = None
    if b is not None:
        x, other = g.promote([_whole(g, each, lower) for each in (x, matrix(g, b, "eigh", square=True))])
        factor = g.emit("cholesky", other)
        half = solve_triangular(factor, x, lower=True)
        x = solve_triangular(factor, conjugate(g, swapaxes(half, -1, -2)), lower=True)
    triangle = "L" if lower else "U"
    if eigvals_only:
        found = decompositions.eigvalsh(x, triangle)
        return part(found, found.type.rank - 1, start, stop)
    w, v = decompositions.eigh(x, triangle)
    if factor is not None:
        v = solve_triangular(factor, v, trans=2, lower=True)
    return part(w, w.type.rank - 1, start, stop), part(v, v.type.rank - 1, start, stop)


def _whole(g: Builder, x: Value, lower: bool) -> Value:
    """The Hermitian matrix of which one triangle is read."""
    return mirrored(g, x if lower else conjugate(g, swapaxes(x, -1, -2)))


def _chosen(g: Builder, x: Value, subset: Any) -> tuple[int, int]:
    """Which eigenvalues are asked for: the numbers of the first and of the last one."""
    if subset is None:
        return 0, x.shape[-1]
    first, last = integers(subset, "subset_by_index")
    if not 0 <= first <= last < x.shape[-1]:
        refuse(g, "eigh", f"subset_by_index is {first} and {last}, of {x.shape[-1]} eigenvalues")
    return first, last + 1


@implements_scipy("linalg.eigvalsh")
def eigvalsh(g: Builder, a: Any, b: Any = None, *, lower: bool = True, subset_by_index: Any = None) -> Value:
    """Eigenvalues, ascending, of the symmetric matrix of which one triangle is read; with b, see eigh."""
    found: Value = eigh(lift(g, a), b, lower=lower, eigvals_only=True, subset_by_index=subset_by_index)
    return found


@implements_scipy("linalg.eigh_tridiagonal")
def eigh_tridiagonal(g: Builder, d: Any, e: Any, eigvals_only: bool = False) -> Any:
    """Eigenvalues, ascending, and eigenvectors of the symmetric matrix with a diagonal and the one beside it."""
    middle, beside = (to_real(g, v, "eigh_tridiagonal") for v in g.promote([lift(g, d), lift(g, e)]))
    if beside.type.size != middle.type.size - 1:
        raise ValueError("d and e must have lengths n and n - 1")
    return eigh(g.add(diag(middle), diag(beside, -1)), lower=True, eigvals_only=eigvals_only)


@implements_scipy("linalg.eigvalsh_tridiagonal")
def eigvalsh_tridiagonal(g: Builder, d: Any, e: Any) -> Any:
    """Eigenvalues, ascending, of the symmetric matrix with a diagonal and the one beside it."""
    return eigh_tridiagonal(lift(g, d), e, eigvals_only=True)


@implements_scipy("linalg.eig_banded")
def eig_banded(g: Builder, a_band: Any, lower: bool = False, eigvals_only: bool = False) -> Any:
    """Eigenvalues, ascending, and eigenvectors of the symmetric matrix with these upper or lower diagonals."""
    rows = to_float(g, a_band)
    if rows.type.rank != 2 or not rows.shape[0]:
        refuse(g, "eig_banded", f"{rows.type} holds no diagonals")
    count, n = rows.shape
    row, column = np.indices((n, n))
    apart = row - column if lower else column - row
    inside = (apart >= 0) & (apart < count)
    places = (np.where(inside, apart if lower else count - 1 - apart, 0), column)
    return eigh(g.select(g.constant(inside), getitem(g, rows, places), 0.0), lower=lower, eigvals_only=eigvals_only)


@implements_scipy("linalg.eigvals_banded")
def eigvals_banded(g: Builder, a_band: Any, lower: bool = False) -> Any:
    """Eigenvalues, ascending, of the symmetric matrix with these upper or lower diagonals."""
    return eig_banded(lift(g, a_band), lower, eigvals_only=True)
