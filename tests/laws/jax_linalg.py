"""What JAX computes for the ops of linear algebra: functions of the op (for its attributes) and its operands."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import jax.scipy.linalg

from gradserve.ops.linalg.exponential import Expm


def symmetric(a: Any) -> Any:
    """The lower triangle, mirrored; of complex matrices conjugated, with the real part of the diagonal."""
    below = jnp.tril(a, -1)
    return below + jnp.swapaxes(jnp.conj(below), -1, -2) + jnp.real(a) * jnp.eye(a.shape[-1], dtype=a.dtype)


def _eigh(op: Any, a: Any) -> Any:
    w, q = jnp.linalg.eigh(symmetric(a))
    return w[..., op.start : op.stop], q[..., op.start : op.stop]


def _svd(op: Any, a: Any) -> Any:
    u, s, vh = jnp.linalg.svd(a, full_matrices=False)
    chosen = slice(op.start, op.stop)
    return u[..., chosen], s[..., chosen], vh[..., chosen, :]


def _tangent(op: Any, x: Any, left: Any, right: Any, e: Any) -> Any:
    return jnp.einsum("...pk,...pq,...qk->...k", left, e, right)[..., op.start : op.stop]


def _cotangent(op: Any, x: Any, left: Any, right: Any, w: Any) -> Any:
    chosen = slice(op.start, op.stop)
    return jnp.einsum("...pk,...k,...qk->...pq", left[..., chosen], w, right[..., chosen])


def _rotation(op: Any, x: Any, matrix: Any) -> Any:
    gaps = x[..., None, op.start : op.stop] - x[..., :, None]
    same = gaps == 0
    return jnp.where(same, 0.0, matrix / jnp.where(same, 1.0, gaps))


def _spectral(op: Any, a: Any, *directions: Any) -> Any:
    """By the exponential where that says it, as JAX has no derivative of eigenvectors at repeated eigenvalues."""
    a = symmetric(a)
    if op.function == "exp":
        return Expm().impl(jnp, a, *directions)
    if op.function != "tanh":
        return op.impl(jnp, a, *directions)

    def tanh(x: Any) -> Any:
        double, one = jax.scipy.linalg.expm(2 * x), jnp.eye(x.shape[-1])
        return jnp.linalg.solve(double + one, double - one)

    return jax.jvp(tanh, (a,), directions)[1] if directions else tanh(a)


def _pinv(op: Any, a: Any) -> Any:
    return jnp.linalg.pinv(a)


def _cofactors(op: Any, a: Any) -> Any:
    return jnp.linalg.det(a)[..., None, None] * jnp.swapaxes(jnp.linalg.inv(a), -1, -2)


def _sparse_triangular_solve(op: Any, elements: Any, rows: Any, columns: Any, diagonal: Any, b: Any) -> Any:
    full = jnp.zeros((len(diagonal),) * 2, elements.dtype).at[rows, columns].add(elements)
    beside = jnp.tril(full, -1) if op.lower else jnp.triu(full, 1)
    return jax.scipy.linalg.solve_triangular(beside + jnp.diag(diagonal), b, trans=int(op.transposed), lower=op.lower)


def _sparse_solve(op: Any, elements: Any, rows: Any, columns: Any, b: Any) -> Any:
    full = jnp.zeros((len(b),) * 2, elements.dtype).at[rows, columns].add(elements)
    return jnp.linalg.solve(full.T if op.transposed else full, b)


def _banded_solve(op: Any, a: Any, b: Any) -> Any:
    n = a.shape[-1]

    def full(a: Any) -> Any:
        below = [jnp.diag(a[op.upper + k, : n - k], -k) for k in range(op.lower + 1)]
        return sum(below + [jnp.diag(a[op.upper - k, k:], k) for k in range(1, op.upper + 1)])

    return jnp.linalg.solve(jnp.vectorize(full, signature="(r,n)->(n,n)")(a), b)


def _sylvester(op: Any, a: Any, b: Any, c: Any) -> Any:
    return op.impl(jnp, a, b, c)


LINALG: Mapping[str, Callable[..., Any]] = {
    "banded_solve": _banded_solve,
    "cholesky": lambda op, x: jnp.linalg.cholesky(symmetric(x), symmetrize_input=False),
    "cholesky_cotangent": lambda op, factor, x: op.impl(jnp, factor, x),
    "cholesky_tangent": lambda op, factor, e: op.impl(jnp, factor, e),
    "cofactor_change": lambda op, a, e: jax.jvp(lambda x: _cofactors(op, x), (jnp.broadcast_to(a, e.shape),), (e,))[1],
    "cofactors": _cofactors,
    "det": lambda op, x: jnp.linalg.det(x),
    "eigh": _eigh,
    "eigvalsh": lambda op, a: _eigh(op, a)[0],
    "expm": lambda op, a, *e: op.impl(jnp, a, *e),
    "full_rank": lambda op, r: r,
    "inv": lambda op, x: jnp.linalg.inv(x),
    "lstsq": lambda op, a, b: _pinv(op, a) @ b,
    "lu_solve": lambda op, packed, exchanges, b: op.impl(jnp, packed, exchanges, b),
    "pinv": _pinv,
    "qr": lambda op, a: tuple(jnp.linalg.qr(a)),
    "rotation": _rotation,
    "same_rank": lambda op, a, p, e: e,
    "slogdet": lambda op, x: tuple(jnp.linalg.slogdet(x)),
    "solve": lambda op, a, b: jnp.linalg.solve(a, b),
    "spectral": _spectral,
    "spectral_by_factors": lambda op, w, q, *e: op.impl(jnp, w, q, *e),
    "spectrum_cotangent": _cotangent,
    "spectrum_tangent": _tangent,
    "svd": _svd,
    "svdvals": lambda op, a: _svd(op, a)[1],
    "sparse_solve": _sparse_solve,
    "sparse_triangular_solve": _sparse_triangular_solve,
    "sylvester": _sylvester,
    "upper_eigh": _eigh,
    "triangular_solve": lambda op, a, b: jax.scipy.linalg.solve_triangular(
        a, b, trans=int(op.transposed), lower=op.lower
    ),
}
