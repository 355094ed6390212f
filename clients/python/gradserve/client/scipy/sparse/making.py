"""What makes sparse matrices with traced elements, by the names that scipy.sparse has for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradserve.client.scipy.sparse.matrices import Sparse
from gradserve.client.scipy.sparse.patterns import of_starts, on_diagonal
from gradserve.client.tracing.origins import untraceable
from gradserve.numpy.scipy.sparse import is_sparse


def of_class(format: str, is_matrix: bool) -> Callable[..., Sparse]:
    """What a class of SciPy makes of traced elements: csr_matrix and the like."""

    def make(arg1: Any, shape: Any = None, dtype: Any = None, **_: Any) -> Sparse:
        found = _made(arg1, shape, format, is_matrix)
        return found if dtype is None else found.astype(dtype)

    make.__name__ = f"{format}_{'matrix' if is_matrix else 'array'}"
    return make


def _made(given: Any, shape: Any, format: str, is_matrix: bool) -> Sparse:
    if is_sparse(given):
        old = Sparse.of(given)
        return Sparse(old.data, old.row, old.col, old.shape, format, is_matrix)
    if isinstance(given, tuple | list) and len(given) == 2 and format == "dia":
        return _of_diagonals(given[0], given[1], shape, is_matrix)
    if isinstance(given, tuple | list) and len(given) == 2 and isinstance(given[1], tuple | list | np.ndarray):
        (data, (rows, columns)) = given
    elif isinstance(given, tuple | list) and len(given) == 3 and format == "bsr":
        data = given[0]
        rows, columns = _in_blocks(given[1], of_starts(np.asarray(given[2])), np.shape(data)[1:])
    elif isinstance(given, tuple | list) and len(given) == 3 and format in ("csr", "csc"):
        data, minor, starts = given
        major = of_starts(np.asarray(starts))
        rows, columns = (minor, major) if format == "csc" else (major, minor)
        if shape is None:
            lengths = len(starts) - 1, int(np.max(minor, initial=-1)) + 1
            shape = lengths[::-1] if format == "csc" else lengths
    else:
        full = np.asarray(given)
        if full.ndim != 2:
            raise untraceable(
                f"no {format}_matrix can be made of a traced array of shape {full.shape}",
                f"write {format}_matrix((values, (rows, columns)), shape=(m, n)), with known rows and columns",
            )
        rows, columns = (x.reshape(-1) for x in np.indices(full.shape))
        data, shape = np.ravel(full), full.shape
    rows, columns = (np.asarray(x) for x in (rows, columns))
    if shape is None:
        shape = tuple(int(np.max(x, initial=-1)) + 1 for x in (rows, columns))
    return Sparse(np.ravel(np.asarray(data)), rows, columns, shape, format, is_matrix)


def _in_blocks(across: Any, along: Any, block: Sequence[int]) -> tuple[Any, Any]:
    """The rows and the columns of all elements of blocks, by the places of these among blocks."""
    rows, columns = np.indices((len(along), *block))[1:]
    rows = rows + block[0] * np.asarray(along)[:, None, None]
    return rows.reshape(-1), (columns + block[1] * np.asarray(across)[:, None, None]).reshape(-1)


def _of_diagonals(data: Any, offsets: Any, shape: Any, is_matrix: bool) -> Sparse:
    """By rows that hold diagonals, element (i, j) in column j."""
    whole = np.atleast_2d(np.asarray(data))
    values, rows, columns = [], [], []
    for row, k in zip(whole, np.atleast_1d(offsets), strict=True):
        along, across = on_diagonal(int(k), shape)
        kept = across < whole.shape[1]
        rows.append(along[kept])
        columns.append(across[kept])
        values.append(row[across[kept]])
    return _joined(values, rows, columns, shape, is_matrix)


def _joined(values: Any, rows: Any, columns: Any, shape: Any, is_matrix: bool) -> Sparse:
    data, along, across = (np.concatenate(x) for x in (values, rows, columns))
    return Sparse(data, along, across, shape, "dia", is_matrix)


def spdiags(data: Any, diags: Any, m: Any = None, n: Any = None, format: Any = None) -> Sparse:
    """The matrix with diagonals, element (i, j) of each in column j."""
    return _of_diagonals(data, diags, m if n is None else (m, n), True).asformat(format)


def _diagonals(is_matrix: bool) -> Callable[..., Sparse]:
    def make(diagonals: Any, offsets: Any = 0, shape: Any = None, format: Any = None, dtype: Any = None) -> Sparse:
        one = np.ndim(offsets) == 0
        given = [diagonals] if one and not _is_list_of_vectors(diagonals) else [*diagonals]
        each = [np.atleast_1d(np.asarray(x)) for x in given]
        which = [int(k) for k in np.atleast_1d(offsets)]
        if len(each) != len(which):
            raise ValueError("Different number of diagonals and offsets.")
        if shape is None:
            shape = (each[0].shape[0] + abs(which[0]),) * 2
        values, rows, columns = [], [], []
        for x, k in zip(each, which, strict=True):
            along, across = on_diagonal(k, shape)
            if x.shape[0] not in (1, len(along)):
                raise ValueError(f"Diagonal length ({x.shape[0]} at {k}) does not agree with array size {shape}.")
            values.append(np.broadcast_to(x, along.shape))
            rows.append(along)
            columns.append(across)
        found = _joined(values, rows, columns, shape, is_matrix)
        return (found if dtype is None else found.astype(dtype)).asformat(format)

    return make


def _is_list_of_vectors(diagonals: Any) -> bool:
    return isinstance(diagonals, list | tuple) and bool(diagonals) and np.ndim(diagonals[0]) == 1


diags, diags_array = _diagonals(True), _diagonals(False)


def bmat(blocks: Any, format: Any = None, dtype: Any = None) -> Sparse:
    """The matrix of blocks, None for those of zeros."""
    grid = [[None if x is None else _as_sparse(x) for x in row] for row in blocks]
    heights = [_length([x for x in row if x is not None], 0) for row in grid]
    widths = [_length([row[k] for row in grid if row[k] is not None], 1) for k in range(len(grid[0]))]
    starts = [np.concatenate([[0], np.cumsum(each)]) for each in (heights, widths)]
    parts = [
        (x.data, x.row + starts[0][i], x.col + starts[1][j])
        for i, row in enumerate(grid)
        for j, x in enumerate(row)
        if x is not None
    ]
    data, rows, columns = (np.concatenate(x) for x in zip(*parts, strict=True))
    first = next(x for row in grid for x in row if x is not None)
    found = Sparse(data, rows, columns, (starts[0][-1], starts[1][-1]), "coo", first.is_matrix).asformat(format)
    return found if dtype is None else found.astype(dtype)


def _length(blocks: Sequence[Any], axis: int) -> int:
    lengths = {x.shape[axis] for x in blocks}
    if len(lengths) != 1:
        raise ValueError(f"blocks beside each other have lengths {sorted(lengths)}, which should be one")
    return int(lengths.pop())


def _as_sparse(block: Any) -> Sparse:
    return Sparse.of(block) if is_sparse(block) else of_class("coo", True)(block)


def hstack(blocks: Any, format: Any = None, dtype: Any = None) -> Sparse:
    """Matrices beside each other."""
    return bmat([blocks], format, dtype)


def vstack(blocks: Any, format: Any = None, dtype: Any = None) -> Sparse:
    """Matrices below each other."""
    return bmat([[x] for x in blocks], format, dtype)


def block_diag(mats: Any, format: Any = None, dtype: Any = None) -> Sparse:
    """Matrices along the diagonal."""
    each = [_as_sparse(x if is_sparse(x) else np.atleast_2d(x)) for x in mats]
    return bmat([[x if i == j else None for j in range(len(each))] for i, x in enumerate(each)], format, dtype)


def kron(A: Any, B: Any, format: Any = None) -> Sparse:
    """Blocks: each element of A times B."""
    a, b = _as_sparse(A), _as_sparse(B)
    rows, columns = (
        np.add.outer(x * length, y).reshape(-1)
        for x, y, length in ((a.row, b.row, b.shape[0]), (a.col, b.col, b.shape[1]))
    )
    data = np.ravel(a.data[:, None] * b.data)
    shape = a.shape[0] * b.shape[0], a.shape[1] * b.shape[1]
    return Sparse(data, rows, columns, shape, "coo", a.is_matrix).asformat(format or "csr")


def kronsum(A: Any, B: Any, format: Any = None) -> Sparse:
    """kron(I, A) + kron(B, I), of square matrices."""
    eyes = [Sparse(np.ones(x.shape[0]), np.arange(x.shape[0]), np.arange(x.shape[0]), x.shape) for x in (A, B)]
    return (kron(eyes[1], A) + kron(B, eyes[0])).asformat(format)  # type: ignore[no-any-return]


def tril(A: Any, k: int = 0, format: Any = None) -> Sparse:
    """What is not above a diagonal."""
    return _chosen(A, lambda x: x.col - x.row <= k, format)


def triu(A: Any, k: int = 0, format: Any = None) -> Sparse:
    """What is not below a diagonal."""
    return _chosen(A, lambda x: x.col - x.row >= k, format)


def _chosen(A: Any, holds: Callable[[Any], Any], format: Any) -> Sparse:
    x = _as_sparse(A)
    here = np.flatnonzero(holds(x))
    return x.at(x.data[here], x.row[here], x.col[here]).asformat(format)


CLASSES: dict[str, Callable[..., Sparse]] = {
    f"{format}_{kind}": of_class(format, kind == "matrix")
    for format in ("bsr", "coo", "csc", "csr", "dia")
    for kind in ("matrix", "array")
}
"""Classes of SciPy by name, and what makes theirs of traced elements."""
FUNCTIONS: dict[str, Callable[..., Any]] = {
    **{"block_array": bmat, "block_diag": block_diag, "bmat": bmat, "diags": diags, "diags_array": diags_array},
    **{"hstack": hstack, "kron": kron, "kronsum": kronsum, "spdiags": spdiags, "tril": tril, "triu": triu},
    "vstack": vstack,
}
"""Functions of scipy.sparse of traced elements."""
