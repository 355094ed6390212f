"""Sparse matrices of scipy.sparse, captured: what is known of them is data, and their products gather and add.

A product with a vector multiplies as many numbers as the matrix holds, and so does its derivative, the product with
the transpose. Nothing dense is made of them but to solve systems.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy.arguments import Unsupported, lift, refuse
from gradserve.numpy.shaping import swapaxes
from gradserve.numpy.systems import solve
from gradserve.numpy.table import implements_scipy

DENSE = 4096
"""The most rows of a system that is solved: as a full matrix."""


def is_sparse(x: Any) -> bool:
    """Whether it is a matrix or array of scipy.sparse, of whatever format."""
    return hasattr(x, "tocsr") and hasattr(x, "nnz") and not isinstance(x, Value)


def applied(g: Builder, ufunc: np.ufunc, operands: Any) -> Value:
    """What a ufunc gives of a sparse matrix and a value: products, by `@` or by the `*` of matrices.

    Raises:
        Unsupported: it is no such product.
    """
    of_matrix = any(is_sparse(x) and _is_matrix(x) for x in operands)
    if ufunc is np.matmul or (ufunc is np.multiply and of_matrix):
        left, right = operands
        if is_sparse(left):
            return product(g, left, lift(g, right))
        return product(g, right.T, lift(g, left), from_right=True)
    raise Unsupported(
        f"np.{ufunc.__name__} of a sparse matrix and a traced array cannot be traced",
        "write products A @ x, or A.toarray() if it is small",
    )


def _is_matrix(x: Any) -> bool:
    """Whether `*` is its product: of matrices it is, of sparse arrays it goes element by element."""
    return any(kind.__name__ == "spmatrix" for kind in type(x).__mro__)


def product(g: Builder, matrix: Any, x: Value, from_right: bool = False) -> Value:
    """matrix @ x; with `from_right`, the transpose of the product with the transpose of x."""
    rows, columns = matrix.shape
    turned = swapaxes(x, 0, 1) if from_right and x.type.rank == 2 else x
    if turned.type.rank not in (1, 2) or turned.shape[0] != columns:
        refuse(g, "matmul", f"a sparse matrix of shape {matrix.shape} has no product with {x.type}")
    csr = matrix.tocsr()
    where = np.repeat(np.arange(rows), np.diff(csr.indptr))
    data, values = g.promote([csr.data, turned])
    gathered = g.emit("gather", values, g.constant(csr.indices.astype(np.int64)), axis=0)
    spread = g.reshape(data, (*data.type.shape, *(1,) * (values.type.rank - 1)))
    found = g.emit("scatter_add", g.mul(spread, gathered), g.constant(where), axis=0, length=rows)
    return swapaxes(found, 0, 1) if from_right and x.type.rank == 2 else found


@implements_scipy("sparse.linalg.spsolve")
def spsolve(g: Builder, A: Any, b: Any) -> Value:
    """The x with A x = b, A a captured sparse matrix of at most 4096 rows; solved as a full matrix."""
    if not is_sparse(A):
        raise Unsupported("scipy.sparse.linalg.spsolve of a traced matrix cannot be traced", "write np.linalg.solve")
    if A.shape[0] > DENSE:
        raise Unsupported(
            f"a system of {A.shape[0]} rows is not solved as a full matrix",
            "solve it outside, or by iterations in a scan",
        )
    right = lift(g, b)
    full = np.asarray(A.toarray(), dtype=np.result_type(A.dtype, right.type.element_type.dtype))
    column = right.type.rank == 2 and right.shape[1] == 1
    found = solve(g.constant(full), right)
    return g.reshape(found, (found.shape[0],)) if column else found


@implements_scipy("sparse.linalg.splu.solve")
def lu_solve(g: Builder, rhs: Any, A: Any, trans: str = "N") -> Value:
    """The x with A x = rhs, or its transpose for trans='T'; as spsolve."""
    found = spsolve(A.T if trans == "T" else A, rhs)
    right = lift(g, rhs)
    return g.reshape(found, right.type.shape) if found.type.rank < right.type.rank else found


@implements_scipy("sparse.linalg.factorized.__call__")
def factorized(g: Builder, rhs: Any, A: Any) -> Value:
    """The x with A x = rhs; as spsolve."""
    return lu_solve(rhs, A)
