"""Routines of matrices that iterate, for NumPy: a matrix that is not finite never reaches them, its results are NaN.

LAPACK's iterations need not end on such a matrix: singular values with an infinity beside a subnormal number never do.
Those that count their steps beforehand (LU and Cholesky factors, triangular systems, and with them determinants and
inverses) end on any numbers, and have the results that NumPy gives.

Ops find these by `routine`, as all that differs between namespaces: nothing else calls what is named here.
"""

from __future__ import annotations

import contextlib
import functools
import warnings
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


def of_finite(compute: Callable[..., Any]) -> Callable[..., Any]:
    """The function of a stack of matrices, NaN for those that are not finite; a decorator."""

    @functools.wraps(compute)
    def kept(a: Array, **options: Any) -> Any:
        if is_finite(a):
            return compute(a, **options)
        return where_finite(np, functools.partial(compute, **options), a)

    return kept


svd = of_finite(np.linalg.svd)
svdvals = of_finite(np.linalg.svdvals)
eigh = of_finite(np.linalg.eigh)
eigvalsh = of_finite(np.linalg.eigvalsh)
qr = of_finite(np.linalg.qr)


_LARGE = 100
"""Rows from which the exponential is NumPy's work: SciPy's holds the interpreter's lock."""
_PADE = (64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
         670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1)  # fmt: skip
"""The coefficients of the approximant of degree 13, for norms up to `_NORM` (N. Higham, 2005)."""
_NORM = 5.371920351148152


@of_finite
def expm(a: Array) -> Any:
    """The exponential of each matrix."""
    if a.shape[-1] >= _LARGE:
        return _scaled_and_squared(a)
    from scipy.linalg import expm as of_scipy  # an executor has SciPy; a client that only traces need not

    return of_scipy(a)


@of_finite
def schur(a: Array) -> Any:
    """T and Z with A = Z T Z^T, of one matrix: T quasi-triangular, Z orthogonal."""
    from scipy.linalg import schur as of_scipy  # an executor has SciPy; a client that only traces need not

    return of_scipy(a, check_finite=False)


@of_finite
def eig(a: Array) -> Any:
    """Eigenvalues of each matrix, vectors as columns, and left ones as rows, scaled to a product of 1, or 0."""
    from scipy.linalg import eig as of_scipy  # an executor has SciPy; a client that only traces need not

    kind = np.result_type(a.dtype, np.complex64)
    w, v, left = np.empty(a.shape[:-1], kind), np.empty(a.shape, kind), np.empty(a.shape, kind)
    for k in np.ndindex(a.shape[:-2] if a.size else (0,)):
        found: Any = of_scipy(a[k], left=True, right=True, check_finite=False)
        w[k], turned, v[k] = found
        rows = turned.conj().T
        own = np.einsum("ij,ji->i", rows, v[k])
        known = np.abs(own) > a.shape[-1] * np.finfo(kind).eps
        left[k] = np.where(known[:, None], rows / np.where(known, own, 1.0)[:, None], 0.0)
    return w, v, left


@of_finite
def sqrtm(a: Array) -> Any:
    """The principal root of each matrix as SciPy has it; NaN of real ones of which it is complex."""
    from scipy.linalg import sqrtm as of_scipy  # an executor has SciPy; a client that only traces need not

    result = np.full_like(a, np.nan)
    for k in np.ndindex(a.shape[:-2] if a.size else (0,)):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a singular matrix, which the result shows
            found = of_scipy(a[k])
        if np.iscomplexobj(a) or np.isrealobj(found):
            result[k] = found
    return result


_ROOTS = 60
_POINTS, _SHARES = (0.5 * x for x in np.polynomial.legendre.leggauss(10))
"""Half of the nodes of Gauss and of their weights: the integral of X / (1 + s X) over s from 0 to 1 is log(1 + X)."""


@of_finite
def logm(a: Array) -> Any:
    """The principal logarithm of each matrix, by roots until one is near 1; NaN of real ones of which it is complex."""
    root, one = a.astype(np.result_type(a.dtype, np.float64)), np.eye(a.shape[-1])
    doublings = np.zeros((*a.shape[:-2], 1, 1))
    for _ in range(_ROOTS):
        wide = np.abs(root - one).sum(axis=-2).max(axis=-1, initial=0.0) > 0.25
        if not wide.any():
            break
        root[wide] = sqrtm(root[wide])
        doublings[wide] += 1
    rest = np.where(wide[..., None, None], np.nan, root - one)
    terms = (w * np.linalg.solve(one + (0.5 + s) * rest, rest) for s, w in zip(_POINTS, _SHARES, strict=True))
    return (sum(terms) * np.exp2(doublings)).astype(a.dtype)


def _regulated(function: str, a: Array, b: Array, q: Array, r: Array) -> Array:
    """The solution of each equation of Riccati, of the symmetric parts of q and r; NaN if there is none."""
    import scipy.linalg  # an executor has SciPy; a client that only traces need not

    result = np.full(q.shape, np.nan, q.dtype)
    q, r = (0.5 * (x + np.matrix_transpose(x)) for x in (q, r))
    for k in np.ndindex(q.shape[:-2] if q.size else (0,)):
        if all(is_finite(x[k]) for x in (a, b, q, r)):
            with contextlib.suppress(np.linalg.LinAlgError, ValueError):  # the latter of an r that is singular
                result[k] = getattr(scipy.linalg, function)(a[k], b[k], q[k], r[k])
    return result


solve_continuous_are = functools.partial(_regulated, "solve_continuous_are")
solve_discrete_are = functools.partial(_regulated, "solve_discrete_are")


def _scaled_and_squared(a: Array) -> Any:
    """The exponential by products and systems alone."""
    stack = a.reshape(-1, *a.shape[-2:])
    norms = np.abs(stack).sum(axis=-2).max(axis=-1)
    known = np.isfinite(norms)
    times = np.where(known, np.frexp(np.where(known, norms, 1.0) / _NORM)[1], np.finfo(a.dtype).maxexp).clip(0)
    result = _by_pade(np.ldexp(stack, -times[:, None, None]))
    for k in range(times.max(initial=0)):
        # What has overflowed or vanished is left: of a norm of 1e300 there would be a thousand products more.
        left = (times > k) & np.isfinite(result).all(axis=(-2, -1)) & result.any(axis=(-2, -1))
        if not left.any():
            break
        result[left] = result[left] @ result[left]
    return result.reshape(a.shape)


def _by_pade(x: Array) -> Array:
    one, b = np.eye(x.shape[-1], dtype=x.dtype), [np.asarray(float(c), x.dtype) for c in _PADE]
    x2 = x @ x
    x4 = x2 @ x2
    x6 = x4 @ x2
    odd = x6 @ (b[13] * x6 + b[11] * x4 + b[9] * x2) + b[7] * x6 + b[5] * x4 + b[3] * x2 + b[1] * one
    even = x6 @ (b[12] * x6 + b[10] * x4 + b[8] * x2) + b[6] * x6 + b[4] * x4 + b[2] * x2 + b[0] * one
    u = x @ odd
    return np.linalg.solve(even - u, even + u)
