"""Matrices that are made of a vector or two, and of blocks, as in scipy.linalg."""

from __future__ import annotations

from typing import Any

import numpy as np

from gradserve.ir.builder import Builder, Value
from gradserve.numpy import eigenvalues
from gradserve.numpy.arguments import lift, promoted
from gradserve.numpy.indexing import getitem
from gradserve.numpy.joining import concatenate
from gradserve.numpy.products import matmul
from gradserve.numpy.shaping import ravel
from gradserve.numpy.systems import solve
from gradserve.numpy.table import implements_scipy
from gradserve.ops.elementwise.parts import conjugate


@implements_scipy("linalg.toeplitz")
def toeplitz(g: Builder, c: Any, r: Any = None) -> Value:
    """The matrix with constant diagonals, a first column, and a first row: its conjugate by default."""
    column, row = (ravel(v) for v in promoted(g, c, conjugate(g, lift(g, c)) if r is None else r))
    rows, columns = np.indices((column.type.size, row.type.size))
    both = concatenate([column, row])
    return getitem(g, both, np.where(rows >= columns, rows - columns, column.type.size + columns - rows))


@implements_scipy("linalg.hankel")
def hankel(g: Builder, c: Any, r: Any = None) -> Value:
    """The matrix with constant antidiagonals, a first column, and a last row, which is 0 by default."""
    column, row = (ravel(v) for v in promoted(g, c, np.zeros(lift(g, c).type.size) if r is None else r))
    n, m = column.type.size, row.type.size
    rows, columns = np.indices((n, m))
    place = rows + columns
    return getitem(g, concatenate([column, row]), np.where(place < n, place, place + 1))


@implements_scipy("linalg.circulant")
def circulant(g: Builder, c: Any) -> Value:
    """The matrix whose columns are a vector, each moved on by one."""
    column = ravel(lift(g, c))
    rows, columns = np.indices((column.type.size,) * 2)
    return getitem(g, column, (rows - columns) % max(1, column.type.size))


@implements_scipy("linalg.block_diag")
def block_diag(g: Builder, *arrs: Any) -> Value:
    """Matrices along the diagonal, 0 elsewhere."""
    blocks = [v if v.type.rank == 2 else g.reshape(v, (1, v.type.size)) for v in promoted(g, *arrs)]
    width, before, rows = sum(block.shape[1] for block in blocks), 0, []
    for block in blocks:
        after = width - before - block.shape[1]
        rows.append(g.emit("pad", block, low=(0, before), high=(0, after), interior=(0, 0)))
        before += block.shape[1]
    return concatenate(rows)


@implements_scipy("linalg.companion")
def companion(g: Builder, a: Any) -> Value:
    """The matrix whose eigenvalues are the roots of a polynomial."""
    return eigenvalues.companion(g, ravel(lift(g, a)))


@implements_scipy("linalg.solve_toeplitz")
def solve_toeplitz(g: Builder, c_or_cr: Any, b: Any) -> Value:
    """The x with t x = b, t the matrix that toeplitz gives; solved as a full matrix."""
    column, row = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, None)
    return solve(_toeplitz(g, column, row), b)


@implements_scipy("linalg.matmul_toeplitz")
def matmul_toeplitz(g: Builder, c_or_cr: Any, x: Any) -> Value:
    """The product of a toeplitz matrix and a vector or matrix."""
    column, row = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr, None)
    return matmul(_toeplitz(g, column, row), x)


def _toeplitz(g: Builder, column: Any, row: Any) -> Value:
    return toeplitz(lift(g, column), row)
