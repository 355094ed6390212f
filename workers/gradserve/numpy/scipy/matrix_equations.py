"""Functions and equations of matrices beyond one system: cosines, derivatives of exponentials, Lyapunov's equations."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import decompositions, systems
from gradserve.numpy.arguments import Unsupported, integer, lift, promoted, refuse, to_float, to_real
from gradserve.numpy.decompositions import matrix, thin_svd
from gradserve.numpy.indexing import getitem
from gradserve.numpy.joining import concatenate
from gradserve.numpy.matrix_functions import expm, solve_sylvester
from gradserve.numpy.products import kron, matmul
from gradserve.numpy.scipy.linalg import by_diagonals
from gradserve.numpy.shaping import part, ravel, swapaxes
from gradserve.numpy.table import implements_scipy
from gradserve.ops.elementwise.parts import conjugate
from gradserve.ops.linalg.exponential import Expm
from gradserve.ops.linalg.triangles import mirrored, on_diagonal


@implements_scipy("linalg.expm_frechet")
def expm_frechet(
    g: Builder, A: Any, E: Any, method: Any = None, compute_expm: bool = True, check_finite: bool = True
) -> Any:
    """The exponential of a matrix, and its derivative along E."""
    x, along = (matrix(g, v, "expm_frechet", square=True) for v in promoted(g, A, E))
    if x.type.is_complex:
        raise Unsupported("expm_frechet of complex matrices cannot be traced", "write functions.jvp(expm, [A], [E])")
    moved = g.apply(Expm(), [x, along])[0]
    return (expm(x), moved) if compute_expm else moved


def _turned(g: Builder, A: Any, name: str) -> tuple[Value, Value]:
    """The cosine and the sine of a real matrix, as parts of the exponential of one of twice the size."""
    x = to_real(g, matrix(g, A, name, square=True), name)
    nothing = g.zeros(x.type)
    both = expm(concatenate([concatenate([nothing, -x], -1), concatenate([x, nothing], -1)], -2))
    n, rows, columns = x.shape[-1], x.type.rank - 2, x.type.rank - 1
    left = part(both, columns, 0, n)
    return part(left, rows, 0, n), part(left, rows, n, 2 * n)


@implements_scipy("linalg.cosm")
def cosm(g: Builder, A: Any) -> Value:
    """The cosine of a matrix."""
    return _turned(g, A, "cosm")[0]


@implements_scipy("linalg.sinm")
def sinm(g: Builder, A: Any) -> Value:
    """The sine of a matrix."""
    return _turned(g, A, "sinm")[1]


@implements_scipy("linalg.tanm")
def tanm(g: Builder, A: Any) -> Value:
    """The tangent of a matrix."""
    return systems.solve(*_turned(g, A, "tanm"))


@implements_scipy("linalg.coshm")
def coshm(g: Builder, A: Any) -> Value:
    """The hyperbolic cosine of a matrix."""
    x = matrix(g, A, "coshm", square=True)
    return g.mul(g.add(expm(x), expm(-x)), 0.5)


@implements_scipy("linalg.sinhm")
def sinhm(g: Builder, A: Any) -> Value:
    """The hyperbolic sine of a matrix."""
    x = matrix(g, A, "sinhm", square=True)
    return g.mul(g.sub(expm(x), expm(-x)), 0.5)


@implements_scipy("linalg.tanhm")
def tanhm(g: Builder, A: Any) -> Value:
    """The hyperbolic tangent of a matrix."""
    x = matrix(g, A, "tanhm", square=True)
    return systems.solve(coshm(x), sinhm(x))


@implements_scipy("linalg.solve_discrete_lyapunov")
def solve_discrete_lyapunov(g: Builder, a: Any, q: Any, method: Any = None) -> Value:
    """The x with a x a^H - x + q = 0; of up to 10 rows as a system of all elements, else by Sylvester's equation."""
    x, right = g.promote([matrix(g, v, "solve_discrete_lyapunov", square=True) for v in (a, q)])
    n = x.shape[-1]
    if method not in (None, "direct", "bilinear"):
        refuse(g, "solve_discrete_lyapunov", f"method {method!r} is neither 'direct' nor 'bilinear'")
    one, turned = on_diagonal(g, n, x.type.element_type), conjugate(g, swapaxes(x, -1, -2))
    if method == "direct" or (method is None and n < 10):
        system = g.sub(on_diagonal(g, n * n, x.type.element_type), kron(x, conjugate(g, x)))
        return g.reshape(systems.solve(system, g.reshape(right, (n * n,))), (n, n))
    inverse = systems.inv(g.add(turned, one))
    b = matmul(g.sub(turned, one), inverse)
    c = g.mul(matmul(matmul(systems.inv(g.add(x, one)), right), inverse), 2.0)
    return solve_sylvester(conjugate(g, swapaxes(b, -1, -2)), b, -c)


@implements_scipy("linalg.pinvh")
def pinvh(g: Builder, a: Any, atol: Any = None, rtol: Any = None, lower: bool = True) -> Value:
    """The pseudoinverse of a symmetric or Hermitian matrix, of which one triangle is read."""
    x = matrix(g, a, "pinvh", square=True)
    if atol is not None:
        raise Unsupported("scipy.linalg.pinvh with atol= cannot be traced", "give rtol=")
    whole = mirrored(g, x if lower else conjugate(g, swapaxes(x, -1, -2)))
    eps = float(np.finfo(x.type.element_type.dtype).eps)
    return decompositions.pinv(whole, rtol=x.shape[-1] * eps if rtol is None else rtol)


@implements_scipy("linalg.orthogonal_procrustes")
def orthogonal_procrustes(g: Builder, A: Any, B: Any) -> tuple[Value, Value]:
    """The orthogonal R for which A R is nearest to B, and the sum of the singular values of A^T B."""
    x, y = promoted(g, A, B)
    u, s, vh = thin_svd(g, matmul(swapaxes(to_float(g, x), 0, 1), to_float(g, y)))
    return matmul(u, vh), g.reduce_sum(s, axes=(0,))


@implements_scipy("linalg.khatri_rao")
def khatri_rao(g: Builder, a: Any, b: Any) -> Value:
    """The products of each element of a with those of b in its column."""
    x, y = promoted(g, a, b)
    if x.type.rank != 2 or y.type.rank != 2 or x.shape[1] != y.shape[1]:
        refuse(g, "khatri_rao", f"{x.type} and {y.type} have not the same number of columns")
    (m, n), rows = x.shape, y.shape[0]
    return g.reshape(g.mul(g.reshape(x, (m, 1, n)), g.reshape(y, (1, rows, n))), (m * rows, n))


@implements_scipy("linalg.leslie")
def leslie(g: Builder, f: Any, s: Any) -> Value:
    """The matrix with a first row of fecundities and survivals below the diagonal."""
    first, below = (ravel(v) for v in promoted(g, f, s))
    n = first.type.size
    if below.type.size != n - 1:
        raise ValueError("The length of s must be one less than the length of f")
    spread = g.emit("pad", below, low=(0,), high=((n - 1) * n - 1 - (n - 2) * (n + 1),), interior=(n,))
    return concatenate([g.reshape(first, (1, n)), g.reshape(spread, (n - 1, n))])


@implements_scipy("linalg.fiedler")
def fiedler(g: Builder, a: Any) -> Value:
    """The distances of the elements of a vector."""
    x = ravel(lift(g, a))
    n = x.type.size
    return g.abs(g.sub(g.reshape(x, (1, n)), g.reshape(x, (n, 1))))


@implements_scipy("linalg.convolution_matrix")
def convolution_matrix(g: Builder, a: Any, n: Any, mode: str = "full") -> Value:
    """The matrix whose product with a vector of n elements is its convolution with a."""
    x, count = ravel(lift(g, a)), integer(n, "n")
    m = x.type.size
    rows, columns = np.indices((m + count - 1, count))
    inside = (rows >= columns) & (rows - columns < m)
    whole = g.select(g.constant(inside), getitem(g, x, np.where(inside, rows - columns, 0)), 0.0)
    if mode == "same":
        return part(whole, 0, (min(m, count) - 1) // 2, (min(m, count) - 1) // 2 + max(m, count))
    if mode == "valid":
        return part(whole, 0, min(m, count) - 1, max(m, count))
    return whole


@implements_scipy("linalg.solve_circulant")
def solve_circulant(g: Builder, c: Any, b: Any) -> Value:
    """The x with a x = b, a the circulant matrix of a vector, of which the Fourier transform is divided by."""
    from gradserve.numpy.scipy.matrices_of_few import circulant

    return systems.solve(circulant(lift(g, c)), b)


@implements_scipy("linalg.cho_solve_banded")
def cho_solve_banded(g: Builder, cb_and_lower: Any, b: Any) -> Value:
    """The x with a x = b, given the diagonals of a Cholesky factor of a and whether it is the lower one."""
    factor, lower = cb_and_lower
    rows = to_float(g, factor)
    count, n = rows.shape[0] - 1, rows.shape[1]
    row, column = np.indices((count + 1, n))
    there = column + row - count if lower else column + row
    inside = (there >= 0) & (there < n)
    other = g.select(g.constant(inside), getitem(g, rows, (count - row, np.where(inside, there, 0))), 0.0)
    turned = conjugate(g, other)
    lower_rows, upper_rows = (rows, turned) if lower else (turned, rows)
    half = by_diagonals(g, lower_rows, b, count, 0)
    return by_diagonals(g, upper_rows, half, 0, count)


@implements_scipy("linalg.cholesky_banded")
def cholesky_banded(g: Builder, ab: Any, *, lower: bool = False) -> Value:
    """The diagonals of the Cholesky factor of a definite matrix, given its own; 0 where SciPy leaves what it found.

    It is computed as a full matrix.
    """
    rows = to_float(g, ab)
    count, n = rows.shape[0] - 1, rows.shape[1]
    i, j = np.indices((n, n))
    apart = np.abs(i - j)
    inside = apart <= count
    row, column = (apart, np.minimum(i, j)) if lower else (count - apart, np.maximum(i, j))
    full = g.select(g.constant(inside), getitem(g, rows, (np.where(inside, row, 0), column)), 0.0)
    found = systems.cholesky(full, upper=not lower)
    row, column = np.indices((count + 1, n))
    other = column + row if lower else column + row - count
    kept = (other >= 0) & (other < n)
    place = (np.where(kept, other, 0), column)
    return g.select(g.constant(kept), getitem(g, found, place), 0.0)
