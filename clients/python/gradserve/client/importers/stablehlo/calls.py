"""Calls of functions that are no part of StableHLO: those of LAPACK that JAX writes for processors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gradserve.client.importers.lax import products
from gradserve.client.importers.lax.elements import Operand
from gradserve.client.importers.stablehlo.given import Compute
from gradserve.client.importers.stablehlo.syntax import Operation
from gradserve.ir.builder import Builder, Value
from gradserve.ir.types import ElementType, TensorType
from gradserve.numpy.arguments import Unsupported

_LOWER, _LEFT, _UNIT, _PLAIN = map(ord, "LLUN")


def _options(op: Operation) -> dict[str, Any]:
    found = op.attributes.get("mhlo.backend_config")
    if not isinstance(found, dict):
        raise Unsupported("its options are not told", "export it anew")
    return found


def _success(g: Builder, op: Operation, number: int) -> Value:
    """LAPACK's word that all went well: what does not is refused when it is run."""
    return g.full(TensorType(ElementType.INT32, op.types[number].shape), 0)


def cholesky(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value]:
    """The lower triangular factor, and success."""
    if _options(op).get("uplo") != _LOWER:
        raise Unsupported("it makes the upper triangle", "make the lower one, and transpose it")
    return [g.emit("cholesky", x[0].value), _success(g, op, 1)]


def triangular(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value]:
    """The solution of a triangular system."""
    given = _options(op)
    flags = (given.get("side") == _LEFT, given.get("uplo") == _LOWER)
    return [
        products.triangular_solve(g, x[0], x[1], *flags, given.get("trans_x") != _PLAIN, given.get("diag") == _UNIT)
    ]


def eigh(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value]:
    """Eigenvectors, eigenvalues and success."""
    return [*products.eigh(g, x[0], _options(op).get("uplo") == _LOWER), _success(g, op, 2)]


def svd(g: Builder, op: Operation, x: Sequence[Operand]) -> Sequence[Value | None]:
    """What LAPACK leaves of the matrix, which nobody may read; singular values and vectors; success."""
    mode = _options(op).get("mode")
    if mode == ord("N"):
        return [None, *products.svd(g, x[0], full=False, vectors=False), None, None, _success(g, op, 4)]
    s, u, vt = products.svd(g, x[0], full=mode == ord("A"), vectors=True)
    return [None, s, u, vt, _success(g, op, 4)]


CALLS: dict[str, Compute] = {
    **dict.fromkeys(("lapack_spotrf_ffi", "lapack_dpotrf_ffi"), cholesky),
    **dict.fromkeys(("lapack_strsm_ffi", "lapack_dtrsm_ffi", "blas_strsm", "blas_dtrsm"), triangular),
    **dict.fromkeys(("lapack_ssyevd_ffi", "lapack_dsyevd_ffi"), eigh),
    **dict.fromkeys(("lapack_sgesdd_ffi", "lapack_dgesdd_ffi"), svd),
    "xla_ffi_python_cpu_callback": lambda g, op, x: _dropped(op),
}
"""By the name of the function that is called."""


def _dropped(op: Operation) -> Sequence[Value]:
    if op.types:
        raise Unsupported("it calls Python", "compute it beforehand, and give it as an argument")
    return []
