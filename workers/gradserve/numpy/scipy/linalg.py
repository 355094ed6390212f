"""scipy.linalg: what NumPy has under the same names, factors and what is solved with them, systems with structure."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import decompositions, norms, systems
from gradserve.numpy.arguments import Unsupported, integers, refuse, to_float
from gradserve.numpy.decompositions import matrix
from gradserve.numpy.indexing import getitem
from gradserve.numpy.joining import concatenate
from gradserve.numpy.matrices import diag
from gradserve.numpy.shaping import flip, swapaxes
from gradserve.numpy.table import OWN, SCIPY, implements_scipy
from gradserve.ops.elementwise.parts import conjugate
from gradserve.ops.linalg.triangles import mirrored

for _name in ("cho_solve", "expm", "polar", "solve_sylvester", "solve_triangular"):
    SCIPY[f"scipy.linalg.{_name}"] = OWN[_name]


@implements_scipy("linalg.solve")
def solve(
    g: Builder, a: Any, b: Any, lower: bool = False, *, assume_a: str | None = None, transposed: bool = False
) -> Value:
    """The x with a x = b; of matrices assumed to be symmetric or definite, one triangle is read."""
    x = matrix(g, a, "solve", square=True)
    kind = {"symmetric": "sym", "her": "sym", "hermitian": "sym", "positive definite": "pos"}.get(
        str(assume_a), assume_a
    )
    if kind in ("sym", "pos"):
        x = mirrored(g, x if lower else swapaxes(x, -1, -2))
    elif kind in ("upper triangular", "lower triangular"):
        return systems.solve_triangular(x, b, trans=int(transposed), lower=kind == "lower triangular")
    elif kind == "diagonal":
        x = diag(diag(x))
    elif kind not in (None, "gen", "general"):
        raise Unsupported(f"scipy.linalg.solve with assume_a={assume_a!r} cannot be traced", "leave it out")
    return systems.solve(swapaxes(x, -1, -2) if transposed else x, b)


@implements_scipy("linalg.inv")
def inv(g: Builder, a: Any) -> Value:
    """The inverse."""
    return systems.inv(a)


@implements_scipy("linalg.det")
def det(g: Builder, a: Any) -> Value:
    """The determinant."""
    return systems.det(a)


@implements_scipy("linalg.pinv")
def pinv(g: Builder, a: Any, *, rtol: Any = None) -> Value:
    """The pseudoinverse; its derivative is that along matrices of the same rank."""
    x = matrix(g, a, "pinv")
    eps = float(np.finfo(x.type.element_type.dtype).eps)
    return decompositions.pinv(x, rtol=max(x.shape[-2:]) * eps if rtol is None else rtol)


@implements_scipy("linalg.norm")
def norm(g: Builder, a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Value:
    """The norm of vectors or matrices."""
    return norms.norm(a, ord, axis, keepdims)


@implements_scipy("linalg.svd")
def svd(g: Builder, a: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Singular values, descending, and their vectors."""
    found = decompositions.svd(a, full_matrices, compute_uv)
    return found if isinstance(found, Value) else tuple(found)


@implements_scipy("linalg.svdvals")
def svdvals(g: Builder, a: Any) -> Value:
    """Singular values, descending."""
    return decompositions.svdvals(a)


@implements_scipy("linalg.cholesky")
def cholesky(g: Builder, a: Any, lower: bool = False) -> Value:
    """The upper factor R with R^T R = a, or the lower one; of a, one triangle is read."""
    return systems.cholesky(a, upper=not lower)


@implements_scipy("linalg.cho_factor")
def cho_factor(g: Builder, a: Any, lower: bool = False) -> tuple[Value, bool]:
    """What cho_solve takes: a factor, and whether it is the lower one; 0 where SciPy leaves what it found."""
    return cholesky(a, lower), lower


@implements_scipy("linalg.qr")
def qr(g: Builder, a: Any, *, mode: str = "full") -> Any:
    """Q with orthonormal columns and R upper triangular; R alone in mode r."""
    if mode not in ("full", "economic", "r"):
        raise Unsupported(f"scipy.linalg.qr with mode={mode!r} cannot be traced", "use 'economic'")
    x = matrix(g, a, "qr")
    if mode == "full" and x.shape[-2] > x.shape[-1]:
        raise Unsupported("scipy.linalg.qr in mode 'full' cannot be traced: Q has columns of no use", "use 'economic'")
    found = decompositions.qr(x, "r" if mode == "r" else "reduced")
    return (found,) if isinstance(found, Value) else tuple(found)


@implements_scipy("linalg.rq")
def rq(g: Builder, a: Any, *, mode: str = "full") -> Any:
    """R upper triangular and Q with orthonormal rows, a = R Q, of a matrix that is not high; R alone in mode r."""
    x = matrix(g, a, "rq")
    if mode not in ("full", "economic", "r"):
        raise Unsupported(f"scipy.linalg.rq with mode={mode!r} cannot be traced", "use 'economic'")
    if x.shape[-2] > x.shape[-1] or (mode != "economic" and x.shape[-2] < x.shape[-1]):
        raise Unsupported("scipy.linalg.rq of a matrix that is not square has no such derivative", "use 'economic'")

    def turned(v: Value) -> Value:
        return swapaxes(flip(v, (-2, -1)), -1, -2)

    found = decompositions.qr(turned(x), "r" if mode == "r" else "reduced")
    return turned(found) if isinstance(found, Value) else (turned(found.R), turned(found.Q))


@implements_scipy("linalg.lstsq")
def lstsq(g: Builder, a: Any, b: Any, cond: Any = None) -> Any:
    """The solution of least norm, the sums of squared residuals, rank and singular values."""
    x = matrix(g, a, "lstsq")
    eps = float(np.finfo(x.type.element_type.dtype).eps)
    return tuple(decompositions.lstsq(x, b, eps if cond is None else cond))


@implements_scipy("linalg.solve_banded")
def solve_banded(g: Builder, l_and_u: Any, ab: Any, b: Any) -> Value:
    """The x with a x = b, given the diagonals of a from the highest to the lowest."""
    low, high = integers(l_and_u, "numbers of diagonals")
    rows = to_float(g, ab)
    if rows.type.rank != 2 or rows.shape[0] != high + low + 1:
        refuse(g, "solve_banded", f"{rows.type} has not {high + low + 1} diagonals")
    return by_diagonals(g, rows, b, low, high)


@implements_scipy("linalg.solveh_banded")
def solveh_banded(g: Builder, ab: Any, b: Any, *, lower: bool = False) -> Value:
    """The x with a x = b, given the upper or the lower diagonals of a definite a."""
    rows = to_float(g, ab)
    if rows.type.rank != 2 or not rows.shape[0]:
        refuse(g, "solveh_banded", f"{rows.type} holds no diagonals")
    count, n = rows.shape[0] - 1, rows.shape[1]
    beside, column = np.indices((count, n))
    # Row d below the diagonal holds elements (j + d, j), and row d above it those at (j - d, j).
    there = column - beside - 1 if lower else column + count - beside
    row = beside + 1 if lower else beside
    inside = (there >= 0) & (there < n)
    taken = conjugate(g, getitem(g, rows, (row, np.where(inside, there, 0))))
    other = getitem(g, g.select(g.constant(inside), taken, 0.0), slice(None, None, -1))
    return by_diagonals(g, concatenate([other, rows] if lower else [rows, other]), b, count, count)


def by_diagonals(g: Builder, rows: Value, b: Any, low: int, high: int) -> Value:
    """The x with a x = b, where element (i, j) of a stands in row high + i - j, column j."""
    n, right = rows.shape[1], to_float(g, b)
    if right.type.rank not in (1, 2) or right.shape[0] != n:
        refuse(g, "solve_banded", f"diagonals {rows.type} and {right.type} are no linear system")
    most = max(n - 1, 0)
    kept = getitem(g, rows, slice(max(high - most, 0), high + min(low, most) + 1))
    columns = g.reshape(right, (n, right.type.size // n if n else 0))
    found = g.emit("banded_solve", kept, columns, lower=min(low, most), upper=min(high, most))
    return g.reshape(found, right.type.shape)


@implements_scipy("linalg.solve_continuous_lyapunov")
def solve_continuous_lyapunov(g: Builder, a: Any, q: Any) -> Value:
    """The x with a x + x a^T = q."""
    x = matrix(g, a, "solve_continuous_lyapunov", square=True)
    return OWN["solve_sylvester"].call(g, x, swapaxes(x, -1, -2), q)  # type: ignore[no-any-return]
