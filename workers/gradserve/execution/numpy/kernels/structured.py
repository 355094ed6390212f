"""Systems with structure: sparse matrices and triangles by SuperLU, bands by LAPACK. Neither is ever a full matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from gradserve.execution.numpy.kernels.indexing import require_inside
from gradserve.execution.numpy.kernels.table import Kernel, kernel
from gradserve.ir.types import Array, TensorType
from gradserve.ops.linalg.banded import BandedSolve
from gradserve.ops.linalg.sparse import SparseTriangularSolve
from gradserve.ops.linalg.sparse_solve import SparseSolve


@kernel(SparseTriangularSolve, covers=("R1", "R2"))
def _sparse_triangular_solve(op: SparseTriangularSolve, types: Sequence[TensorType]) -> Kernel:
    """As a triangle with ones on its diagonal, T D^-1, and the quotients by what the diagonal is."""
    n = types[3].lengths[0]

    def solved(elements: Array, rows: Array, columns: Array, diagonal: Array, b: Array) -> Array:
        require_inside(rows, n)
        require_inside(columns, n)
        if not b.size:
            return np.empty(b.shape, b.dtype)
        if not diagonal.all():
            raise np.linalg.LinAlgError("Singular matrix: an element of the diagonal is zero")
        beside = rows > columns if op.lower else rows < columns
        if not beside.all():
            elements, rows, columns = elements[beside], rows[beside], columns[beside]
        if (columns[1:] < columns[:-1]).any():
            order = np.argsort(columns, kind="stable")
            elements, rows, columns = elements[order], rows[order], columns[order]
        unit = _in_columns(elements / diagonal[columns], rows, columns, n)
        by = diagonal[:, None]
        return _by_unit(unit, b / by, op) if op.transposed else _by_unit(unit, b, op) / by

    return solved


_Columns: TypeAlias = tuple[Array, Array, Array]
"""Elements column by column, their rows, and where each column begins."""


def _in_columns(elements: Array, rows: Array, columns: Array, n: int) -> _Columns:
    """Elements that are in the order of their columns."""
    starts = np.zeros(n + 1, np.intc)
    np.cumsum(np.bincount(columns, minlength=n), out=starts[1:])
    return elements, rows.astype(np.intc), starts


def _with_ones(unit: _Columns, n: int) -> _Columns:
    """The same with a one on the diagonal, first in its column, as SuperLU has lower triangles."""
    elements, rows, starts = unit
    starts = starts + np.arange(n + 1, dtype=np.intc)
    first = np.zeros(starts[-1], bool)
    first[starts[:-1]] = True
    whole, places = np.ones(len(first), elements.dtype), np.empty(len(first), np.intc)
    whole[~first], places[~first], places[first] = elements, rows, np.arange(n)
    return whole, places, starts


def _by_unit(unit: _Columns, b: Array, op: SparseTriangularSolve) -> Array:
    """The X with T X = B, or T^T X = B, T a triangle with ones on its diagonal, which is not among its elements."""
    from scipy.sparse.linalg._dsolve import _superlu  # all that spsolve_triangular does else takes ten times as long

    gstrs: Any = _superlu.gstrs
    n = len(b)
    nothing = (unit[0][:0], unit[1][:0], np.zeros(n + 1, np.intc))
    lower, upper = (_with_ones(unit, n), nothing) if op.lower else (_with_ones(nothing, n), unit)
    triangles = [x for elements, rows, starts in (lower, upper) for x in (n, len(elements), elements, rows, starts)]
    found, info = gstrs("T" if op.transposed else "N", *triangles, np.array(b, order="F", copy=True))
    if info:
        raise np.linalg.LinAlgError("Singular matrix")
    return np.ascontiguousarray(found)


@kernel(SparseSolve, covers=("R1", "R2"))
def _sparse_solve(op: SparseSolve, types: Sequence[TensorType]) -> Kernel:
    """By SuperLU's factors, with columns in an order that keeps them sparse."""
    n = types[3].lengths[0]

    def solved(elements: Array, rows: Array, columns: Array, b: Array) -> Array:
        from scipy.sparse import csc_array
        from scipy.sparse.linalg import splu

        require_inside(rows, n)
        require_inside(columns, n)
        if not b.size:
            return np.empty(b.shape, b.dtype)
        if not np.isfinite(elements).all():  # SuperLU looks for pivots by comparisons, and finds none among NaN
            return np.full(b.shape, np.nan, b.dtype)
        try:
            factors: Any = splu(csc_array((elements, (rows, columns)), shape=(n, n)))
        except RuntimeError as error:
            raise np.linalg.LinAlgError(f"Singular matrix: {error}") from None
        return np.ascontiguousarray(factors.solve(b, "T" if op.transposed else "N"))

    return solved


@kernel(BandedSolve, covers=("R1",))
def _banded_solve(op: BandedSolve, types: Sequence[TensorType]) -> Kernel:
    """LAPACK's gbsv, and gtsv for three diagonals."""
    from scipy.linalg import solve_banded

    del types
    sides = (op.lower, op.upper)

    def solved(a: Array, b: Array) -> Array:
        result = np.empty(b.shape, b.dtype)
        for k in np.ndindex(a.shape[:-2] if b.size else (0,)):
            # NaN is data: it goes through, as in every other op.
            result[k] = solve_banded(sides, a[k], b[k], check_finite=False)
        return result

    return solved
