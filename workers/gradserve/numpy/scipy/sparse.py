"""Sparse matrices of scipy.sparse, captured or with elements that are values: their products gather and add.

A product with a vector multiplies as many numbers as the matrix holds, and so does its derivative, the product with
the transpose. Systems are solved by sparse factors, and so are their derivatives: those of a captured matrix are made
while tracing, and others where they are solved with. Derivatives in elements are taken at their places alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.ir.records import dataclass
from gradserve.numpy.arguments import Unsupported, lift, refuse, to_float
from gradserve.numpy.shaping import swapaxes
from gradserve.numpy.systems import solve
from gradserve.numpy.table import implements_scipy
from gradserve.numpy.updates import add_at
from gradserve.ops.elementwise.parts import conjugate

DENSE = 100
"""So many rows at most are solved as a full matrix, which is quicker for few."""


@dataclass(frozen=True)
class Elements:
    """A sparse matrix whose elements are values at known places; those in equal places add up."""

    values: Any
    rows: Any
    columns: Any
    shape: tuple[int, int]


def is_sparse(x: Any) -> bool:
    """Whether it is a matrix or array of scipy.sparse, of whatever format."""
    return hasattr(x, "tocsr") and hasattr(x, "nnz") and not isinstance(x, Value)


def product(g: Builder, matrix: Any, x: Value, from_right: bool = False) -> Value:
    """matrix @ x; with `from_right`, the transpose of the product with the transpose of x."""
    rows, columns = matrix.shape
    turned = swapaxes(x, 0, 1) if from_right and x.type.rank == 2 else x
    if turned.type.rank not in (1, 2) or turned.shape[0] != columns:
        refuse(g, "matmul", f"a sparse matrix of shape {matrix.shape} has no product with {x.type}")
    held = matrix if isinstance(matrix, Elements) else _elements(matrix)
    data, values = g.promote([lift(g, held.values), turned])
    gathered = g.emit("gather", values, g.constant(held.columns.astype(np.int64)), axis=0)
    spread = g.reshape(data, (*data.type.shape, *(1,) * (values.type.rank - 1)))
    where = g.constant(held.rows.astype(np.int64))
    found = g.emit("scatter_add", g.mul(spread, gathered), where, axis=0, length=rows)
    return swapaxes(found, 0, 1) if from_right and x.type.rank == 2 else found


def _elements(matrix: Any) -> Elements:
    """The elements of a captured matrix, row by row."""
    csr = matrix.tocsr()
    return Elements(csr.data, np.repeat(np.arange(matrix.shape[0]), np.diff(csr.indptr)), csr.indices, matrix.shape)


def toarray(g: Builder, A: Any) -> Value:
    """The full matrix of a sparse one whose elements are traced."""
    values = lift(g, A.values)
    return add_at(g.zeros(values.type.with_shape(A.shape)), (A.rows, A.columns), values)


@implements_scipy("sparse.linalg.spsolve")
def spsolve(g: Builder, A: Any, b: Any) -> Value:
    """The x with A x = b, A a sparse matrix: of a captured one the sparse factors are data of the graph."""
    if not (is_sparse(A) or isinstance(A, Elements)):
        raise Unsupported("scipy.sparse.linalg.spsolve of a traced matrix cannot be traced", "write np.linalg.solve")
    right = lift(g, b)
    column = right.type.rank == 2 and right.shape[1] == 1
    found = lu_solve(right, A)
    return g.reshape(found, (found.shape[0],)) if column else found


@implements_scipy("sparse.linalg.splu.solve")
def lu_solve(g: Builder, rhs: Any, A: Any, trans: str = "N") -> Value:
    """The x with A x = rhs, or with its transpose for trans='T', or its conjugate transpose for 'H'; as spsolve."""
    if trans == "H":
        return conjugate(g, lu_solve(conjugate(g, to_float(g, rhs)), A, "T"))
    right = to_float(g, rhs)
    n = A.shape[0]
    if A.shape != (n, n) or right.type.rank not in (1, 2) or right.shape[0] != n:
        refuse(g, "spsolve", f"a sparse matrix of shape {A.shape} and {right.type} are no linear system")
    columns = g.reshape(right, (n, right.type.size // n if n else 0))
    if n <= DENSE and (is_sparse(A) or isinstance(A, Elements)):
        full = toarray(g, A) if isinstance(A, Elements) else g.constant(np.asarray(A.toarray()))
        found = solve(swapaxes(full, 0, 1) if trans == "T" else full, columns)
    elif isinstance(A, Elements):
        found = _by_elements(g, A, columns, trans == "T")
    else:
        found = _by_factors(g, _factors(g, A), columns, trans == "T")
    return g.reshape(found, right.type.shape)


@implements_scipy("sparse.linalg.factorized.__call__")
def factorized(g: Builder, rhs: Any, A: Any) -> Value:
    """The x with A x = rhs; as spsolve."""
    return lu_solve(rhs, A)


@implements_scipy("sparse.linalg.spsolve_triangular")
def spsolve_triangular(g: Builder, A: Any, b: Any, lower: bool = True, *, unit_diagonal: bool = False) -> Value:
    """The x with A x = b, A a captured sparse matrix of which one triangle is read."""
    if not is_sparse(A):
        raise Unsupported(
            "a traced matrix cannot be solved with as a sparse one", "write scipy.linalg.solve_triangular"
        )
    right, n = to_float(g, b), A.shape[0]
    if A.shape != (n, n) or right.type.rank not in (1, 2) or right.shape[0] != n:
        refuse(g, "spsolve_triangular", f"a sparse matrix of shape {A.shape} and {right.type} are no linear system")
    diagonal = np.ones(n, A.dtype) if unit_diagonal else A.diagonal()
    columns = g.reshape(right, (n, right.type.size // n if n else 0))
    return g.reshape(_triangular(g, A, diagonal, columns, lower, False), right.type.shape)


def _by_elements(g: Builder, A: Elements, b: Value, transposed: bool) -> Value:
    """The X with A X = B, or A^T X = B, by factors that are made where it is solved."""
    places = [g.constant(x.astype(np.int64)) for x in (A.rows, A.columns)]
    return g.emit("sparse_solve", lift(g, A.values), *places, b, fill=_fill(A), transposed=transposed)


def _fill(A: Elements) -> int:
    """How many elements the factors have of a matrix with this pattern, and elements that need no exchange of rows."""
    from scipy.sparse import csc_array  # who has a sparse matrix has SciPy
    from scipy.sparse.linalg import splu

    n = A.shape[0]
    beside = A.rows != A.columns
    most = 2.0 + np.bincount(A.rows[beside], minlength=n) + np.bincount(A.columns[beside], minlength=n)
    rows, columns = (np.concatenate([x[beside], np.arange(n)]) for x in (A.rows, A.columns))
    alike = csc_array((np.concatenate([np.ones(int(beside.sum())), most]), (rows, columns)), shape=(n, n))
    factors = splu(alike)
    return int(factors.L.nnz + factors.U.nnz)


def _factors(g: Builder, A: Any) -> Any:
    """SuperLU's factors of a sparse matrix; what SciPy made by splu is such already."""
    if not is_sparse(A):
        return A
    from scipy.sparse.linalg import splu  # who has a sparse matrix has SciPy

    try:
        return splu(A.tocsc().astype(np.result_type(A.dtype, np.float32)))
    except RuntimeError as error:
        return refuse(g, "spsolve", f"the sparse matrix has no factors: {error}")


def _by_factors(g: Builder, factors: Any, b: Value, transposed: bool) -> Value:
    """The X with A X = B, or A^T X = B, where row perm_r[i] and column perm_c[j] of L U are row i and column j of A."""
    steps = [(factors.L, np.ones(b.shape[0], factors.L.dtype), True), (factors.U, factors.U.diagonal(), False)]
    before, after = np.argsort(factors.perm_r), factors.perm_c
    if transposed:
        steps.reverse()
        before, after = np.argsort(factors.perm_c), factors.perm_r
    found = g.emit("gather", b, g.constant(before.astype(np.int64)), axis=0)
    for triangle, diagonal, lower in steps:
        found = _triangular(g, triangle, diagonal, found, lower, transposed)
    return g.emit("gather", found, g.constant(after.astype(np.int64)), axis=0)


def _triangular(g: Builder, triangle: Any, diagonal: Any, b: Value, lower: bool, transposed: bool) -> Value:
    """A solve with one triangle of a sparse matrix, whose elements are given column by column."""
    entries = triangle.tocsc().tocoo()
    beside = entries.row > entries.col if lower else entries.row < entries.col
    elements, rows, columns = (x[beside] for x in (entries.data, entries.row, entries.col))
    places = [g.constant(x.astype(np.int64)) for x in (rows, columns)]
    known = [g.constant(x) for x in (elements, diagonal)]
    return g.emit("sparse_triangular_solve", known[0], *places, known[1], b, lower=lower, transposed=transposed)
