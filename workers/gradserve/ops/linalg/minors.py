"""Cofactors of matrices and how they change, right at singular matrices as well.

For A = U diag(s) V^T the cofactors are det U det V U diag(p) V^T, p_i the product of all s but s_i, and their change in
the direction E has det U det V U M V^T with M_ii = sum over j of p_ij F_jj and M_ij = -p_ij F_ji, where F = U^T E V and
p_ij is the product of all s but two. Nothing is divided by a singular value. Of complex matrices V^T is V^H and U is
conj(U) where a cofactor is made, and F = U^H E V.
"""

from __future__ import annotations

from typing import Any

from gradserve.ir.types import Array
from gradserve.ops.routines import routine


def cofactors(xp: Any, a: Array) -> Any:
    """The derivative of det in each element: det A A^-T where there is an inverse."""
    u, s, vh = routine(xp, "svd")(a)
    left = _sign(xp, u, vh) * xp.conj(u)
    return xp.matmul(left * xp.astype(xp.expand_dims(_all_but_one(xp, s), axis=-2), a.dtype), xp.conj(vh))


def cofactor_change(xp: Any, a: Array, e: Array) -> Any:
    """The derivative of the cofactors of A along E, with an inverse det A (tr(A^-1 E) A^-T - (A^-1 E A^-1)^T)."""
    u, s, vh = routine(xp, "svd")(a)
    f = xp.matmul(xp.matmul(xp.matrix_transpose(xp.conj(u)), e), xp.matrix_transpose(xp.conj(vh)))
    p = xp.astype(_all_but_two(xp, s), a.dtype)
    own = xp.sum(p * xp.expand_dims(xp.linalg.diagonal(f), axis=-2), axis=-1)
    crossed = -p * xp.matrix_transpose(f)
    m = crossed + xp.expand_dims(own, axis=-1) * xp.eye(s.shape[-1], dtype=a.dtype)
    return xp.matmul(_sign(xp, u, vh) * xp.matmul(xp.conj(u), m), xp.conj(vh))


def _sign(xp: Any, u: Array, vh: Array) -> Any:
    """det U det V, 1 or -1, or a complex number of size 1, with two more axes."""
    return xp.sign(xp.linalg.det(u) * xp.linalg.det(vh))[..., None, None]


def _before(xp: Any, s: Array) -> Any:
    """For each element the product of those before it."""
    ones = xp.ones((*s.shape[:-1], 1), dtype=s.dtype)
    return xp.cumulative_prod(xp.concat([ones, s], axis=-1), axis=-1)[..., :-1]


def _after(xp: Any, s: Array) -> Any:
    """For each element the product of those after it."""
    return xp.flip(_before(xp, xp.flip(s, axis=-1)), axis=-1)


def _all_but_one(xp: Any, s: Array) -> Any:
    return _before(xp, s) * _after(xp, s)


def _all_but_two(xp: Any, s: Array) -> Any:
    """For each pair of elements the product of all others; 0 on the diagonal."""
    n = s.shape[-1]
    later = xp.arange(n)[:, None] < xp.arange(n)
    row = xp.where(later, xp.expand_dims(s, axis=-2), xp.ones_like(s[..., None, :]))
    between = _before(xp, row)  # above the diagonal, the product of the elements between row and column
    upper = xp.expand_dims(_before(xp, s), axis=-1) * between * xp.expand_dims(_after(xp, s), axis=-2)
    upper = xp.where(later, upper, xp.zeros_like(upper))
    return upper + xp.matrix_transpose(upper)
