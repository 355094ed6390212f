"""Linear systems, factors and spectra of matrices."""

from __future__ import annotations

import numpy as np

from gradserve.client.importers.aten.table import Node, Result, translates
from gradserve.client.importers.lax import products as lax
from gradserve.client.importers.lax.elements import Operand
from gradserve.ir.builder import Value
from gradserve.numpy import decompositions, systems


@translates("linalg_inv_ex", "inverse")
def _inverse(n: Node, x: Operand, *, check_errors: bool = False) -> Result:
    """The inverse of matrices, and zero in the place of what went wrong: singular ones are refused."""
    return [systems.inv(x.value), *no_info(n)]


def no_info(n: Node, at: int = 1) -> list[Value]:
    """Zero where the program has a result that tells what went wrong."""
    return [n.g.broadcast(n.of(0, n.dtypes[at]), n.shapes[at] or ())] if n.dtypes[at:] else []


def conjugate_transpose(n: Node, x: Value) -> Value:
    """The conjugate of the transpose."""
    turned = lax.transposed(n.g, x)
    return n.g.conj(turned) if x.type.is_complex else turned


@translates("_linalg_det", "linalg_det", "det")
def _det(n: Node, x: Operand) -> Result:
    """The determinants of matrices; their factors are not made."""
    return [systems.det(x.value), None, None]


@translates("_linalg_slogdet")
def _slogdet(n: Node, x: Operand) -> Result:
    """The signs and the logarithms of determinants; their factors are not made."""
    found = systems.slogdet(x.value)
    return [found.sign, found.logabsdet, None, None]


@translates("linalg_cholesky_ex", "cholesky")
def _cholesky(n: Node, x: Operand, upper: bool = False, *, check_errors: bool = False) -> Result:
    """The triangular factor of matrices; those that are not positive definite are refused."""
    return [systems.cholesky(_symmetric(n, x.value, upper), upper), *no_info(n)]


def _of_triangle(n: Node, x: Value, upper: bool) -> Value:
    """The Hermitian matrix of one triangle, which is not differentiated."""
    kept = (np.triu if upper else np.tril)(np.ones(x.shape[-2:], np.bool_))
    return n.g.stop_gradient(n.g.select(n.g.constant(kept), x, conjugate_transpose(n, x)))


def _symmetric(n: Node, x: Value, upper: bool) -> Value:
    """The Hermitian matrix of one triangle, whose derivative torch lays on both."""
    g = n.g
    mean = g.mul(g.add(x, conjugate_transpose(n, x)), 0.5)
    return g.add(_of_triangle(n, x, upper), g.sub(mean, g.stop_gradient(mean)))


@translates("_linalg_solve_ex")
def _solve(n: Node, a: Operand, b: Operand, *, left: bool = True, check_errors: bool = False) -> Result:
    """The solution of linear systems; their factors are not made."""
    g = n.g
    vector = b.rank == 1 or (b.rank == a.rank - 1 and b.shape == a.shape[:-1])
    right = g.reshape(b.value, (*b.shape, 1)) if vector else b.value
    if left:
        found = systems.solve(a.value, right)
    else:
        turned = systems.solve(lax.transposed(g, a.value), lax.transposed(g, right))
        found = lax.transposed(g, turned)
    return [g.reshape(found, n.shape), None, None, *no_info(n, 3)]


@translates("linalg_solve_triangular", "triangular_solve")
def _solve_triangular(
    n: Node, a: Operand, b: Operand, *flags: bool, upper: bool = True, left: bool = True, unitriangular: bool = False
) -> Result:
    """The solution of triangular systems."""
    if n.name == "triangular_solve":
        upper, transpose, unit = (*flags, *(True, False, False)[len(flags) :])
        return [_triangular(n, b, a, True, not upper, transpose, unit), b]
    return _triangular(n, a, b, left, not upper, False, unitriangular)


def _triangular(n: Node, a: Operand, b: Operand, left: bool, lower: bool, transpose: bool, unit: bool) -> Value:
    g = n.g
    lead = n.shape[:-2]
    matrix = Operand(g.broadcast(a.value, (*lead, *a.shape[-2:])), a.dtype)
    right = Operand(g.broadcast(b.value, (*lead, *b.shape[-2:])), b.dtype)
    return lax.triangular_solve(g, matrix, right, left, lower, transpose, unit)


@translates("_linalg_eigh")
def _eigh(n: Node, x: Operand, uplo: str = "L", compute_v: bool = True) -> Result:
    """Eigenvalues in ascending order, and eigenvectors as columns, of symmetric matrices."""
    matrix = _symmetric(n, x.value, uplo == "U")
    if not compute_v:
        return [decompositions.eigvalsh(matrix, uplo), None]
    found = decompositions.eigh(matrix, uplo)
    return [found.eigenvalues, found.eigenvectors]


@translates("linalg_eig")
def _eig(n: Node, x: Operand) -> Result:
    """The complex eigenvalues of general matrices, and eigenvectors as columns."""
    return list(lax.eig(n.g, x, vectors=True))


@translates("linalg_eigvals", "_linalg_eigvals")
def _eigvals(n: Node, x: Operand) -> Result:
    """The complex eigenvalues of general matrices."""
    (found,) = lax.eig(n.g, x, vectors=False)
    return found


@translates("_linalg_svd")
def _svd(
    n: Node, x: Operand, full_matrices: bool = False, compute_uv: bool = True, *, driver: str | None = None
) -> Result:
    """Left singular vectors, singular values, and right singular vectors as rows."""
    if not compute_uv:
        return [None, decompositions.svdvals(x.value), None]
    values, left, right = lax.svd(n.g, x, full_matrices, True)
    return [left, values, right]


@translates("linalg_qr")
def _qr(n: Node, x: Operand, mode: str = "reduced") -> Result:
    """Q with orthonormal columns and R upper triangular."""
    if mode == "r":
        return [None, lax.qr(n.g, x, False)[1]]
    return list(lax.qr(n.g, x, mode == "complete"))


@translates("linalg_matrix_exp")
def _matrix_exp(n: Node, x: Operand) -> Result:
    """The exponential of matrices."""
    return n.g.emit("expm", x.value)


@translates("linalg_pinv")
def _pinv(n: Node, x: Operand, *, atol: object = None, rtol: object = None, hermitian: bool = False) -> Result:
    """The pseudo-inverse of matrices."""
    least, share = (_told(n, each, name) for each, name in ((atol, "atol"), (rtol, "rtol")))
    if least:
        raise n.refuse("its tolerance is no share of the largest singular value", "give rtol instead of atol")
    matrix = _symmetric(n, x.value, False) if hermitian else x.value
    if not share:
        share = max(x.shape[-2:]) * float(np.finfo(x.dtype).eps) if least is None or share is None else 0.0
    return decompositions.pinv(matrix, share)


def _told(n: Node, tolerance: object, name: str) -> float | None:
    """A tolerance that is known, of all matrices the same."""
    if not isinstance(tolerance, Operand):
        return None if tolerance is None else float(tolerance)  # type: ignore[arg-type]
    known = n.known(tolerance)
    if known is None or not known.size or np.any(known != known.flat[0]):
        raise n.refuse(f"its {name} is computed, or differs between matrices", f"give {name} as a number")
    return float(known.flat[0])
