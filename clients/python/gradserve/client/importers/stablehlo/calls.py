"""Calls of functions that are no part of StableHLO: those of LAPACK that JAX writes for processors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gradserve.client.importers.lax import factors, ordering, products
from gradserve.client.importers.lax.elements import Operand, held
from gradserve.client.importers.lax.known import known_array
from gradserve.client.importers.lax.movement import along, numbers
from gradserve.client.importers.stablehlo import shaped
from gradserve.client.importers.stablehlo.given import Compute, dtype_of_result
from gradserve.client.importers.stablehlo.scalars import SCALARS
from gradserve.client.importers.stablehlo.syntax import Operation
from gradserve.client.importers.stablehlo.syntax import numbers as numbers_of
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType, TensorType
from gradserve.numpy.arguments import Unsupported
from gradserve.numpy.recorder import Recorder

_LOWER, _LEFT, _UNIT, _PLAIN, _ADJOINT, _NONE = map(ord, "LLUNCN")


def _options(op: Operation) -> dict[str, Any]:
    found = op.attributes.get("mhlo.backend_config")
    if not isinstance(found, dict):
        raise Unsupported("its options are not told", "export it anew")
    return found


def _success(g: Builder, matrix: Operand) -> Value:
    """LAPACK's word of each matrix that all went well: what does not is refused when it is run."""
    return g.full(TensorType(ElementType.INT32, matrix.shape[:-2]), 0)


def cholesky(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value]:
    """The lower triangular factor, and success."""
    if _options(op).get("uplo") != _LOWER:
        raise Unsupported("it makes the upper triangle", "make the lower one, and transpose it")
    return [g.emit("cholesky", x[0].value), _success(g, x[0])]


def triangular(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value]:
    """The solution of a triangular system."""
    given = _options(op)
    flags = (given.get("side") == _LEFT, given.get("uplo") == _LOWER)
    a = products.conjugated(g, x[0]) if given.get("trans_x") == _ADJOINT else x[0]
    return [products.triangular_solve(g, a, x[1], *flags, given.get("trans_x") != _PLAIN, given.get("diag") == _UNIT)]


def eigh(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value]:
    """Eigenvectors, eigenvalues and success."""
    return [*products.eigh(g, x[0], _options(op).get("uplo") == _LOWER), _success(g, x[0])]


def eig(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value | None]:
    """Eigenvalues, of real matrices in two parts; left vectors, which nobody may read; right ones; success."""
    given = _options(op)
    if given.get("compute_left") != _NONE:
        raise Unsupported("left eigenvectors are asked for", "take the right ones of the transposed matrix")
    w, *vectors = products.eig(g, x[0], given.get("compute_right") != _NONE)
    values = [w] if x[0].value.type.is_complex else [g.real(w), g.imag(w)]
    right: list[Value | None] = [*vectors] if vectors else [None]
    return [*values, None, *right, _success(g, x[0])]


def svd(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value | None]:
    """What LAPACK leaves of the matrix, which nobody may read; singular values and vectors; success."""
    mode = _options(op).get("mode")
    if mode == ord("N"):
        return [None, *products.svd(g, x[0], full=False, vectors=False), None, None, _success(g, x[0])]
    s, u, vt = products.svd(g, x[0], full=mode == ord("A"), vectors=True)
    return [None, s, u, vt, _success(g, x[0])]


def lu(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value]:
    """L and U in one matrix, the exchanges of rows, counted from 1, and which pivot is zero, if one is."""
    assert isinstance(g, Recorder)
    packed, pivots = factors.lu(g, x[0])
    return [packed, g.convert(g.add(pivots, 1), ElementType.INT32), _first_zero(g, packed)]


def _first_zero(g: Builder, packed: Value) -> Value:
    """Of each matrix the first zero of the diagonal, counted from 1; 0 if there is none."""
    rank = packed.type.rank
    m, n = packed.shape[-2:]
    diagonal = g.eq(along(g, numbers(g, m), rank - 2, rank), along(g, numbers(g, n), rank - 1, rank))
    zero = g.reduce_any(g.logical_and(diagonal, g.eq(packed, 0)), axes=(rank - 1,))
    first = g.emit("argmax", g.convert(zero, ElementType.INT32), axis=rank - 2)
    found = g.select(g.reduce_any(zero, axes=(rank - 2,)), g.add(first, 1), 0)
    return g.convert(found, ElementType.INT32)


def tridiagonal(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value | None]:
    """What LAPACK leaves of the bands, which nobody may read; the solution; success."""
    return [None, None, None, products.tridiagonal_solve(g, *x), _success(g, x[3])]


def top_k(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value]:
    """The largest elements of each row, and where they are."""
    given = op.attributes.get("mhlo.attributes")
    if not isinstance(given, dict) or given.get("largest") is not True:
        raise Unsupported("it does not say that it takes the largest", "export jax.lax.top_k anew")
    (k,) = numbers_of(given.get("k"), op.line)
    values, places = ordering.top_k(g, x[0], k, x[0].rank - 1)
    return [values, g.convert(places, held(dtype_of_result(op, 1)))]


def approximate(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value]:
    """The largest or the smallest elements along an axis, which is told by what there is before all of them."""
    assert isinstance(g, Recorder)
    given, least = _options(op), known_array(g, x[2])
    if least is None or not np.all(np.isinf(least)) or "_comparator" not in str(op.attributes["called_computations"]):
        raise Unsupported("its order is not known here", "export jax.lax.approx_max_k anew")
    values, places = ordering.extremes(g, x[0], int(given["top_k"]), int(given["reduction_dim"]), bool(least < 0))
    return [values, g.convert(places, held(dtype_of_result(op, 1)))]


def _dropped(op: Operation) -> Sequence[Value]:
    if op.types:
        raise Unsupported("it calls Python", "compute it beforehand, and give it as an argument")
    return []


def _each(kinds: str, routine: str, compute: Compute) -> dict[str, Compute]:
    return {f"lapack_{kind}{routine}_ffi": compute for kind in kinds}


_OF_MHLO = ("acos", "acosh", "asin", "asinh", "atanh", "cosh", "sinh", "erf", "tan")
"""Functions that older exports write as calls."""
CALLS: dict[str, Compute] = {
    **_each("sdcz", "potrf", cholesky),
    **_each("sdcz", "trsm", triangular),
    **dict.fromkeys(("blas_strsm", "blas_dtrsm", "blas_ctrsm", "blas_ztrsm"), triangular),
    **_each("sd", "syevd", eigh),
    **_each("cz", "heevd", eigh),
    **_each("sdcz", "geev", eig),
    **_each("sdcz", "gesdd", svd),
    **_each("sdcz", "getrf", lu),
    **_each("sdcz", "gtsv", tridiagonal),
    **{f"mhlo.{name}": SCALARS[name] for name in _OF_MHLO},
    "mhlo.topk": top_k,
    "ApproxTopK": approximate,
    "shape_assertion": shaped.asserted,
    "stablehlo.dynamic_top_k": shaped.top_k,
    "Sharding": lambda g, op, x: [x[0].value],
    "xla_ffi_python_cpu_callback": lambda g, op, x: _dropped(op),
}
"""By the name of the function that is called."""
