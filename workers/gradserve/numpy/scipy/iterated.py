"""scipy.sparse.linalg: what iterative solvers find, found directly: as exact as rounding allows, whatever tolerance."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType
from gradserve.numpy import decompositions, systems
from gradserve.numpy.arguments import Unsupported, integer, refuse, to_float
from gradserve.numpy.indexing import getitem
from gradserve.numpy.joining import concatenate, stack
from gradserve.numpy.matrix_functions import expm
from gradserve.numpy.norms import norm
from gradserve.numpy.ordering import argsort, sort
from gradserve.numpy.products import matmul
from gradserve.numpy.scipy.sparse import Elements, is_sparse, spsolve, toarray
from gradserve.numpy.scipy.symmetric import eigh
from gradserve.numpy.shaping import part, swapaxes
from gradserve.numpy.table import SCIPY, NumpyFunction, implements_scipy
from gradserve.ops.elementwise.parts import conjugate


def _is_held(A: Any) -> bool:
    return is_sparse(A) or isinstance(A, Elements)


def _whole(g: Builder, A: Any, what: str, instead: str) -> Value:
    """The full matrix of a full or a sparse one; a linear operator has no elements."""
    if isinstance(A, Elements):
        return toarray(g, A)
    if hasattr(A, "matvec"):
        raise Unsupported(f"{what} of a linear operator cannot be traced", instead)
    return to_float(g, A.toarray() if is_sparse(A) else A)


def _iterated(g: Builder, A: Any, b: Any, x0: Any = None, **options: Any) -> tuple[Value, int]:
    """The x with A x = b to rounding, A full or sparse, whatever tolerance is asked for; and 0, for success."""
    right = to_float(g, b)
    if _is_held(A):
        return spsolve(A, right), 0
    full = _whole(
        *(g, A, "an iterative solver"),
        "write np.linalg.solve, or gradserve.client.functions.root(lambda x: product(x) - b, b)",
    )
    return systems.solve(full, g.reshape(right, (right.type.size,))), 0


for _name in ("bicg", "bicgstab", "cg", "cgs", "gcrotmk", "gmres", "lgmres", "qmr", "tfqmr"):
    SCIPY[f"scipy.sparse.linalg.{_name}"] = NumpyFunction(_iterated)


@implements_scipy("sparse.linalg.minres")
def minres(g: Builder, /, A: Any, b: Any, x0: Any = None, *, shift: Any = 0.0, **options: Any) -> tuple[Value, int]:
    """The x with (A - shift) x = b to rounding, and 0, for success."""
    if not isinstance(shift, Value) and shift == 0:
        return _iterated(g, A, b)
    full = _whole(g, A, "minres with a shift", "write np.linalg.solve(A - shift * np.eye(n), b)")
    return _iterated(g, g.sub(full, g.mul(g.constant(np.eye(full.shape[0])), to_float(g, shift))), b)


def _nearest(g: Builder, A: Any, b: Any, damp: Any, x0: Any) -> tuple[Value, ...]:
    """The x of least |A x - b|^2 + damp^2 |x - x0|^2, and norms: the residual's, both terms', slopes', x - x0's."""
    full = _whole(g, A, "least squares", "write np.linalg.lstsq")
    right = to_float(g, b)
    right = g.reshape(right, (right.type.size,))
    n = full.shape[1]
    start = None if x0 is None else to_float(g, x0)
    target = right if start is None else g.sub(right, matmul(full, start))
    scale = to_float(g, damp)
    is_damped = isinstance(damp, Value) or damp != 0
    rows = concatenate([full, g.mul(g.constant(np.eye(n)), scale)]) if is_damped else full
    goal = concatenate([target, g.constant(np.zeros(n))]) if is_damped else target
    eps = float(np.finfo(rows.type.element_type.dtype).eps) * max(rows.shape)
    moved: Value = decompositions.lstsq(rows, goal, eps)[0]
    x = moved if start is None else g.add(start, moved)
    residual = g.sub(right, matmul(full, x))
    both = concatenate([residual, g.mul(scale, moved)]) if is_damped else residual
    slope = g.sub(matmul(conjugate(g, swapaxes(full, 0, 1)), residual), g.mul(moved, g.mul(scale, scale)))
    return x, norm(residual), norm(both), norm(slope), norm(moved)


@implements_scipy("sparse.linalg.lsqr")
def lsqr(
    g: Builder,
    A: Any,
    b: Any,
    damp: Any = 0.0,
    atol: Any = None,
    btol: Any = None,
    conlim: Any = None,
    iter_lim: Any = None,
    show: bool = False,
    calc_var: bool = False,
    x0: Any = None,
) -> tuple[Any, ...]:
    """The solution of least squares and its norms, in SciPy's tuple; None where it tells of iterations."""
    x, residual, both, slope, size = _nearest(g, A, b, damp, x0)
    return x, 2, None, residual, both, None, None, slope, size, None


@implements_scipy("sparse.linalg.lsmr")
def lsmr(
    g: Builder,
    A: Any,
    b: Any,
    damp: Any = 0.0,
    atol: Any = None,
    btol: Any = None,
    conlim: Any = None,
    maxiter: Any = None,
    show: bool = False,
    x0: Any = None,
) -> tuple[Any, ...]:
    """The solution of least squares and its norms, in SciPy's tuple; None where it tells of iterations."""
    x, _, both, slope, size = _nearest(g, A, b, damp, x0)
    return x, 2, None, both, slope, None, None, size


@implements_scipy("sparse.linalg.eigsh")
def eigsh(
    g: Builder,
    A: Any,
    k: int = 6,
    M: Any = None,
    sigma: Any = None,
    which: str = "LM",
    v0: Any = None,
    ncv: Any = None,
    maxiter: Any = None,
    tol: Any = 0,
    return_eigenvectors: bool = True,
) -> Any:
    """k eigenvalues and eigenvectors of a symmetric matrix: of all of them those asked for, or nearest to sigma.

    'LM', 'SM', 'LA', 'SA' and 'BE' say which. They ascend with vectors, and alone are in SciPy's order.
    """
    full = _whole(g, A, "eigsh", "write np.linalg.eigh of the matrix")
    n = full.shape[0]
    if which not in ("LM", "SM", "LA", "SA", "BE") or not 0 < integer(k, "k") < n:
        raise ValueError(f"which is {which!r} and k {k}, of {n} eigenvalues")
    if sigma is not None and (which != "LM" or not return_eigenvectors):
        raise Unsupported("eigsh with sigma, but for which='LM' and vectors, cannot be traced", "write np.linalg.eigh")
    other = None if M is None else _whole(g, M, "eigsh", "write scipy.linalg.eigh of both matrices")
    w, v = eigh(full, other)
    chosen = _chosen(g, w, k, which, sigma)
    found = getitem(g, w, chosen)
    if return_eigenvectors:
        return found, getitem(g, v, (slice(None), chosen))
    if which in ("LM", "SM"):
        order = argsort(g.abs(found))
        return getitem(g, found, order if which == "LM" else getitem(g, order, slice(None, None, -1)))
    return getitem(g, found, slice(None, None, -1)) if which == "SA" else found


def _chosen(g: Builder, w: Value, k: int, which: str, sigma: Any) -> Any:
    """The numbers of the eigenvalues that are asked for, of ascending ones."""
    n = w.shape[0]
    if which == "LA":
        return np.arange(n - k, n)
    if which == "SA":
        return np.arange(k)
    if which == "BE":
        return np.concatenate([np.arange(k // 2), np.arange(n - k + k // 2, n)])
    away = g.abs(w if sigma is None else g.sub(w, to_float(g, sigma)))
    order = argsort(away)
    last = sigma is None and which == "LM"
    return g.convert(sort(part(order, 0, n - k, n) if last else part(order, 0, 0, k)), ElementType.INT64)


@implements_scipy("sparse.linalg.expm_multiply")
def expm_multiply(
    g: Builder,
    A: Any,
    B: Any,
    start: Any = None,
    stop: Any = None,
    num: Any = None,
    endpoint: Any = None,
    traceA: Any = None,
) -> Value:
    """exp(A) B; with times exp(t A) B, along a new first axis."""
    full, right = _whole(g, A, "expm_multiply", "write scipy.linalg.expm(A) @ B"), to_float(g, B)
    if all(given is None for given in (start, stop, num, endpoint)):
        return matmul(expm(full), right)
    if any(isinstance(t, Value) for t in (start, stop, num)):
        raise Unsupported("expm_multiply at traced times cannot be traced", "write scipy.linalg.expm(t * A) @ B")
    first, last = (float(default if t is None else t) for t, default in ((start, 0.0), (stop, 1.0)))
    count = 50 if num is None else int(num)
    times, step = np.linspace(first, last, count, endpoint=endpoint is not False, retstep=True)
    if not count:
        refuse(g, "expm_multiply", "there are no times")
    found = [matmul(expm(g.mul(full, float(times[0]))), right) if times[0] else right]
    once = expm(g.mul(full, float(step))) if count > 1 else None
    while len(found) < count:
        found.append(matmul(once, found[-1]))
    return stack(found)
