"""Routines of matrices that iterate, for NumPy: a matrix that is not finite never reaches them, its results are NaN.

LAPACK's iterations need not end on such a matrix: singular values with an infinity beside a subnormal number never do.
Those that count their steps beforehand (LU and Cholesky factors, triangular systems, and with them determinants and
inverses) end on any numbers, and have the results that NumPy gives.

Ops find these by `routine`, as all that differs between namespaces: nothing else calls what is named here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gradserve.ir.types import Array

NAMES = ("svd", "svdvals", "eigh", "eigvalsh", "qr")
"""Functions of `linalg` in the array API."""


def where_finite(xp: Any, compute: Callable[[Any], Any], a: Any) -> Any:
    """What `compute` gives, NaN for each matrix of the stack that is not finite: it sees an identity instead."""
    whole = xp.all(xp.isfinite(a), axis=(-2, -1))
    found = compute(xp.where(whole[..., None, None], a, xp.eye(*a.shape[-2:], dtype=a.dtype)))

    def marked(x: Any) -> Any:
        chosen = xp.reshape(whole, (*whole.shape, *(1,) * (x.ndim - whole.ndim)))
        return xp.where(chosen, x, xp.full_like(x, xp.nan))

    return tuple(map(marked, found)) if isinstance(found, tuple) else marked(found)


def is_finite(a: Array) -> bool:
    """Whether all elements are: mostly told by their sum, as one of them makes that not finite."""
    return bool(np.isfinite(np.add.reduce(a, axis=None)) or np.isfinite(a).all())


def _of_finite(compute: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(compute)
    def of_finite(a: Array, **options: Any) -> Any:
        if is_finite(a):
            return compute(a, **options)
        return where_finite(np, functools.partial(compute, **options), a)

    return of_finite


svd = _of_finite(np.linalg.svd)
svdvals = _of_finite(np.linalg.svdvals)
eigh = _of_finite(np.linalg.eigh)
eigvalsh = _of_finite(np.linalg.eigvalsh)
qr = _of_finite(np.linalg.qr)


@_of_finite
def expm(a: Array) -> Any:
    """The exponential of each matrix."""
    from scipy.linalg import expm as of_scipy  # an executor has SciPy; a client that only traces need not

    return of_scipy(a)


@_of_finite
def schur(a: Array) -> Any:
    """T and Z with A = Z T Z^T, of one matrix: T quasi-triangular, Z orthogonal."""
    from scipy.linalg import schur as of_scipy  # an executor has SciPy; a client that only traces need not

    return of_scipy(a, check_finite=False)
